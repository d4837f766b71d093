//! Passwords: what is good enough, and how they are kept (Argon2id).
//!
//! Hashing takes tens of milliseconds and megabytes on purpose, so it runs off the async threads, and only a few
//! at a time: a flood of sign-ins must not eat the memory cameras need.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use rand::RngCore as _;
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// Shortest password.
const MIN_CHARS: usize = 8;
/// Longest password; hashing reads all of it.
const MAX_BYTES: usize = 256;
/// Sign-ins checked at the same time.
const MAX_PARALLEL: usize = 2;

static PERMITS: Semaphore = Semaphore::const_new(MAX_PARALLEL);

/// A hash no password has, checked when there is no user of a name, so that the answer takes as long.
static NOBODYS_HASH: LazyLock<Option<String>> =
    LazyLock::new(|| hash_now(&uuid::Uuid::new_v4().to_string()).ok());

/// Whether `password` is good enough to be set.
///
/// # Errors
/// With what is wrong with it, for `field`.
pub fn validate(field: &str, password: &str) -> Result<(), ApiError> {
    if password.chars().count() < MIN_CHARS {
        return Err(ApiError::validation(field, format!("must have at least {MIN_CHARS} characters")));
    }
    if password.len() > MAX_BYTES {
        return Err(ApiError::validation(field, format!("must have at most {MAX_BYTES} bytes")));
    }
    Ok(())
}

/// The hash to keep of `password`.
///
/// # Errors
/// When the system has no randomness or no memory to give.
pub async fn hash(password: String) -> Result<String, ApiError> {
    off_thread(move || hash_now(&password)).await?.map_err(ApiError::internal)
}

/// Whether `password` is the one behind `hash`; with no hash the answer is no, after as much work.
pub(super) async fn verify(password: String, hash: Option<String>) -> Result<bool, ApiError> {
    off_thread(move || {
        let is_known = hash.is_some();
        let Some(hash) = hash.or_else(|| NOBODYS_HASH.clone()) else { return false };
        if password.len() > MAX_BYTES {
            return false;
        }
        is_known & verify_now(&password, &hash)
    })
    .await
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let _permit = PERMITS.acquire().await.map_err(ApiError::internal)?;
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)
}

fn hash_now(password: &str) -> Result<String, argon2::password_hash::Error> {
    let mut salt = [0_u8; 16];
    rand::rng().fill_bytes(&mut salt);
    let hash: PasswordHash = argon2id().hash_password_with_salt(password.as_bytes(), &salt)?;
    Ok(hash.to_string())
}

fn verify_now(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| argon2id().verify_password(password.as_bytes(), &hash).is_ok())
}

/// 19 MiB, two passes, one lane: OWASP's least for Argon2id, which is also the crate's default.
fn argon2id() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_fits() {
        let hash = hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify("correct horse".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!verify("correct hors".to_owned(), Some(hash)).await.unwrap());
        assert!(!verify("correct horse".to_owned(), None).await.unwrap());
        assert!(!verify("correct horse".to_owned(), Some("no hash".to_owned())).await.unwrap());
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(validate("new_password", "1234567").is_err());
        assert!(validate("new_password", "12345678").is_ok());
        assert!(validate("new_password", &"x".repeat(MAX_BYTES + 1)).is_err());
    }
}
