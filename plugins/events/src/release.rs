//! Which Vedette this is: what programs answer to `--version`, in health and in their heartbeats.

/// The version, as of all of Vedette's parts.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, with a `+` behind it if files had been changed since; `RELEASE` outside a checkout.
pub const COMMIT: &str = env!("COMMIT_ID");
/// The commit's date; outside a checkout that of the sources.
pub const DATE: &str = env!("BUILD_REL_DATE");
/// All of it in a line.
pub const FULL_VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("COMMIT_ID"), ", ", env!("BUILD_REL_DATE"), ")");
