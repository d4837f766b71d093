//! For whom a thread works: a number that each thread carries and hands down to the threads it starts, also where a C
//! library starts them, so that a crash in any of them can be laid at somebody's door.
//!
//! The kernel keeps it, in the thread's timer slack (prctl(2), `PR_SET_TIMERSLACK`): the one number of a thread that it
//! may choose, that others inherit, and that a signal handler may ask for. Slack is by how much the thread's timers may be
//! late, 50 µs as a rule; an owner adds up to 4 µs. Elsewhere than on Linux every thread is nobody's.

/// The usual slack of a thread.
const USUAL_SLACK_NS: u32 = 50_000;

/// Whoever a thread works for, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner(u16);

impl Owner {
    /// Of threads that work for nobody, or for everybody.
    pub const NOBODY: Self = Self(0);

    /// The highest number there may be.
    pub const LAST: u16 = 4095;

    /// The owner with that number; nobody from [`Owner::LAST`] on.
    pub fn new(number: u16) -> Self {
        if number <= Self::LAST { Self(number) } else { Self::NOBODY }
    }

    /// Its number; 0 is nobody's.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Whom the current thread works for. May be asked by a signal handler.
    pub fn current() -> Self {
        let above = slack_ns().and_then(|slack_ns| slack_ns.checked_sub(USUAL_SLACK_NS));
        above.and_then(|above| u16::try_from(above).ok()).map_or(Self::NOBODY, Self::new)
    }

    /// Has the current thread work for this owner from now on, and every thread that it will start.
    pub fn adopt(self) {
        // So that slack which somebody else chose stays, where no owner was ever set.
        if Self::current() != self {
            set_slack_ns(USUAL_SLACK_NS + u32::from(self.0));
        }
    }

    /// Has the current thread work for this owner until the answer is dropped.
    #[must_use]
    pub fn hire(self) -> Duty {
        let before = Self::current();
        self.adopt();
        Duty { before }
    }
}

/// Work for an owner, until it is dropped.
#[derive(Debug)]
pub struct Duty {
    before: Owner,
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.before.adopt();
    }
}

#[cfg(target_os = "linux")]
fn slack_ns() -> Option<u32> {
    nix::sys::prctl::get_timerslack().ok().and_then(|slack_ns| slack_ns.try_into().ok())
}

#[cfg(target_os = "linux")]
fn set_slack_ns(slack_ns: u32) {
    // A kernel that refuses leaves the thread nobody's.
    let _ = nix::sys::prctl::set_timerslack(slack_ns.into());
}

#[cfg(not(target_os = "linux"))]
fn slack_ns() -> Option<u32> {
    None
}

#[cfg(not(target_os = "linux"))]
fn set_slack_ns(_: u32) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn threads_inherit_their_owner_and_go_back_to_the_former_one() {
        let seen = std::thread::spawn(|| {
            let first = Owner::current();
            Owner::new(17).adopt();
            let inherited = std::thread::spawn(Owner::current).join().unwrap();
            let during = {
                let _duty = Owner::new(4).hire();
                Owner::current()
            };
            (first, inherited, during, Owner::current())
        });
        let expected = (Owner::NOBODY, Owner::new(17), Owner::new(4), Owner::new(17));
        assert_eq!(seen.join().unwrap(), expected);
        assert_eq!(Owner::current(), Owner::NOBODY, "other threads are not concerned");
        assert_eq!(Owner::new(Owner::LAST + 1), Owner::NOBODY);
    }
}
