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
/// Guesses it must withstand from someone who knows the common passwords and the user's names. This keeps out
/// single words, names, dates, repetitions and rows of keys; a second part of any kind is enough to pass.
const MIN_GUESSES: u64 = 10_000;
/// As much of a password is judged: the effort grows with the cube of the length, and a common beginning of this
/// length is reason enough.
const MAX_JUDGED_CHARS: usize = 24;
/// Sign-ins checked at the same time.
const MAX_PARALLEL: usize = 2;

static PERMITS: Semaphore = Semaphore::const_new(MAX_PARALLEL);

/// A hash no password has, checked when there is no user of a name, so that the answer takes as long.
static NOBODYS_HASH: LazyLock<Option<String>> =
    LazyLock::new(|| hash_now(&uuid::Uuid::new_v4().to_string()).ok());

/// Whether `password` is good enough to be set by a user of these names and mail addresses.
///
/// # Errors
/// With what is wrong with it, for `field`.
pub async fn validate(field: &str, password: &str, names: &[Option<&str>]) -> Result<(), ApiError> {
    if password.chars().count() < MIN_CHARS {
        return Err(ApiError::validation(field, format!("must have at least {MIN_CHARS} characters")));
    }
    if password.len() > MAX_BYTES {
        return Err(ApiError::validation(field, format!("must have at most {MAX_BYTES} bytes")));
    }
    let mut own_words: Vec<&str> = names.iter().copied().flatten().collect();
    let mailboxes = own_words.iter().filter_map(|name| Some(name.rsplit_once('@')?.0)).collect::<Vec<_>>();
    own_words.extend(mailboxes);
    let lower_case = password.to_lowercase();
    if own_words.iter().any(|word| lower_case == word.to_lowercase()) {
        return Err(ApiError::validation(field, "must not be the user name or the e-mail address"));
    }
    let judged: String = password.chars().take(MAX_JUDGED_CHARS).collect();
    let own_words: Vec<String> = own_words.into_iter().map(str::to_owned).collect();
    let count_guesses = move || {
        let own_words: Vec<&str> = own_words.iter().map(String::as_str).collect();
        zxcvbn::zxcvbn(&judged, &own_words).guesses()
    };
    if off_thread(count_guesses).await? < MIN_GUESSES {
        let message = "is one of the first that would be tried: use several words, or a longer one";
        return Err(ApiError::validation(field, message));
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
        // Asked for in either case: it is made at the first call, which must not betray that a name is unknown.
        let nobodys_hash = NOBODYS_HASH.clone();
        let Some(hash) = hash.or(nobodys_hash) else { return false };
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

    #[tokio::test]
    async fn short_and_endless_passwords_are_refused() {
        assert!(validate("new_password", "xk3.9vB", &[]).await.is_err());
        assert!(validate("new_password", "xk3.9vBq", &[]).await.is_ok());
        assert!(validate("new_password", &"x9.".repeat(MAX_BYTES), &[]).await.is_err());
    }

    #[tokio::test]
    async fn passwords_that_would_be_tried_first_are_refused() {
        let names = [Some("ada.lovelace"), Some("countess@example.org")];
        let refused = async |password: &str| validate("password", password, &names).await.err();
        for password in [
            "password",
            "Password1",
            "12345678",
            "qwertyuiop",
            "aaaaaaaaaaaa",
            "iloveyou",
            "p4ssw0rd",
            "19841984",
        ] {
            let error = refused(password).await.unwrap_or_else(|| panic!("{password} is too common"));
            assert!(error.message().contains("would be tried"), "{password}: {}", error.message());
        }
        for password in ["ada.lovelace", "Ada.Lovelace", "countess", "countess@example.org"] {
            let error = refused(password).await.unwrap_or_else(|| panic!("{password} is a name"));
            assert!(error.message().contains("user name"), "{}", error.message());
        }
        for password in
            ["correct horse", "Operator123!", "a good password", "tr0ub4dor&3", "päßwörter im zug"]
        {
            assert!(refused(password).await.is_none(), "{password}");
        }
    }

    /// The time itself depends on the machine; what it is spent on does not.
    #[test]
    fn a_name_nobody_has_costs_as_much_as_a_wrong_password() {
        let cost = |hash: &str| {
            let hash = PasswordHash::new(hash).unwrap();
            (hash.algorithm, hash.version, hash.params.to_string())
        };
        let someones = hash_now("somebody's password").unwrap();
        assert_eq!(cost(NOBODYS_HASH.as_deref().unwrap()), cost(&someones));
    }
}
