//! A look at the processes of this machine, through `/proc`.

use std::fs;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Sends a signal; a process that is gone already is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().filter(|pid| *pid > 0) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Whether the process runs: neither gone nor dead and merely not yet waited for.
pub fn is_running(pid: u32) -> bool {
    status_field(pid, "State:").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// Running children of a process that go by `name`.
pub fn children(parent: u32, name: &str) -> Vec<u32> {
    running().filter(|pid| is_child(*pid, parent) && has_name(*pid, name)).collect()
}

/// Every running process with `text` in its command line.
pub fn with_argument(text: &str) -> Vec<u32> {
    let names = |pid: &u32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
    };
    running().filter(names).collect()
}

/// Highest resident memory of a process so far, in KiB.
pub fn peak_memory_kib(pid: u32) -> Option<u64> {
    kib(pid, "VmHWM:")
}

/// Resident memory of a process now, in KiB.
pub fn memory_kib(pid: u32) -> Option<u64> {
    kib(pid, "VmRSS:")
}

fn kib(pid: u32, key: &str) -> Option<u64> {
    status_field(pid, key)?.split_whitespace().next()?.parse().ok()
}

fn running() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| is_running(*pid))
}

fn is_child(pid: u32, parent: u32) -> bool {
    status_field(pid, "PPid:").is_some_and(|field| field == parent.to_string())
}

fn has_name(pid: u32, name: &str) -> bool {
    status_field(pid, "Name:").is_some_and(|field| field == name)
}

fn status_field(pid: u32, key: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_is_seen_until_it_is_killed() {
        let mut child = Command::new("sleep").arg("61.25").stdin(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        assert!(is_running(pid));
        let myself = std::process::id();
        assert!(memory_kib(myself).unwrap() > 0);
        assert!(peak_memory_kib(myself).unwrap() >= memory_kib(myself).unwrap());

        signal(pid, Signal::SIGKILL);
        child.wait().unwrap();
        assert!(!is_running(pid));
        assert!(children(std::process::id(), "sleep").is_empty());
    }
}
