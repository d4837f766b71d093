//! Fetching from files of this machine: what arrives, what is refused, and what is left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::Write;

use super::*;
use crate::pack::Source;

const CONTENT: &[u8] = b"a model";

/// A machine with nothing fetched, and a place with something to fetch.
struct Scene {
    folder: tempfile::TempDir,
    pack: Pack,
    runtime: Runtime,
}

impl Scene {
    /// The pack's two files come from `sources`.
    fn new(sources: impl Fn(&Path) -> Vec<Source>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("origin")).unwrap();
        std::fs::write(folder.path().join("origin/library"), b"a library").unwrap();
        let mut pack = Packs::get("opencv").unwrap();
        let sources = sources(&folder.path().join("origin"));
        let (detector, embedder) = (pack.detector.as_mut().unwrap(), pack.embedder.as_mut().unwrap());
        for file in [&mut detector.file, &mut embedder.file] {
            *file = ModelFile {
                sha256: Some(sha256_hex(CONTENT)),
                size_bytes: Some(CONTENT.len() as u64),
                sources: sources.clone(),
                ..file.clone()
            };
        }
        let library = ModelFile {
            name: "libonnxruntime.so".into(),
            sha256: Some(sha256_hex(b"a library")),
            size_bytes: None,
            licence: "MIT".into(),
            commercial_use: true,
            sources: vec![local(&folder.path().join("origin/library"), None)],
        };
        let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        let platforms = BTreeMap::from([(platform, library)]);
        let runtime = Runtime { version: "1".into(), licence: "MIT".into(), platforms };
        Self { folder, pack, runtime }
    }

    fn fetch(&self) -> (Result<(), ModelError>, Vec<String>) {
        self.fetch_with(FetchOptions { folder: Some(self.models()), ..FetchOptions::default() })
    }

    fn fetch_with(&self, options: FetchOptions) -> (Result<(), ModelError>, Vec<String>) {
        let mut told = Vec::new();
        let result = fetch_pack(&self.pack, &self.runtime, &options, &mut |step| told.push(step.to_string()));
        (result, told)
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    /// Every file below the models folder but the lock.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.models()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if entry.file_name() != ".lock" {
                    files.push(entry.path().strip_prefix(self.models()).unwrap().display().to_string());
                }
            }
        }
        files.sort();
        files
    }
}

fn local(path: &Path, member: Option<&str>) -> Source {
    Source::Local { path: path.to_path_buf(), member: member.map(Into::into) }
}

fn write_zip(path: &Path, member: &str, content: &[u8]) {
    let mut archive = zip::ZipWriter::new(File::create(path).unwrap());
    archive.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(content).unwrap();
    archive.finish().unwrap();
}

/// The second of these is part of the program, whatever the sources of the others are.
const FETCHED: [&str; 4] = [
    "onnxruntime/libonnxruntime.so",
    "opencv/age_gender_ssrnet.onnx",
    "opencv/face_detection_yunet_2023mar_int8bq.onnx",
    "opencv/face_recognition_sface_2021dec_int8bq.onnx",
];

#[test]
fn files_arrive_from_a_plain_file_and_are_not_fetched_twice() {
    let scene = Scene::new(|origin| {
        std::fs::write(origin.join("model"), CONTENT).unwrap();
        vec![local(&origin.join("model"), None)]
    });
    scene.fetch().0.unwrap();
    assert_eq!(scene.files(), FETCHED);

    let (result, told) = scene.fetch();
    result.unwrap();
    assert_eq!(told.len(), FETCHED.len());
    assert!(told.iter().all(|line| line.ends_with("already there")), "{told:?}");
}

#[test]
fn files_arrive_from_any_folder_of_an_archive() {
    let scene = Scene::new(|origin| {
        write_zip(&origin.join("models.zip"), "pack/inner/model.onnx", CONTENT);
        vec![local(&origin.join("models.zip"), Some("model.onnx"))]
    });
    scene.fetch().0.unwrap();
    assert_eq!(scene.files(), FETCHED);
}

#[test]
fn next_source_is_asked_when_one_fails() {
    let scene = Scene::new(|origin| {
        std::fs::write(origin.join("wrong"), b"a modem").unwrap();
        std::fs::write(origin.join("model"), CONTENT).unwrap();
        write_zip(&origin.join("other.zip"), "other.onnx", CONTENT);
        vec![
            local(&origin.join("nothing"), None),
            local(&origin.join("wrong"), None),
            local(&origin.join("other.zip"), Some("model.onnx")),
            local(&origin.join("model"), None),
        ]
    });
    let (result, told) = scene.fetch();
    result.unwrap();
    assert_eq!(scene.files(), FETCHED);
    assert!(told.iter().any(|line| line.contains("delivered another file")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("holds no model.onnx")), "{told:?}");
}

#[test]
fn wrong_bytes_leave_nothing_behind() {
    let scene = Scene::new(|origin| {
        std::fs::write(origin.join("wrong"), b"a modem").unwrap();
        vec![local(&origin.join("wrong"), None)]
    });
    let message = scene.fetch().0.unwrap_err().to_string();
    assert!(message.contains(&sha256_hex(b"a modem")) && message.contains(&sha256_hex(CONTENT)), "{message}");
    assert_eq!(scene.files(), FETCHED[..1]);
}

#[test]
fn more_bytes_than_listed_are_not_even_stored() {
    let scene = Scene::new(|origin| {
        write_zip(&origin.join("bomb.zip"), "model.onnx", &vec![0; 1 << 20]);
        vec![local(&origin.join("bomb.zip"), Some("model.onnx"))]
    });
    let message = scene.fetch().0.unwrap_err().to_string();
    assert!(message.contains("larger than the 7 bytes"), "{message}");
}

#[test]
fn damaged_file_is_replaced() {
    let scene = Scene::new(|origin| {
        std::fs::write(origin.join("model"), CONTENT).unwrap();
        vec![local(&origin.join("model"), None)]
    });
    scene.fetch().0.unwrap();
    for damaged in FETCHED {
        std::fs::write(scene.models().join(damaged), b"damaged").unwrap();
    }
    scene.fetch().0.unwrap();
    assert_eq!(std::fs::read(scene.models().join(FETCHED[2])).unwrap(), CONTENT);
    let bundled = crate::bundled::bytes("age_gender_ssrnet.onnx").unwrap();
    assert_eq!(std::fs::read(scene.models().join(FETCHED[1])).unwrap(), bundled);
}

#[test]
fn leftovers_of_a_killed_process_are_cleared() {
    let scene = Scene::new(|origin| {
        std::fs::write(origin.join("model"), CONTENT).unwrap();
        vec![local(&origin.join("model"), None)]
    });
    std::fs::create_dir_all(scene.models().join(".fetching/1")).unwrap();
    std::fs::write(scene.models().join(".fetching/1/half"), b"a mo").unwrap();
    scene.fetch().0.unwrap();
    assert_eq!(scene.files(), FETCHED);
}

#[test]
fn several_at_once_agree() {
    let scene = Scene::new(|origin| {
        std::fs::write(origin.join("model"), CONTENT).unwrap();
        vec![local(&origin.join("model"), None)]
    });
    std::thread::scope(|scope| {
        let fetching: Vec<_> = (0..4).map(|_| scope.spawn(|| scene.fetch().0)).collect();
        fetching.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    });
    assert_eq!(scene.files(), FETCHED);
}

#[test]
fn restricted_licence_must_be_accepted() {
    let mut scene = Scene::new(|origin| {
        std::fs::write(origin.join("model"), CONTENT).unwrap();
        vec![local(&origin.join("model"), None)]
    });
    scene.pack.commercial_use = false;
    scene.pack.licence = "for looking at only".into();
    let error = scene.fetch().0.unwrap_err();
    assert!(matches!(error, ModelError::LicenceNotAccepted { .. }));
    assert!(error.to_string().contains("for looking at only"), "{error}");
    assert!(!scene.models().exists());

    let accepting = FetchOptions { accept_license: true, folder: Some(scene.models()), from: None };
    scene.fetch_with(accepting).0.unwrap();
    assert_eq!(scene.files(), FETCHED);
}

#[test]
fn a_folder_or_an_archive_stands_in_for_all_sources() {
    let nowhere = |origin: &Path| vec![local(&origin.join("not there"), None)];
    let files = |scene: &Scene| {
        // What is part of the program need not be brought.
        let brought = scene.pack.files().filter(|file| file.bundled().is_none());
        let named = brought.map(|file| (file.name.clone(), CONTENT));
        named.chain([("libonnxruntime.so".to_owned(), b"a library".as_slice())]).collect::<Vec<_>>()
    };
    let fetch_from = |scene: &Scene, from: PathBuf| {
        let folder = Some(scene.models());
        scene.fetch_with(FetchOptions { from: Some(from), folder, ..FetchOptions::default() }).0
    };

    let scene = Scene::new(nowhere);
    let folder = scene.folder.path().join("brought");
    std::fs::create_dir(&folder).unwrap();
    let error = fetch_from(&scene, folder.clone()).unwrap_err().to_string();
    assert!(error.contains("brought/libonnxruntime.so"), "{error}");
    for (name, content) in files(&scene) {
        std::fs::write(folder.join(name), content).unwrap();
    }
    fetch_from(&scene, folder).unwrap();
    assert_eq!(scene.files(), FETCHED);

    let scene = Scene::new(nowhere);
    let path = scene.folder.path().join("brought.zip");
    let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
    for (name, content) in files(&scene) {
        archive.start_file(format!("pack/{name}"), zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap();
    fetch_from(&scene, path).unwrap();
    assert_eq!(scene.files(), FETCHED);
}
