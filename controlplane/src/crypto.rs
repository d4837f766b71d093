//! Encryption of what would tell most if the database were stolen: face templates, and the addresses of cameras with
//! their passwords and of webhooks with their secrets.
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): its nonces are long enough to be drawn at random however many rows
//! there are. What is sealed names the key it was sealed with and is bound to its place, so that a template put into
//! somebody else's row does not open. [`ring`] says where keys come from.

mod reseal;
mod ring;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use rand::RngCore as _;
use thiserror::Error;
use uuid::Uuid;

pub use reseal::{Resealed, check, reseal};
pub use ring::{Keys, Rotation};

use crate::error::ApiError;
use ring::{Key, KeyId};

/// What sealed bytes begin with.
const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;
/// What sealed text begins with; nothing that is a camera's URL does.
const TEXT_PREFIX: &str = "sealed:";

/// Where something is kept; it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// The template of a photo, by the photo's id.
    Template(Uuid),
    /// The embedding of a stranger, by its event's id.
    Stranger(Uuid),
    /// The source of a camera, by the camera's id.
    CameraUrl(&'a str),
    /// What a worker is to do, by the errand's id.
    Errand(Uuid),
    /// URL and secret of a webhook, by the alert rule's id.
    Webhook(Uuid),
    /// What opens the live pictures of a camera for a moment, by the camera's id.
    Ticket(&'a str),
}

impl Place<'_> {
    fn label(self) -> String {
        match self {
            Self::Template(id) => format!("template {id}"),
            Self::Stranger(id) => format!("stranger {id}"),
            Self::CameraUrl(id) => format!("camera {id}"),
            Self::Errand(id) => format!("errand {id}"),
            Self::Webhook(id) => format!("webhook {id}"),
            Self::Ticket(id) => format!("ticket {id}"),
        }
    }
}

/// Why something sealed does not open.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SealError {
    /// None of our keys is the one it names.
    #[error(
        "it is sealed with the key {0}, which is not at hand: set VEDETTE_KEY (or VEDETTE_KEY_PREVIOUS) to it, or put \
         the key file back"
    )]
    UnknownKey(String),
    /// It is not what was sealed, or not at its place.
    #[error("it is damaged, or was moved here from elsewhere")]
    Damaged,
}

impl From<SealError> for ApiError {
    fn from(error: SealError) -> Self {
        Self::internal(error)
    }
}

impl Keys {
    /// `plain`, to be kept at `place`.
    ///
    /// # Errors
    /// When the cipher refuses, which it does for no length we have.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.current();
        let mut nonce = [0_u8; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let label = place.label();
        let payload = Payload { msg: plain, aad: label.as_bytes() };
        let sealed = cipher(&key).encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Damaged)?;
        Ok([&[VERSION], key.id().as_bytes(), &nonce[..], &sealed].concat())
    }

    /// What was sealed at `place`.
    ///
    /// # Errors
    /// When the key is not at hand, or the bytes are not what was sealed there.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let id = key_id(sealed).ok_or(SealError::Damaged)?;
        let key = self.find(id).ok_or_else(|| SealError::UnknownKey(id.to_string()))?;
        let (head, sealed) = sealed.split_at_checked(HEAD_BYTES).ok_or(SealError::Damaged)?;
        let nonce: [u8; NONCE_BYTES] = head[1 + KEY_ID_BYTES..].try_into().map_err(|_| SealError::Damaged)?;
        let label = place.label();
        let payload = Payload { msg: sealed, aad: label.as_bytes() };
        cipher(&key).decrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Damaged)
    }

    /// [`Keys::seal`] for columns of text.
    ///
    /// # Errors
    /// As [`Keys::seal`].
    pub fn seal_text(&self, place: Place<'_>, plain: &str) -> Result<String, SealError> {
        Ok(format!("{TEXT_PREFIX}{}", STANDARD.encode(self.seal(place, plain.as_bytes())?)))
    }

    /// [`Keys::open`] for columns of text.
    ///
    /// # Errors
    /// As [`Keys::open`].
    pub fn open_text(&self, place: Place<'_>, sealed: &str) -> Result<String, SealError> {
        let sealed = sealed_bytes(sealed).ok_or(SealError::Damaged)?;
        String::from_utf8(self.open(place, &sealed)?).map_err(|_| SealError::Damaged)
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

/// The key something is sealed with.
fn key_id(sealed: &[u8]) -> Option<KeyId> {
    let id = sealed.strip_prefix(&[VERSION])?.first_chunk::<KEY_ID_BYTES>()?;
    Some(KeyId::from(*id))
}

/// The bytes behind sealed text; `None` for text that is not sealed.
fn sealed_bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.strip_prefix(TEXT_PREFIX)?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use secrecy::SecretString;

    fn key(byte: u8) -> SecretString {
        STANDARD.encode([byte; 32]).into()
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_only() {
        let keys = Keys::given(&key(1), &[]).unwrap();
        let place = Place::Template(Uuid::from_u128(1));
        let sealed = keys.seal(place, b"a face").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"a face"));
        assert_ne!(sealed, keys.seal(place, b"a face").unwrap(), "the nonce is another each time");
        assert_eq!(keys.open(place, &sealed).unwrap(), b"a face");
        for elsewhere in [Place::Template(Uuid::from_u128(2)), Place::Stranger(Uuid::from_u128(1))] {
            assert_eq!(keys.open(elsewhere, &sealed), Err(SealError::Damaged));
        }
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 1;
            assert!(keys.open(place, &damaged).is_err(), "byte {index}");
            assert!(keys.open(place, &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn text_stays_text() {
        let keys = Keys::given(&key(1), &[]).unwrap();
        let place = Place::CameraUrl("door");
        let sealed = keys.seal_text(place, "rtsp://user:secret@10.0.0.7/").unwrap();
        assert!(sealed.is_ascii() && !sealed.contains("secret"));
        assert_eq!(keys.open_text(place, &sealed).unwrap(), "rtsp://user:secret@10.0.0.7/");
        assert_eq!(keys.open_text(place, "rtsp://user:secret@10.0.0.7/"), Err(SealError::Damaged));
    }

    #[test]
    fn earlier_keys_still_open() {
        let place = Place::CameraUrl("door");
        let sealed = Keys::given(&key(1), &[]).unwrap().seal(place, b"x").unwrap();
        let rotated = Keys::given(&key(2), &[key(1)]).unwrap();
        assert_eq!(rotated.open(place, &sealed).unwrap(), b"x");
        let other = Keys::given(&key(2), &[]).unwrap();
        let message = other.open(place, &sealed).unwrap_err().to_string();
        assert!(message.contains("VEDETTE_KEY"), "{message}");
    }
}
