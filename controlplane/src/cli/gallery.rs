//! `vedette gallery`.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use vedette_models::analyzer::Analyzer;

use super::ConfigArguments;
use crate::gallery::build::{self, build};
use crate::persons::reembed::{Progress, Reembedding};
use crate::startup;
use crate::storage::Storage;
use crate::vision::Vision;

#[derive(Debug, Args)]
pub(super) struct GalleryArguments {
    #[command(flatten)]
    config: ConfigArguments,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a gallery file of photos, for `facematch gallery=file://…` without a control plane
    Build {
        /// Folder with one folder of photos per person, named after the person
        dir: PathBuf,
        /// File to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Embed the photos of everybody enrolled for another model pack, while servers go on with the present one; once
    /// the settings name that pack, it is used from the start
    Reembed {
        /// The pack, or a folder with one; else that of the settings (`face_recognition.detection_model`)
        #[arg(long)]
        pack: Option<String>,
    },
}

pub(super) fn run(arguments: GalleryArguments) -> Result<()> {
    match arguments.action {
        Action::Build { dir, out } => make_file(&arguments.config, &dir, &out),
        Action::Reembed { pack } => super::runtime()?.block_on(reembed(&arguments.config, pack)),
    }
}

async fn reembed(settings: &ConfigArguments, pack: Option<String>) -> Result<()> {
    let config = settings.load_with_pack(pack.as_deref())?;
    let environment = &config.environment;
    let vision = Vision::from_config(&config.file)?;
    let db = startup::open_database(environment).await?;
    let keys = startup::open_keys(&config, &db).await?;
    let storage = Storage::open(environment).await?;
    let reembedding = Reembedding { db: &db, storage: &storage, keys: &keys, vision: &vision };
    let tell = |progress: &Progress| eprintln!("{} of {} photos", progress.done, progress.total);
    let outcome = reembedding.run(tell).await;
    let Progress { pack, done, refused, .. } =
        outcome.context("not all photos could be embedded anew; those that were stay so, run it again")?;
    println!("{pack}: {} photos embedded, {refused} without a usable face", done - refused);
    db.close().await.context("the database did not close")
}

fn make_file(settings: &ConfigArguments, dir: &Path, out: &Path) -> Result<()> {
    let vision = Vision::from_config(&settings.load()?.file)?;
    let pack = &vision.pack().name;
    let analyzer = Analyzer::open(pack, vision.device())?;
    let tell = |progress: build::Progress<'_>| eprintln!("{progress}");
    let gallery = build(dir, &analyzer, pack, vision.dimension(), vision.rules(), tell)?;
    let json = serde_json::to_vec(&gallery).context("the gallery cannot be written as JSON")?;
    write_whole(out, &json).with_context(|| format!("cannot write `{}`", out.display()))?;
    let templates: usize = gallery.persons.iter().map(|person| person.templates.len()).sum();
    eprintln!("{}: {} people, {templates} photos", out.display(), gallery.persons.len());
    Ok(())
}

/// Puts a file in place in one step: pipelines that watch it must never read half of it. Only its owner may
/// read it, for it holds what faces are recognised by.
fn write_whole(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().ok_or(std::io::ErrorKind::InvalidInput)?;
    let mut temporary_name = std::ffi::OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(format!(".{}", std::process::id()));
    let temporary = folder.join(temporary_name);
    let write = || {
        let mut options = OpenOptions::new();
        let mut out: File = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&temporary, file)
    };
    let written = write();
    if written.is_err() {
        // The write is what failed; that its leftover cannot be removed either adds nothing.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gallery.json");
        write_whole(&file, b"one").unwrap();
        write_whole(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert!(write_whole(folder.path(), b"x").is_err(), "a folder is no file");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }
}
