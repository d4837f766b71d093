//! A gallery from folders of photos, for recognition without a control plane: one folder per person.
//!
//! Everything that is skipped is said, with the reason; what makes the result useless (nobody there, or someone
//! without a single usable photo) is an error, and then nothing is written.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use vedette_events::{GalleryPerson, GallerySnapshot, encode_vector};
use vedette_models::analyzer::Analyzer;
use vedette_models::embed::Embedding;

use crate::persons::photo;
use crate::persons::sample::{self, Refusal};
use crate::vision::RecognitionRules;

/// Larger files are no photos.
const MAX_PHOTO_BYTES: u64 = 64 * 1024 * 1024;

/// Something to tell whoever waits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress<'a> {
    /// A file that is not used, and why.
    Skipped {
        /// The file.
        file: &'a Path,
        /// Why.
        reason: String,
    },
    /// A person that is done.
    Person {
        /// The name.
        name: &'a str,
        /// Photos used.
        used: usize,
        /// Photos there were.
        photos: usize,
    },
}

impl fmt::Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped { file, reason } => write!(f, "skipped {}: {reason}", file.display()),
            Self::Person { name, used, photos } => write!(f, "{name}: {used} of {photos} photos used"),
        }
    }
}

/// Makes a gallery of the folders in `dir`.
///
/// # Errors
/// When there is no folder, someone has no usable photo, or a model fails.
pub(crate) fn build(
    dir: &Path,
    analyzer: &Analyzer,
    pack: &str,
    dimension: usize,
    rules: &RecognitionRules,
    mut tell: impl FnMut(Progress),
) -> Result<GallerySnapshot> {
    let folders = person_folders(dir, &mut tell)?;
    let mut persons = Vec::with_capacity(folders.len());
    let mut without_photo = Vec::new();
    for (name, folder) in folders {
        let templates = templates(&folder, &name, analyzer, rules, &mut tell)?;
        if templates.is_empty() {
            without_photo.push(name);
        } else {
            let templates = templates.iter().map(|template| encode_vector(template.as_slice())).collect();
            persons.push(GalleryPerson { id: name.clone(), name, templates });
        }
    }
    if !without_photo.is_empty() {
        bail!(
            "no usable photo of {}: add one that shows only this person, from the front and sharp, or remove the folder",
            without_photo.join(", ")
        );
    }
    Ok(GallerySnapshot { pack: pack.to_owned(), dimension, persons })
}

/// The people in `dir` by name.
///
/// # Errors
/// When it cannot be listed or holds no folder.
pub(crate) fn person_folders(dir: &Path, tell: &mut impl FnMut(Progress)) -> Result<Vec<(String, PathBuf)>> {
    let mut folders = Vec::new();
    for path in entries(dir)? {
        if path.is_dir() {
            let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            let name = name.with_context(|| format!("the folder name `{}` is not UTF-8", path.display()))?;
            folders.push((name, path));
        } else {
            let reason = "it is in no person's folder".to_owned();
            tell(Progress::Skipped { file: &path, reason });
        }
    }
    ensure!(
        !folders.is_empty(),
        "`{}` holds no folders: make one for each person, named after the person, with photos in it",
        dir.display()
    );
    Ok(folders)
}

/// The templates of one person: of every photo that is good and shows the same person as the others.
fn templates(
    folder: &Path,
    name: &str,
    analyzer: &Analyzer,
    rules: &RecognitionRules,
    tell: &mut impl FnMut(Progress),
) -> Result<Vec<Embedding>> {
    let files = entries(folder)?;
    let mut usable = Vec::new();
    for file in &files {
        match examine(file, analyzer, rules.min_quality)? {
            Ok(embedding) => usable.push((file, embedding)),
            Err(refusal) => tell(Progress::Skipped { file, reason: refusal.to_string() }),
        }
    }
    let embeddings: Vec<&Embedding> = usable.iter().map(|(_, embedding)| embedding).collect();
    let verdicts = sample::agree(&embeddings, rules.threshold);
    let mut templates = Vec::with_capacity(usable.len());
    for ((file, embedding), verdict) in usable.into_iter().zip(verdicts) {
        match verdict {
            Ok(()) => templates.push(embedding),
            Err(refusal) => tell(Progress::Skipped { file, reason: refusal.to_string() }),
        }
    }
    tell(Progress::Person { name, used: templates.len(), photos: files.len() });
    Ok(templates)
}

/// The embedding of the one face a photo is about, or why it cannot be used.
///
/// # Errors
/// When a model fails.
pub(crate) fn examine(
    file: &Path,
    analyzer: &Analyzer,
    min_quality: f32,
) -> Result<Result<Embedding, Refusal>> {
    let read = || {
        let size = fs::metadata(file)?.len();
        if size > MAX_PHOTO_BYTES {
            return Err(std::io::Error::other(format!("larger than {} MiB", MAX_PHOTO_BYTES / 1024 / 1024)));
        }
        fs::read(file)
    };
    let bytes = match read() {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(Refusal::Unreadable(format!("cannot be read: {error}")))),
    };
    Ok(photo::examine(analyzer, &bytes, min_quality)?.outcome)
}

/// What lies in a folder, sorted, without hidden files.
///
/// # Errors
/// When it cannot be listed.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok::<_, std::io::Error>(paths)
    };
    list().with_context(|| format!("cannot list `{}`", folder.display()))
}
