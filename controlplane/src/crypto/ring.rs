//! The keys: one to seal with, and earlier ones that still open what they sealed.
//!
//! They come from `VEDETTE_KEY` (and `VEDETTE_KEY_PREVIOUS`), or else from a file in the data folder that is made at the
//! first start. The file is looked at again before each use, so that a server that runs takes part in a rotation.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore as _;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::KEY_ID_BYTES;

const KEY_BYTES: usize = 32;
/// Name of the file below the data folder.
const FILE_NAME: &str = "vedette.key";
/// What a new file begins with.
const FILE_HEAD: &str = "# Vedette's keys, the one in use first. Without them, face templates and the addresses of cameras in \
                         the database cannot be read: keep a copy, and keep it apart from copies of the database.\n";

/// Tells keys apart without telling anything about them: the first bytes of their SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyId([u8; KEY_ID_BYTES]);

impl KeyId {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; KEY_ID_BYTES]> for KeyId {
    fn from(bytes: [u8; KEY_ID_BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A key; its bytes are wiped when it goes.
#[derive(Clone)]
pub(super) struct Key {
    id: KeyId,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl Key {
    pub(super) fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let hash = Sha256::digest(bytes.as_slice());
        let mut id = [0_u8; KEY_ID_BYTES];
        id.copy_from_slice(&hash[..KEY_ID_BYTES]);
        Self { id: KeyId(id), bytes }
    }

    fn random() -> Self {
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        rand::rng().fill_bytes(bytes.as_mut_slice());
        Self::new(bytes)
    }

    /// From base64 or hexadecimal digits, as `openssl rand` prints them.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let decoded = hex::decode(text).or_else(|_| STANDARD.decode(text)).ok().map(Zeroizing::new)?;
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        (decoded.len() == KEY_BYTES).then(|| {
            bytes.copy_from_slice(&decoded);
            Self::new(bytes)
        })
    }
}

/// What a rotation did to the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The key from now on.
    pub key: String,
    /// The keys that still open what they sealed.
    pub earlier: Vec<String>,
}

/// The keys of this installation.
pub struct Keys {
    /// The one to seal with first; never empty.
    ring: RwLock<Ring>,
    /// Where they are kept; `None` for keys from the environment.
    file: Option<PathBuf>,
}

struct Ring {
    current: Key,
    earlier: Vec<Key>,
    /// The file they were read from.
    file_id: Option<FileId>,
}

impl fmt::Debug for Keys {
    /// Leaves the keys out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys of the environment or, without, of the data folder.
    ///
    /// # Errors
    /// When a key is none, or the file can be neither read nor made.
    pub fn of(given: Option<&SecretString>, previous: &[SecretString], data_dir: &Path) -> Result<Self> {
        match given {
            Some(given) => Self::given(given, previous),
            None => Self::kept_in(data_dir.join(FILE_NAME)),
        }
    }

    /// The keys someone gives us.
    ///
    /// # Errors
    /// When one is no key.
    pub fn given(current: &SecretString, previous: &[SecretString]) -> Result<Self> {
        let parse = |name: &str, key: &SecretString| {
            Key::parse(key.expose_secret()).with_context(|| {
                format!("{name} must be 32 bytes as hexadecimal digits or base64: `openssl rand -hex 32`")
            })
        };
        let current = parse("VEDETTE_KEY", current)?;
        let earlier = previous.iter().map(|key| parse("VEDETTE_KEY_PREVIOUS", key)).collect::<Result<_>>()?;
        Ok(Self { ring: RwLock::new(Ring { current, earlier, file_id: None }), file: None })
    }

    /// The keys of a file, made if it is not there, readable by nobody else.
    fn kept_in(file: PathBuf) -> Result<Self> {
        match write_new(&file, &[Key::random()]) {
            Ok(()) => {
                tracing::info!(file = %file.display(), "made a key; keep a copy of it apart from the database")
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot write the key file `{}`", file.display()));
            }
        }
        Ok(Self { ring: RwLock::new(read(&file)?), file: Some(file) })
    }

    /// The key to seal with.
    pub(super) fn current(&self) -> Key {
        self.read_again_if_changed();
        self.ring.read().unwrap_or_else(PoisonError::into_inner).current.clone()
    }

    /// A key by its id.
    pub(super) fn find(&self, id: KeyId) -> Option<Key> {
        let look = || {
            let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
            std::iter::once(&ring.current).chain(&ring.earlier).find(|key| key.id == id).cloned()
        };
        look().or_else(|| {
            self.read_again_if_changed();
            look()
        })
    }

    /// Puts a new key in front. Of the earlier ones only that in use until now is kept: whatever those before it had
    /// sealed was sealed anew when it came.
    ///
    /// # Errors
    /// When the keys come from the environment, or the file cannot be written.
    pub fn rotate(&self) -> Result<Rotation> {
        let Some(file) = &self.file else {
            bail!(
                "the key comes from VEDETTE_KEY: set that to a new one, VEDETTE_KEY_PREVIOUS to the one before, start \
                 every server anew and run this again with --no-new-key"
            );
        };
        let keys = [Key::random(), self.current()];
        let staged = file.with_extension("key.new");
        let cannot = || format!("cannot write the key file `{}`", file.display());
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(cannot),
            _ => write_new(&staged, &keys).with_context(cannot)?,
        }
        fs::rename(&staged, file).with_context(cannot)?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = read(file)?;
        Ok(self.told())
    }

    /// The keys by their ids.
    pub fn told(&self) -> Rotation {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let earlier = ring.earlier.iter().map(|key| key.id.to_string()).collect();
        Rotation { key: ring.current.id.to_string(), earlier }
    }

    fn read_again_if_changed(&self) {
        let Some(file) = &self.file else { return };
        let known = self.ring.read().unwrap_or_else(PoisonError::into_inner).file_id;
        if file_id(file) == known {
            return;
        }
        match read(file) {
            Ok(ring) => *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring,
            Err(error) => tracing::error!("the keys stay as they were: {error:#}"),
        }
    }
}

/// Tells a file from the one that took its place, however soon after, and from what it was before it was changed.
type FileId = (u64, SystemTime);

fn file_id(file: &Path) -> Option<FileId> {
    let data = fs::metadata(file).ok()?;
    Some((data.ino(), data.modified().ok()?))
}

fn read(file: &Path) -> Result<Ring> {
    let file_id = file_id(file);
    let text = fs::read_to_string(file).map(Zeroizing::new);
    let text = text.with_context(|| format!("cannot read the key file `{}`", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut keys: Vec<Key> = Vec::new();
    for line in lines {
        let key = Key::parse(line);
        ensure!(key.is_some(), "the key file `{}` is damaged: put your copy of it back", file.display());
        keys.extend(key);
    }
    let mut keys = keys.into_iter();
    let current = keys.next();
    let current = current.with_context(|| {
        format!("the key file `{}` holds no key: put your copy of it back", file.display())
    })?;
    Ok(Ring { current, earlier: keys.collect(), file_id })
}

fn write_new(file: &Path, keys: &[Key]) -> std::io::Result<()> {
    let mut text = Zeroizing::new(FILE_HEAD.to_owned());
    for key in keys {
        text.push_str(&STANDARD.encode(key.bytes()));
        text.push('\n');
    }
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    opened.write_all(text.as_bytes())?;
    opened.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::Place;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::of(None, &[], folder.path()).unwrap();
        let file = folder.path().join(FILE_NAME);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Keys::of(None, &[], folder.path()).unwrap().told(), keys.told());
        fs::write(&file, "# nothing\n").unwrap();
        assert!(Keys::of(None, &[], folder.path()).unwrap_err().to_string().contains("holds no key"));
        fs::write(&file, "short\n").unwrap();
        assert!(Keys::of(None, &[], folder.path()).unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn a_rotation_reaches_whoever_has_the_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let (server, command) =
            (Keys::of(None, &[], folder.path()).unwrap(), Keys::of(None, &[], folder.path()).unwrap());
        let place = Place::CameraUrl("door");
        let old = server.seal(place, b"x").unwrap();
        let rotation = command.rotate().unwrap();
        assert_eq!(rotation.earlier, [server.told().key]);
        let new = command.seal(place, b"y").unwrap();
        assert_eq!(server.open(place, &new).unwrap(), b"y");
        assert_eq!(server.open(place, &old).unwrap(), b"x");
        assert_eq!(server.told(), rotation);
        let again = command.rotate().unwrap();
        assert_eq!(again.earlier, [rotation.key]);
        assert!(command.open(place, &old).is_err(), "that key is gone");
    }

    #[test]
    fn keys_are_read_as_openssl_prints_them() {
        let key = Key::parse(&"ab".repeat(32)).unwrap();
        assert_eq!(Key::parse(&format!(" {}\n", STANDARD.encode([0xab; 32]))).unwrap().id, key.id);
        for wrong in ["", "correct horse", &"ab".repeat(31), &"ab".repeat(33)] {
            assert!(Key::parse(wrong).is_none(), "{wrong}");
        }
        assert!(Keys::given(&"short".into(), &[]).unwrap_err().to_string().contains("openssl"));
    }
}
