//! Crashes and hangs of workers, and whose they were. A worker that runs forty cameras must not die again and again of
//! one of them: who takes it down twice within a minute is left out until somebody starts that camera again.
//!
//! It is written down in a file of the data folder, line by line as it happens, since a process that dies has no time for
//! more ([`crate::fatal`]), and read when the next worker starts:
//!
//! ```text
//! owner 3 12 door                                 threads with the owner 3 work for run 12 of the camera `door`
//! signal 3 11 1790000000                          one of them was the end of the worker, by signal 11
//! hang 3 1790000000 1790000030 running the model  … or the worker gave up on one of them
//! death 12 1790000000 1790000030 door SIGSEGV     what was known of an earlier worker's end when this one began
//! lifted door                                     whatever stands above of this camera counts no more
//! ```

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gstvedette::owner::Owner;
use gstvedette::watched::Work;
use nix::sys::signal::Signal;
use vedette_events::CameraAssignment;

use crate::fatal;
use crate::launch::check_camera_id;

/// The file's name in the data folder.
const FILE: &str = "crashes";
/// Two ends of the worker in this time are one too many.
const WINDOW_S: u64 = 60;

/// One end of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Death {
    camera: String,
    run: u64,
    /// When what led to it began; a crash takes no time, a hang is noticed late.
    began_s: u64,
    at_s: u64,
    cause: String,
}

/// What is known of the ends of this host's workers, and who owns which threads of this one. By default nothing is
/// known, and nothing is kept.
#[derive(Debug, Default)]
pub struct Crashes {
    file: Option<File>,
    deaths: Vec<Death>,
    owners: HashMap<u16, (String, u64)>,
    last_owner: u16,
}

impl Crashes {
    /// Reads what earlier workers left in `data_dir`, tells of it, and keeps what still counts.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        let content = match std::fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let found = Found::read(&String::from_utf8_lossy(&content));
        found.tell();
        let mut deaths = found.deaths;
        let now_s = now_s();
        let all = deaths.clone();
        deaths.retain(|death| {
            now_s.saturating_sub(death.at_s) <= WINDOW_S || is_quarantined(&all, &death.camera, death.run)
        });
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.set_len(0)?;
        deaths.iter().try_for_each(|death| file.write_all(death.line().as_bytes()))?;
        Ok(Self { file: Some(file), deaths, ..Self::default() })
    }

    /// Has this process write down what signal ends it, should one.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn record_faults(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), fatal::write_to)
    }

    /// Why the camera is not to run, if it is not.
    pub(crate) fn quarantine(&self, camera: &CameraAssignment) -> Option<String> {
        let of_camera = |death: &&Death| death.is_of(&camera.camera_id, camera.run);
        let last = self.deaths.iter().rfind(of_camera)?;
        is_quarantined(&self.deaths, &camera.camera_id, camera.run).then(|| {
            format!(
                "quarantined: what decodes or analyses its pictures took down the worker, and every other camera with \
                 it, twice within a minute, the last time by {}. Starting the camera again tries it once more",
                last.cause
            )
        })
    }

    /// Whom the threads of a camera that starts now work for.
    pub(crate) fn owner_of(&mut self, camera: &CameraAssignment) -> Owner {
        // A line holds no other; such a camera does not get as far as a pipeline.
        if check_camera_id(&camera.camera_id).is_err() {
            return Owner::NOBODY;
        }
        // Who had a number thousands of starts ago is gone.
        self.last_owner = self.last_owner % Owner::LAST + 1;
        self.write(&format!("owner {} {} {}\n", self.last_owner, camera.run, camera.camera_id));
        self.owners.insert(self.last_owner, (camera.camera_id.clone(), camera.run));
        Owner::new(self.last_owner)
    }

    /// Writes down that this worker ends because of `work`; whose it is.
    pub(crate) fn hung(&mut self, work: &Work) -> Option<&str> {
        let (owner, at_s) = (work.owner.number(), now_s());
        let began_s = at_s.saturating_sub(work.since.elapsed().as_secs());
        self.write(&format!("hang {owner} {began_s} {at_s} {}\n", work.what.replace('\n', " ")));
        self.owners.get(&owner).map(|(camera, _)| camera.as_str())
    }

    /// Forgets what is known of cameras that are not to run, or are another run now.
    pub(crate) fn keep_only(&mut self, is_assigned: impl Fn(&str, u64) -> bool) {
        let gone = |death: &mut Death| !is_assigned(&death.camera, death.run);
        let gone: Vec<Death> = self.deaths.extract_if(.., gone).collect();
        for death in gone {
            self.write(&format!("lifted {}\n", death.camera));
        }
    }

    fn write(&mut self, line: &str) {
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            tracing::warn!(%error, "whose faults crashes are cannot be written down");
        }
    }
}

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    deaths: Vec<Death>,
    /// How many of them earlier workers have told of.
    told: usize,
    /// Causes of ends that were nobody's.
    unexplained: Vec<String>,
}

impl Found {
    /// Lines that cannot be read, such as one that was not written to its end, say nothing.
    fn read(text: &str) -> Self {
        let (mut found, mut owners) = (Self::default(), HashMap::new());
        for line in text.lines() {
            found.read_line(line, &mut owners);
        }
        found
    }

    fn read_line<'a>(&mut self, line: &'a str, owners: &mut HashMap<u64, (&'a str, u64)>) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "owner" => {
                let ([owner, run], camera) = numbers(rest)?;
                owners.insert(owner, (camera, run));
            }
            fatal::WORD => {
                let ([owner, signal, at_s], _) = numbers(rest)?;
                let name = i32::try_from(signal).ok().and_then(|number| Signal::try_from(number).ok());
                let cause = name.map_or_else(|| format!("signal {signal}"), |name| name.as_str().into());
                self.add(owners.get(&owner), at_s, at_s, cause);
            }
            "hang" => {
                let ([owner, began_s, at_s], what) = numbers(rest)?;
                let lasted = Duration::from_secs(at_s.saturating_sub(began_s));
                self.add(owners.get(&owner), began_s, at_s, hang(what, lasted));
            }
            "death" => {
                let ([run, began_s, at_s], rest) = numbers(rest)?;
                let (camera, cause) = rest.split_once(' ')?;
                self.add(Some(&(camera, run)), began_s, at_s, cause.into());
                self.told = self.deaths.len();
            }
            "lifted" => {
                self.deaths.retain(|death| death.camera != rest);
                self.told = self.told.min(self.deaths.len());
            }
            _ => (),
        }
        Some(())
    }

    fn add(&mut self, owner: Option<&(&str, u64)>, began_s: u64, at_s: u64, cause: String) {
        match owner {
            Some(&(camera, run)) => {
                self.deaths.push(Death { camera: camera.into(), run, began_s, at_s, cause });
            }
            None => self.unexplained.push(cause),
        }
    }

    fn tell(&self) {
        for Death { camera, run, cause, .. } in self.deaths.iter().skip(self.told) {
            tracing::error!(camera, run, "this camera was the end of the worker before this one, by {cause}");
        }
        for cause in &self.unexplained {
            tracing::error!(
                "the worker before this one came to its end, through no camera in particular, by {cause}"
            );
        }
    }
}

impl Death {
    fn is_of(&self, camera: &str, run: u64) -> bool {
        self.run == run && self.camera == camera
    }

    fn line(&self) -> String {
        let Self { camera, run, began_s, at_s, cause } = self;
        format!("death {run} {began_s} {at_s} {camera} {cause}\n")
    }
}

/// How a hang is told of.
pub(crate) fn hang(what: &str, lasted: Duration) -> String {
    format!("{what}, which had not come to an end after {} s", lasted.as_secs())
}

/// Whether a camera's run was the end of two workers within [`WINDOW_S`].
fn is_quarantined(deaths: &[Death], camera: &str, run: u64) -> bool {
    let of_camera: Vec<&Death> = deaths.iter().filter(|death| death.is_of(camera, run)).collect();
    of_camera.windows(2).any(|pair| pair[1].began_s.abs_diff(pair[0].at_s) <= WINDOW_S)
}

/// So many numbers, each with a space behind it but the last of a line, and what follows.
fn numbers<const N: usize>(text: &str) -> Option<([u64; N], &str)> {
    let (mut numbers, mut rest) = ([0; N], text);
    for number in &mut numbers {
        let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        *number = word.parse().ok()?;
        rest = behind;
    }
    Some((numbers, rest))
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use vedette_events::PipelineSettings;

    use super::*;

    fn camera(camera_id: &str, run: u64) -> CameraAssignment {
        let settings = PipelineSettings::default();
        CameraAssignment { camera_id: camera_id.into(), run, url: String::new(), looped: false, settings }
    }

    /// What the next worker knows after the present one wrote these lines.
    fn after(folder: &Path, lines: &str) -> Crashes {
        let mut file = OpenOptions::new().append(true).create(true).open(folder.join(FILE)).unwrap();
        file.write_all(lines.as_bytes()).unwrap();
        Crashes::open(folder).unwrap()
    }

    #[test]
    fn who_crashes_the_worker_twice_within_a_minute_is_left_out_until_it_is_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let now_s = now_s();
        let mut crashes = Crashes::open(folder.path()).unwrap();
        let owner = crashes.owner_of(&camera("door", 3)).number();
        crashes.owner_of(&camera("yard", 1));
        let crashes = after(folder.path(), &format!("signal {owner} 11 {}\n", now_s - 40));
        assert_eq!(crashes.quarantine(&camera("door", 3)), None, "once");

        let crashes = after(folder.path(), &format!("owner 9 3 door\nsignal 9 6 {now_s}\n"));
        let reason = crashes.quarantine(&camera("door", 3)).unwrap();
        assert!(reason.starts_with("quarantined: ") && reason.contains("SIGABRT"), "{reason}");
        assert_eq!(crashes.quarantine(&camera("door", 4)), None, "a new start");
        assert_eq!(crashes.quarantine(&camera("yard", 1)), None, "another camera");

        let mut crashes = after(folder.path(), "");
        assert_eq!(crashes.quarantine(&camera("door", 3)), Some(reason), "the next worker knows, too");
        crashes.keep_only(|_, run| run == 4);
        assert_eq!(crashes.quarantine(&camera("door", 3)), None);
        assert_eq!(after(folder.path(), "").deaths, [], "nor does the next one remember");
    }

    #[test]
    fn crashes_far_apart_and_those_of_nobody_count_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (now_s, owner) = (now_s(), "owner 1 3 door\n");
        let lines = format!("{owner}signal 1 11 {}\nsignal 1 11 {}\n", now_s - 100, now_s - 30);
        assert_eq!(after(folder.path(), &lines).quarantine(&camera("door", 3)), None);

        let lines = format!("{owner}signal 0 11 {now_s}\nsignal 0 11 {now_s}\nsignal 2 11 {now_s}\nsignal 1");
        let found = Found::read(&lines);
        assert_eq!((found.deaths.len(), found.unexplained.len()), (0, 3));
    }

    #[test]
    fn a_hang_counts_from_its_beginning() {
        let lines = "owner 1 3 door\nsignal 1 11 1000\nhang 1 1055 1090 running the model x\n";
        let deaths = Found::read(lines).deaths;
        assert!(is_quarantined(&deaths, "door", 3));
        let told = "running the model x, which had not come to an end after 35 s";
        assert_eq!(deaths[1].cause, told);
        let kept: String = deaths.iter().map(Death::line).collect();
        let again = Found::read(&kept);
        assert_eq!((again.told, &again.deaths), (2, &deaths), "kept lines say the same, and are told once");
    }
}
