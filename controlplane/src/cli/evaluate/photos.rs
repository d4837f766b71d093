//! The photos of an evaluation: found, looked at one by one, and counted. None is left out for not resembling the others of
//! its person, as `vedette gallery build` does it: the hard ones are what is to be measured.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use vedette_models::analyzer::Analyzer;
use vedette_models::embed::Embedding;
use vedette_models::evaluation::{MAX_PHOTOS, Rate};

use crate::gallery::build::{Progress, entries, examine, person_folders};
use crate::persons::sample::Refusal;

/// Whoever waits hears after so many photos.
const TELL_EVERY: usize = 100;

/// What became of the photos.
#[derive(Debug, Default, Serialize)]
pub(in crate::cli) struct Intake {
    /// Photos that could be read.
    pub(in crate::cli) read: usize,
    /// Those with one face that is good enough.
    pub(in crate::cli) usable: usize,
    /// The others, and files that are no photos.
    skipped: Vec<Skipped>,
    /// Pairs of a table that could not be compared for want of a usable photo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) pairs_left_out: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Skipped {
    file: PathBuf,
    reason: String,
}

impl Intake {
    /// Photos in which there is no usable face.
    pub(in crate::cli) fn failures_to_enrol(&self) -> usize {
        self.read - self.usable
    }

    /// FTE: the share of them.
    pub(in crate::cli) fn failure_to_enrol_rate(&self) -> Rate {
        Rate::of(self.failures_to_enrol(), self.read)
    }

    /// The embedding of a photo, or nothing if it is of no use, which is told and noted.
    fn take(&mut self, file: &Path, analyzer: &Analyzer, min_quality: f32) -> Result<Option<Embedding>> {
        let outcome = examine(file, analyzer, min_quality)?;
        if !matches!(outcome, Err(Refusal::Unreadable(_))) {
            self.read += 1;
        }
        match outcome {
            Ok(embedding) => {
                self.usable += 1;
                Ok(Some(embedding))
            }
            Err(refusal) => {
                let reason = refusal.to_string();
                eprintln!("{}", Progress::Skipped { file, reason: reason.clone() });
                self.skipped.push(Skipped { file: file.to_owned(), reason });
                Ok(None)
            }
        }
    }
}

fn tell_of(done: usize, total: usize) {
    if done.is_multiple_of(TELL_EVERY) {
        eprintln!("{done} of {total} photos");
    }
}

/// The photos of each person in `dir`, which holds a folder for each.
///
/// # Errors
/// When a folder cannot be listed, there is none, or there are more photos than can be compared.
pub(in crate::cli) fn in_folders(dir: &Path) -> Result<Vec<Vec<PathBuf>>> {
    let folders = person_folders(dir, &mut |progress| eprintln!("{progress}"))?;
    let people = folders.iter().map(|(_, folder)| entries(folder)).collect::<Result<Vec<_>>>()?;
    let photos: usize = people.iter().map(Vec::len).sum();
    ensure!(
        photos <= MAX_PHOTOS,
        "`{}` holds {photos} photos, too many to compare them all with each other: take at most {MAX_PHOTOS}",
        dir.display()
    );
    Ok(people)
}

/// The embeddings of people's usable photos; people without any are left out.
///
/// # Errors
/// When a model fails.
pub(in crate::cli) fn embed_people(
    people: &[Vec<PathBuf>],
    analyzer: &Analyzer,
    min_quality: f32,
    intake: &mut Intake,
) -> Result<Vec<Vec<Embedding>>> {
    let total: usize = people.iter().map(Vec::len).sum();
    let mut done = 0;
    let mut embedded = Vec::with_capacity(people.len());
    for files in people {
        let mut embeddings = Vec::with_capacity(files.len());
        for file in files {
            embeddings.extend(intake.take(file, analyzer, min_quality)?);
            done += 1;
            tell_of(done, total);
        }
        if !embeddings.is_empty() {
            embedded.push(embeddings);
        }
    }
    Ok(embedded)
}

/// Two photos, and whether they show one person.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    a: PathBuf,
    b: PathBuf,
    is_same: bool,
}

/// A line of the table.
#[derive(Deserialize)]
struct Row {
    a: String,
    b: String,
    same: String,
}

/// The pairs of a table.
///
/// # Errors
/// When it cannot be read, or a line of it cannot be understood.
pub(super) fn pairs(file: &Path) -> Result<Vec<Pair>> {
    let table = File::open(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    read_pairs(table, folder).with_context(|| format!("cannot use `{}` as a table of pairs", file.display()))
}

fn read_pairs(table: impl Read, folder: &Path) -> Result<Vec<Pair>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(table);
    let headers = reader.headers().context("the first line must be `a,b,same`")?;
    for column in ["a", "b", "same"] {
        let is_there = headers.iter().any(|header| header == column);
        ensure!(is_there, "the column `{column}` is missing: the first line must be `a,b,same`");
    }
    let mut pairs = Vec::new();
    for row in reader.deserialize() {
        let number = pairs.len() + 1;
        let Row { a, b, same } = row?;
        let is_same = match same.to_lowercase().as_str() {
            "same" | "1" | "true" | "yes" => true,
            "different" | "0" | "false" | "no" => false,
            other => bail!("pair {number}: `{other}` is neither `same` nor `different`"),
        };
        ensure!(a != b, "pair {number}: a photo cannot be compared with itself");
        pairs.push(Pair { a: folder.join(a), b: folder.join(b), is_same });
    }
    ensure!(!pairs.is_empty(), "there is no pair in it");
    Ok(pairs)
}

/// The similarities of pairs of one person and of pairs of two. Pairs without two usable photos are left out.
///
/// # Errors
/// When a model fails.
pub(super) fn compare_pairs(
    pairs: &[Pair],
    analyzer: &Analyzer,
    min_quality: f32,
    intake: &mut Intake,
) -> Result<(Vec<f32>, Vec<f32>)> {
    // Each photo is looked at once, in however many pairs it is.
    let files: BTreeSet<&Path> = pairs.iter().flat_map(|pair| [pair.a.as_path(), pair.b.as_path()]).collect();
    let mut embeddings: HashMap<&Path, Embedding> = HashMap::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        if let Some(embedding) = intake.take(file, analyzer, min_quality)? {
            embeddings.insert(file, embedding);
        }
        tell_of(index + 1, files.len());
    }
    let (mut genuine, mut impostor, mut left_out) = (Vec::new(), Vec::new(), 0);
    for pair in pairs {
        match (embeddings.get(pair.a.as_path()), embeddings.get(pair.b.as_path())) {
            (Some(a), Some(b)) if pair.is_same => genuine.push(a.cosine(b)),
            (Some(a), Some(b)) => impostor.push(a.cosine(b)),
            _ => left_out += 1,
        }
    }
    intake.pairs_left_out = Some(left_out);
    Ok((genuine, impostor))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn read(table: &str) -> Result<Vec<Pair>, String> {
        read_pairs(table.as_bytes(), Path::new("set")).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_table_of_pairs_is_read() {
        let pairs =
            read("same,a,b\nsame,x/1.jpg, x/2.jpg\nDifferent,x/1.jpg,/y/1.jpg\n1,p,q\nno,p,r\n").unwrap();
        assert_eq!(pairs.iter().map(|pair| pair.is_same).collect::<Vec<_>>(), [true, false, true, false]);
        assert_eq!((&*pairs[0].a, &*pairs[0].b), (Path::new("set/x/1.jpg"), Path::new("set/x/2.jpg")));
        assert_eq!(pairs[1].b, Path::new("/y/1.jpg"));
    }

    #[test]
    fn mistakes_in_a_table_are_named() {
        let mistakes = [
            ("", "column `a` is missing"),
            ("a,b\n1.jpg,2.jpg\n", "column `same` is missing"),
            ("a,b,same\n", "no pair"),
            ("a,b,same\n1.jpg,2.jpg,same\n1.jpg,3.jpg,maybe\n", "pair 2: `maybe`"),
            ("a,b,same\n1.jpg,1.jpg,same\n", "pair 1: a photo cannot"),
            ("a,b,same\n1.jpg,2.jpg\n", "line: 2"),
        ];
        for (table, expected) in mistakes {
            let told = read(table).unwrap_err();
            assert!(told.contains(expected), "{table:?}: {told}");
        }
    }

    #[test]
    fn what_is_no_photo_is_no_failure_to_enrol() {
        let intake = Intake { read: 8, usable: 6, ..Intake::default() };
        assert_eq!(intake.failures_to_enrol(), 2);
        assert_eq!(intake.failure_to_enrol_rate(), Rate::of(2, 8));
    }
}
