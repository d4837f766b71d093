//! The files of the log: a new one every day or hour, and when one has grown too large; the oldest go.
//!
//! `tracing-appender` begins files by time alone, `logroller` and `file-rotate` by time or by size; of the few that do
//! both, `tracing-rolling-file` may panic when clocks change. What is written here never fails: while the disk takes
//! nothing, lines go to the terminal alone, which says so once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

const PREFIX: &str = "vedette.";
const SUFFIX: &str = ".log";

/// How often a file is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    Hour,
    Day,
}

impl Period {
    /// The period `now` lies in (UTC), such that names sort by time.
    fn of(self, now: DateTime<Utc>) -> String {
        let format = match self {
            Self::Hour => "%Y-%m-%d-%H",
            Self::Day => "%Y-%m-%d",
        };
        now.format(format).to_string()
    }
}

/// What files there are to be.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) folder: PathBuf,
    pub(super) period: Period,
    pub(super) max_bytes: u64,
    /// Files kept, the one that is written included.
    pub(super) kept: usize,
}

/// Which file of the log: `vedette.2026-01-31.log`, and `vedette.2026-01-31.1.log` after it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    period: String,
    number: u32,
}

impl Name {
    fn parse(file_name: &str) -> Option<Self> {
        let middle = file_name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let (period, number) = match middle.split_once('.') {
            Some((period, number)) => (period, number.parse().ok()?),
            None => (middle, 0),
        };
        // Nothing else that lies here is ours to delete.
        let is_period = matches!(period.len(), 10 | 13)
            && period.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        is_period.then(|| Self { period: period.to_owned(), number })
    }

    fn file_name(&self) -> String {
        match self.number {
            0 => format!("{PREFIX}{}{SUFFIX}", self.period),
            number => format!("{PREFIX}{}.{number}{SUFFIX}", self.period),
        }
    }

    fn next(&self) -> Self {
        Self { period: self.period.clone(), number: self.number.saturating_add(1) }
    }
}

/// The file that is written at the moment.
#[derive(Debug)]
struct Current {
    name: Name,
    file: File,
    bytes: u64,
}

/// Writes the log's files.
#[derive(Debug)]
pub(super) struct LogFiles {
    plan: Plan,
    current: Option<Current>,
    has_failed: bool,
}

impl LogFiles {
    /// Goes on with the newest file, or begins the first.
    ///
    /// # Errors
    /// When the folder or the file cannot be written.
    pub(super) fn open(plan: Plan) -> io::Result<Self> {
        let mut files = Self { plan, current: None, has_failed: false };
        files.file_for(0, Utc::now())?;
        Ok(files)
    }

    /// Writes `line` as of `now`.
    fn append(&mut self, line: &[u8], now: DateTime<Utc>) -> io::Result<()> {
        let current = self.file_for(line.len() as u64, now)?;
        let written = current.file.write_all(line);
        match written {
            Ok(()) => current.bytes += line.len() as u64,
            // Whatever became of the file, another look at the folder tells.
            Err(_) => self.current = None,
        }
        written
    }

    /// The file that takes `more_bytes` at `now`, begun if need be.
    fn file_for(&mut self, more_bytes: u64, now: DateTime<Utc>) -> io::Result<&mut Current> {
        let period = self.plan.period.of(now);
        let max_bytes = self.plan.max_bytes;
        let has_room = |bytes: u64| bytes == 0 || bytes.saturating_add(more_bytes) <= max_bytes;
        let fits = |current: &Current| current.name.period == period && has_room(current.bytes);
        match self.current.take().filter(fits) {
            Some(current) => Ok(self.current.insert(current)),
            None => {
                let folder = &self.plan.folder;
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
                let latest = names_in(folder)?.into_iter().filter(|name| name.period == period).max();
                let mut name = latest.unwrap_or(Name { period, number: 0 });
                let bytes = fs::metadata(folder.join(name.file_name())).map_or(0, |metadata| metadata.len());
                if !has_room(bytes) {
                    name = name.next();
                }
                let current = Current::open(folder, name)?;
                self.remove_oldest(&current.name);
                Ok(self.current.insert(current))
            }
        }
    }

    /// Deletes the oldest files until no more are left than are kept. One that cannot be deleted is tried again later.
    fn remove_oldest(&self, current: &Name) {
        let mut names = names_in(&self.plan.folder).unwrap_or_default();
        names.sort_unstable();
        let excess = names.len().saturating_sub(self.plan.kept);
        for name in names.into_iter().take(excess).filter(|name| name != current) {
            let _ = fs::remove_file(self.plan.folder.join(name.file_name()));
        }
    }

    /// Says on the terminal that files cannot be written, or that they can be again, once each.
    fn tell(&mut self, outcome: io::Result<()>) {
        let folder = self.plan.folder.display();
        let news = match (outcome, self.has_failed) {
            (Err(error), false) => {
                format!("log files in `{folder}` cannot be written: {error}; lines are shown here only")
            }
            (Ok(()), true) => format!("log files in `{folder}` can be written again"),
            _ => return,
        };
        self.has_failed = !self.has_failed;
        // Not by the log, which is what this is about; and a terminal that is gone is no reason to panic.
        let _ = writeln!(io::stderr(), "{news}");
    }
}

impl Current {
    fn open(folder: &Path, name: Name) -> io::Result<Self> {
        let path = folder.join(name.file_name());
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { name, file, bytes })
    }
}

impl Write for LogFiles {
    /// Takes every line, whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let outcome = self.append(line, Utc::now());
        self.tell(outcome);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn names_in(folder: &Path) -> io::Result<Vec<Name>> {
    let entries = fs::read_dir(folder)?.filter_map(Result::ok);
    Ok(entries.filter_map(|entry| Name::parse(entry.file_name().to_str()?)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn files(folder: &Path, period: Period, max_bytes: u64, kept: usize) -> LogFiles {
        let plan = Plan { folder: folder.join("logs"), period, max_bytes, kept };
        LogFiles { plan, current: None, has_failed: false }
    }

    /// Names and contents, oldest first.
    fn content(folder: &Path) -> Vec<(String, String)> {
        let folder = folder.join("logs");
        let mut names = names_in(&folder).unwrap();
        names.sort_unstable();
        let read = |name: &Name| fs::read_to_string(folder.join(name.file_name())).unwrap();
        names.iter().map(|name| (name.file_name(), read(name))).collect()
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn files_are_begun_by_time_and_by_size_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = files(folder.path(), Period::Day, 10, 3);
        for (time, line) in [
            ("2026-01-30T23:59:59Z", "one..\n"),
            ("2026-01-31T00:00:00Z", "two..\n"),
            ("2026-01-31T08:00:00Z", "3..\n"),
            ("2026-01-31T08:00:01Z", "longer than a file is to be\n"),
        ] {
            log.append(line.as_bytes(), at(time)).unwrap();
        }
        let expected = [
            pair("vedette.2026-01-30.log", "one..\n"),
            pair("vedette.2026-01-31.log", "two..\n3..\n"),
            pair("vedette.2026-01-31.1.log", "longer than a file is to be\n"),
        ];
        assert_eq!(content(folder.path()), expected, "a line is never cut");
        fs::write(folder.path().join("logs/notes.log"), "not ours").unwrap();
        log.append(b"next\n", at("2026-01-31T09:00:00Z")).unwrap();
        let names: Vec<String> = content(folder.path()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["vedette.2026-01-31.log", "vedette.2026-01-31.1.log", "vedette.2026-01-31.2.log"]);
        assert!(folder.path().join("logs/notes.log").exists());
        let mode = fs::metadata(folder.path().join("logs").join(&names[2])).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }

    #[test]
    fn many_files_of_a_day_are_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = files(folder.path(), Period::Hour, 1, 4);
        (0..12)
            .for_each(|line| log.append(format!("{line}\n").as_bytes(), at("2026-01-31T08:15:00Z")).unwrap());
        let lines: Vec<String> = content(folder.path()).into_iter().map(|(_, text)| text).collect();
        assert_eq!(lines, ["8\n", "9\n", "10\n", "11\n"]);
        assert_eq!(content(folder.path())[0].0, "vedette.2026-01-31-08.8.log");
    }

    #[test]
    fn a_restart_goes_on_with_the_newest_file() {
        let folder = tempfile::tempdir().unwrap();
        for line in ["1234\n", "5678\n", "90\n"] {
            files(folder.path(), Period::Day, 10, 3)
                .append(line.as_bytes(), at("2026-01-31T08:00:00Z"))
                .unwrap();
        }
        let expected =
            [pair("vedette.2026-01-31.log", "1234\n5678\n"), pair("vedette.2026-01-31.1.log", "90\n")];
        assert_eq!(content(folder.path()), expected);
    }

    /// `/dev/full` takes nothing, as a full disk does.
    #[test]
    fn a_full_disk_fails_nobody_and_is_got_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = files(folder.path(), Period::Day, 1 << 20, 3);
        fs::create_dir(folder.path().join("logs")).unwrap();
        let name = Name { period: Period::Day.of(Utc::now()), number: 0 };
        let path = folder.path().join("logs").join(name.file_name());
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        assert_eq!(log.write(b"lost\n").unwrap(), 5);
        assert!(log.has_failed);
        assert_eq!(log.write(b"lost, too\n").unwrap(), 10);
        fs::remove_file(path).unwrap();
        assert_eq!(log.write(b"kept\n").unwrap(), 5);
        assert!(!log.has_failed);
        let texts: String = content(folder.path()).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, "kept\n");
    }
}
