//! Runs a program to its end and tells what it cost; and what many times have in common.

use std::{
    fs::File,
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{Usage, UsageWho, getrusage};

use crate::processes;

const POLL_PAUSE: Duration = Duration::from_millis(20);

/// A program that has run.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    /// From start to end.
    pub wall: Duration,
    /// Processor time of the program and its children, user and system.
    pub cpu: Duration,
    /// Highest resident memory of the program itself.
    pub peak_memory_kib: u64,
}

impl Run {
    /// The run, if it ended well.
    ///
    /// # Errors
    /// When it did not; the message holds what it complained of.
    pub fn succeeded(self, program: &str) -> Result<Self> {
        if !self.status.success() {
            bail!("{program} ended ({}): {}", self.status, self.stderr.trim());
        }
        Ok(self)
    }
}

/// Runs `command` to its end. Meanwhile this process must wait for no other child: the costs would be mixed.
///
/// # Errors
/// When it cannot be started or what it prints is not text.
pub fn run(command: &mut Command) -> Result<Run> {
    let folder = tempfile::tempdir()?;
    let (stdout, stderr) = (folder.path().join("stdout"), folder.path().join("stderr"));
    command.stdin(Stdio::null()).stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);

    let cpu_before = children_cpu()?;
    let start = Instant::now();
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("cannot run {program}"))?;
    let mut peak_memory_kib = 0;
    let status = loop {
        // Gone once the process has ended: the last figure seen is the peak.
        peak_memory_kib = processes::peak_memory_kib(child.id()).unwrap_or(0).max(peak_memory_kib);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(POLL_PAUSE);
    };
    let wall = start.elapsed();
    let cpu = children_cpu()?.saturating_sub(cpu_before);
    let (stdout, stderr) = (std::fs::read_to_string(stdout)?, std::fs::read_to_string(stderr)?);
    Ok(Run { status, stdout, stderr, wall, cpu, peak_memory_kib })
}

/// The time within which this share (0…1) of `sorted` times lies; zero if there are none.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

fn children_cpu() -> Result<Duration> {
    let usage =
        getrusage(UsageWho::RUSAGE_CHILDREN).context("the system does not tell the processor time")?;
    Ok(cpu_of(&usage))
}

/// Processor time, user and system.
pub(crate) fn cpu_of(usage: &Usage) -> Duration {
    let microseconds = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_usec()).unwrap_or(0)
    };
    Duration::from_micros(microseconds(usage.user_time()) + microseconds(usage.system_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_program_costs_time_and_memory() -> Result<()> {
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $i; echo done >&2";
        let run = run(Command::new("sh").args(["-c", script]))?.succeeded("sh")?;
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("200000\n", "done\n"));
        assert!(run.cpu > Duration::ZERO && run.peak_memory_kib > 0, "{run:?}");
        Ok(())
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        let shares = [0.0, 0.5, 0.99, 1.0].map(|share| percentile(&times, share).as_millis());
        assert_eq!(shares, [1, 100, 198, 200]);
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn a_failing_program_is_an_error_with_its_own_words() -> Result<()> {
        let run = run(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"]))?;
        let error = run.succeeded("the script").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("the script") && error.contains("no such thing"), "{error}");
        Ok(())
    }
}
