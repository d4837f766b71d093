//! Secrets made up when nobody gave any.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use rand::distr::{Alphanumeric, SampleString as _};
use secrecy::SecretString;

/// Length of what is made up: 256 bits and more.
const LENGTH: usize = 48;
/// A first password someone has to type.
const PASSWORD_LENGTH: usize = 20;

/// A secret for a program.
pub fn random() -> SecretString {
    Alphanumeric.sample_string(&mut rand::rng(), LENGTH).into()
}

/// A password for a person.
pub fn random_password() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH)
}

/// The secret kept in `file`, made up and written at the first call, readable by nobody else.
///
/// # Errors
/// When the file cannot be read or written, or holds too little to be a secret.
pub fn kept_in(file: &Path) -> Result<SecretString> {
    let cannot = |action: &str| format!("cannot {action} the secret in `{}`", file.display());
    let made_up = Alphanumeric.sample_string(&mut rand::rng(), LENGTH);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(mut opened) => {
            opened.write_all(made_up.as_bytes()).with_context(|| cannot("write"))?;
            Ok(made_up.into())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let kept = fs::read_to_string(file).with_context(|| cannot("read"))?;
            let is_usable = kept.trim().len() >= LENGTH;
            anyhow::ensure!(
                is_usable,
                "`{}` is damaged: delete it, and everyone signs in again",
                file.display()
            );
            Ok(kept.trim().into())
        }
        Err(error) => Err(error).with_context(|| cannot("write")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use secrecy::ExposeSecret as _;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_kept_secret_stays_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jwt.secret");
        let first = kept_in(&file).unwrap();
        assert_eq!(first.expose_secret(), kept_in(&file).unwrap().expose_secret());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, "short").unwrap();
        assert!(kept_in(&file).unwrap_err().to_string().contains("damaged"));
    }
}
