//! How much memory glibc holds back. Threads get heaps of their own, up to eight for each core, and what lies free in one is
//! no use to another. A worker starts threads with every pipeline, for months: over 540 reconnects of six cameras it grew
//! from 206 to 275 MB, and to 212 MB with as many heaps as cores.
//!
//! Having large blocks mapped one by one holds less still (157 MB), but then every frame of a decoder that renders into our
//! buffers is mapped and faulted in anew, which takes a millisecond.

/// Limits the heaps to as many as there are cores; to be called before there are threads.
#[cfg(target_env = "gnu")]
pub fn limit_heaps() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    #[allow(unsafe_code, reason = "the setting is a function of the C library")]
    // SAFETY: it sets a number of the allocator, which takes its own locks.
    unsafe {
        nix::libc::mallopt(nix::libc::M_ARENA_MAX, cores.try_into().unwrap_or(i32::MAX));
    }
}

/// Other C libraries have their own ways.
#[cfg(not(target_env = "gnu"))]
pub fn limit_heaps() {}
