//! The kinds of places files come from. Whatever they deliver is only a candidate: the caller checks its hash.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Progress, failed};
use crate::bundled;
use crate::error::ModelError;
use crate::pack::Source;

/// How large a file may be whose size the pack does not list.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// How large an archive may be: the largest pack has one of 400 MB.
const MAX_ARCHIVE_BYTES: u64 = 2 << 30;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a server may send nothing. There is no limit on the whole: lines are slow and files large.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// How often somebody who waits hears of it.
const PROGRESS_STEP_BYTES: u64 = 4 << 20;

/// A folder for what is not finished; it goes away with this value, and what a killed process left behind goes
/// when the next one begins.
#[derive(Debug)]
pub(super) struct Workspace {
    folder: PathBuf,
    /// What was downloaded already: one archive often holds several of the files.
    downloads: HashMap<String, PathBuf>,
    /// How many files were made, to give each its own name.
    files: usize,
}

impl Workspace {
    /// Makes the folder. The caller has made sure that nobody else is using it.
    pub(super) fn create(folder: &Path) -> Result<Self, ModelError> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("clear", folder, error));
            }
            _ => {}
        }
        fs::create_dir(folder).map_err(|error| failed("create", folder, error))?;
        Ok(Self { folder: folder.to_path_buf(), downloads: HashMap::new(), files: 0 })
    }

    /// Gets a file from a source into the workspace.
    pub(super) fn deliver(
        &mut self,
        source: &Source,
        size_bytes: Option<u64>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, String> {
        let limit_bytes = size_bytes.unwrap_or(MAX_FILE_BYTES);
        match source {
            Source::Pip { requirement, python, platform, sha256, member } => {
                let wheel = self.download_once(source, |folder| {
                    let tags = [("--python-version", python), ("--platform", platform)];
                    pip_download(folder, requirement, &tags, sha256.as_deref())
                })?;
                self.extract(&wheel, member, limit_bytes)
            }
            Source::Https { url, member: Some(member) } => {
                let archive = self.download_once(source, |folder| {
                    download(url, &folder.join("archive"), MAX_ARCHIVE_BYTES, progress)
                })?;
                self.extract(&archive, member, limit_bytes)
            }
            Source::Https { url, member: None } => {
                let target = self.next_file();
                download(url, &target, limit_bytes, progress)
            }
            Source::Bundled(name) => {
                let bytes = bundled::bytes(name).ok_or("it is not part of this program")?;
                let target = self.next_file();
                fs::write(&target, bytes).map_err(|error| format!("{}: {error}", target.display()))?;
                Ok(target)
            }
            Source::Local { path, member: Some(member) } => self.extract(path, member, limit_bytes),
            Source::Local { path, member: None } => {
                let target = self.next_file();
                let mut file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
                copy_limited(&mut file, &target, limit_bytes, &mut |_| {})?;
                Ok(target)
            }
        }
    }

    /// What a source's download made, made only once.
    fn download_once(
        &mut self,
        source: &Source,
        download: impl FnOnce(&Path) -> Result<PathBuf, String>,
    ) -> Result<PathBuf, String> {
        let name = source.to_string();
        if let Some(path) = self.downloads.get(&name) {
            return Ok(path.clone());
        }
        let folder = self.next_file();
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let path = download(&folder)?;
        self.downloads.insert(name, path.clone());
        Ok(path)
    }

    /// Takes one file out of a zip archive, as Python wheels are, too.
    fn extract(&mut self, archive: &Path, member: &str, limit_bytes: u64) -> Result<PathBuf, String> {
        let target = self.next_file();
        let file = File::open(archive).map_err(|error| format!("{}: {error}", archive.display()))?;
        let mut archive =
            zip::ZipArchive::new(file).map_err(|error| format!("not a zip archive: {error}"))?;
        let is_wanted = |name: &str| name == member || name.ends_with(&format!("/{member}"));
        let index = (0..archive.len())
            .find(|&index| archive.name_for_index(index).is_some_and(is_wanted))
            .ok_or_else(|| format!("the archive holds no {member}"))?;
        let mut entry = archive.by_index(index).map_err(|error| error.to_string())?;
        copy_limited(&mut entry, &target, limit_bytes, &mut |_| {})?;
        Ok(target)
    }

    fn next_file(&mut self) -> PathBuf {
        self.files += 1;
        self.folder.join(self.files.to_string())
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::debug!(folder = %self.folder.display(), %error, "the folder for downloads stays behind");
        }
    }
}

/// Downloads a wheel with pip, and returns where it is.
fn pip_download(
    folder: &Path,
    requirement: &str,
    tags: &[(&str, &Option<String>)],
    sha256: Option<&str>,
) -> Result<PathBuf, String> {
    const NO_PIP: &str = "pip is not installed; on Debian: apt install python3-pip";
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]);
    command.args(["--no-deps", "--only-binary=:all:", "--dest"]).arg(folder);
    for (option, value) in tags {
        if let Some(value) = value {
            command.args([option, value.as_str()]);
        }
    }
    match sha256 {
        // Hashes of wheels can only be given in a file.
        Some(sha256) => {
            let list = folder.join("requirements.txt");
            fs::write(&list, format!("{requirement} --hash=sha256:{sha256}\n"))
                .map_err(|error| format!("{}: {error}", list.display()))?;
            command.arg("--require-hashes").arg("--requirement").arg(list);
        }
        None => {
            command.arg(requirement);
        }
    }
    let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => NO_PIP.to_owned(),
        _ => format!("python3 cannot be started: {error}"),
    })?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        if messages.contains("No module named pip") {
            return Err(NO_PIP.into());
        }
        let told = messages.lines().rev().find(|line| line.starts_with("ERROR"));
        let told = told.or_else(|| messages.lines().last()).unwrap_or("no reason given");
        return Err(format!("pip failed: {}", told.trim_start_matches("ERROR: ")));
    }
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| "pip delivered no wheel".into())
}

/// Downloads a file from a web server.
fn download(
    url: &str,
    target: &Path,
    limit_bytes: u64,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, String> {
    let config = ureq::Agent::config_builder()
        .https_only(true)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_per_read(Some(SILENCE_TIMEOUT))
        .user_agent(concat!("vedette/", env!("CARGO_PKG_VERSION")))
        .build();
    let response = config.new_agent().get(url).call().map_err(|error| error.to_string())?;
    let of_bytes = response.body().content_length();
    // The limit is kept while copying, where exceeding it can be told from an error of the network.
    let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
    let mut announced = 0;
    copy_limited(&mut body, target, limit_bytes, &mut |bytes| {
        if bytes >= announced + PROGRESS_STEP_BYTES {
            announced = bytes;
            progress(Progress::Received { source: url, bytes, of_bytes });
        }
    })?;
    Ok(target.to_path_buf())
}

/// Copies what there is to read into a file, unless it is more than it may be.
fn copy_limited(
    from: &mut dyn Read,
    target: &Path,
    limit_bytes: u64,
    copied: &mut dyn FnMut(u64),
) -> Result<(), String> {
    const CHUNK_BYTES: usize = 64 * 1024;
    let unwritable = |error: io::Error| format!("{}: {error}", target.display());
    let mut file = File::create(target).map_err(unwritable)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut total_bytes = 0;
    loop {
        let length = match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("the download broke off: {error}")),
        };
        total_bytes += length as u64;
        if total_bytes > limit_bytes {
            return Err(format!("it is larger than the {limit_bytes} bytes it should have"));
        }
        file.write_all(chunk.get(..length).unwrap_or_default()).map_err(unwritable)?;
        copied(total_bytes);
    }
}

/// What one would call the source; the same for files of the same archive.
impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pip { requirement, .. } => write!(formatter, "pip ({requirement})"),
            Self::Https { url, .. } => formatter.write_str(url),
            Self::Bundled(_) => formatter.write_str("this program"),
            Self::Local { path, .. } => write!(formatter, "{}", path.display()),
        }
    }
}
