//! `vedette gallery build` and `vedette models` as processes, with real photos.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use vedette_events::GallerySnapshot;

use crate::media::{photo, side_by_side};

fn vedette(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command.output().unwrap()
}

/// Makes `people/NAME/FILE` for each and builds a gallery of them.
fn build(files: &[(&str, Vec<u8>)]) -> (TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("people")).unwrap();
    for (file, bytes) in files {
        let path = folder.path().join("people").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let output = vedette(folder.path(), &["gallery", "build", "people", "--out", "gallery.json"]);
    (folder, output)
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_gallery_is_made_of_folders_of_photos() {
    let (folder, output) = build(&[
        ("Barack/1.jpg", photo("obama.jpg")),
        ("Barack/2.jpg", photo("obama2.jpg")),
        ("Barack/odd.jpg", photo("astronaut.jpg")),
        ("Barack/pair.jpg", side_by_side("obama.jpg", "biden.jpg")),
        ("Barack/notes.txt", b"born 1961".to_vec()),
        ("Barack/.hidden", Vec::new()),
        ("Eileen/portrait.jpg", photo("astronaut.jpg")),
        ("Joe/portrait.jpg", photo("biden.jpg")),
        ("readme.txt", b"people".to_vec()),
    ]);
    let told = told(&output);
    assert!(output.status.success(), "{told}");
    for line in ["Barack: 2 of 5 photos used", "Eileen: 1 of 1 photos used", "Joe: 1 of 1 photos used"] {
        assert!(told.contains(line), "{told}");
    }
    let skipped = [
        ("odd.jpg", "another person"),
        ("pair.jpg", "crop the photo"),
        ("notes.txt", "JPEG, PNG or WebP"),
        ("readme.txt", "no person's folder"),
    ];
    for (file, reason) in skipped {
        let said = told.lines().any(|line| line.contains(file) && line.contains(reason));
        assert!(said, "{file}: {told}");
    }

    let gallery = std::fs::read(folder.path().join("gallery.json")).unwrap();
    let gallery: GallerySnapshot = serde_json::from_slice(&gallery).unwrap();
    let names: Vec<&str> = gallery.persons.iter().map(|person| person.name.as_str()).collect();
    assert_eq!((gallery.pack.as_str(), names), ("opencv", vec!["Barack", "Eileen", "Joe"]));
    let lengths: Vec<usize> = gallery.vectors().unwrap().iter().map(Vec::len).collect();
    assert_eq!(lengths, [2, 1, 1]);
}

#[test]
fn what_makes_a_gallery_useless_is_an_error_and_nothing_is_written() {
    let useless = [
        (vec![], "holds no folders"),
        (vec![("loose.jpg", photo("obama.jpg"))], "holds no folders"),
        (vec![("Joe/portrait.jpg", photo("biden.jpg")), ("Nobody/x.jpg", b"x".to_vec())], "photo of Nobody"),
    ];
    for (files, reason) in useless {
        let (folder, output) = build(&files);
        let told = told(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(reason), "{told}");
        assert!(!folder.path().join("gallery.json").exists());
    }
    let folder = tempfile::tempdir().unwrap();
    let output = vedette(folder.path(), &["gallery", "build", "missing", "--out", "gallery.json"]);
    assert!(told(&output).contains("cannot list `missing`"), "{}", told(&output));
}

#[test]
fn model_files_are_listed_checked_and_not_fetched_twice() {
    let folder = tempfile::tempdir().unwrap();
    let printed = |arguments: &[&str]| {
        let output = vedette(folder.path(), arguments);
        assert!(output.status.success(), "{}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(printed(&["models", "list"]).contains("opencv\there\tfree for every use"));
    assert_eq!(printed(&["models", "verify", "opencv"]).matches("ok\t").count(), 3);
    assert_eq!(printed(&["models", "fetch", "opencv"]), "opencv: complete\n");

    let failed = |arguments: &[&str]| {
        let output = vedette(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        told(&output)
    };
    let refused = failed(&["models", "fetch", "buffalo_l"]);
    assert!(refused.contains("non-commercial") && refused.contains("--accept-license"), "{refused}");
    assert!(failed(&["models", "verify", "best"]).contains("opencv"), "the packs there are are named");
}
