//! The `vedette` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[allow(unsafe_code, reason = "there is no thread yet")]
    // SAFETY: this is the first line of the program; it has one thread.
    unsafe {
        vedette_models::forbid_telemetry();
    }
    #[cfg(target_env = "gnu")]
    give_memory_back();
    vedette::cli::main()
}

/// Returns large blocks to the system as soon as they are freed. Left to itself, glibc keeps whatever is no larger than
/// the largest block freed so far: what it took to read the models and to check a few passwords would stay for good,
/// 140 MB that nobody uses.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "there is no safe way to set up the C library's allocator")]
fn give_memory_back() {
    use nix::libc::{M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, mallopt};
    /// Mapped on their own; smaller ones, such as a decoded photo of usual size, are kept at hand.
    const LARGE_BYTES: i32 = 1 << 20;
    /// Kept at the end of each heap.
    const SPARE_BYTES: i32 = 8 << 20;
    // SAFETY: sets two numbers of the allocator, before there is a second thread.
    unsafe {
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
        mallopt(M_TRIM_THRESHOLD, SPARE_BYTES);
    }
}
