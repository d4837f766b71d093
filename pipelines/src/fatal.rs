//! What this process does when a fault ends it: it writes down which signal it was and for whom the guilty thread
//! worked, and dies as it would have anyway.
//!
//! What runs in the handler is allowed there (signal-safety(7)): it asks the kernel for two numbers, formats them into
//! memory of its own and writes once to a file that was opened before.

#![allow(unsafe_code, reason = "signal handlers are set up and run outside of what the compiler checks")]

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::IntoRawFd as _;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use gstvedette::owner::Owner;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// First word of the line that is written: `signal OWNER SIGNAL UNIX_TIME_S`.
pub(crate) const WORD: &str = "signal";

/// What a fault in a library ends a process with.
const FAULTS: [Signal; 7] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGABRT,
    Signal::SIGTRAP,
    Signal::SIGSYS,
];

/// The file to write to.
static FILE: AtomicI32 = AtomicI32::new(-1);

/// Has a fault of this process written to the end of `file`.
pub(crate) fn write_to(file: &File) -> io::Result<()> {
    // Never closed: a fault may come until the very end.
    FILE.store(file.try_clone()?.into_raw_fd(), Ordering::Release);
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(on_fault), flags, SigSet::empty());
    for signal in FAULTS {
        // SAFETY: the handler does nothing but what is allowed in one.
        unsafe { sigaction(signal, &action)? };
    }
    // SAFETY: it sets a flag. GStreamer's own handler, in force while it loads a plugin, would hide whose fault it was.
    unsafe { gst::ffi::gst_segtrap_set_enabled(gst::glib::ffi::GFALSE) };
    Ok(())
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    static HAS_WRITTEN: AtomicBool = AtomicBool::new(false);
    // Other threads may stumble over the same fault before the process is gone.
    if !HAS_WRITTEN.swap(true, Ordering::AcqRel) {
        // SAFETY: the kernel passes a description of the signal, or nothing.
        let code = unsafe { info.as_ref() }.map_or(libc::SI_USER, |info| info.si_code);
        // A signal to the process ends up in any of its threads.
        let is_of_thread = code > 0 || code == libc::SI_TKILL;
        let owner = if is_of_thread { Owner::current() } else { Owner::NOBODY };
        // SAFETY: it asks the kernel, and writes nowhere.
        let now_s = unsafe { libc::time(std::ptr::null_mut()) };
        let mut line = [0_u8; 64];
        let mut rest = &mut line[..];
        // 64 bytes are enough for the longest numbers.
        let _ = writeln!(rest, "{WORD} {} {signal} {now_s}", owner.number());
        let unused = rest.len();
        // SAFETY: the buffer is as long as is said; without a file the kernel refuses the number -1.
        unsafe { libc::write(FILE.load(Ordering::Acquire), line.as_ptr().cast(), line.len() - unused) };
    }
    // SAFETY: both may be called in a handler. The signal arrives again as soon as this one returns, and finds its
    // usual end.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}
