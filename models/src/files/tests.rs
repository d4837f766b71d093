//! Files that are missing, wrong, or not models.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn store_with(files: &[(&str, &[u8])]) -> (tempfile::TempDir, ModelStore) {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let store = ModelStore::at([folder.path().join("empty"), folder.path().to_path_buf()]);
    (folder, store)
}

#[test]
fn missing_file_is_answered_with_the_command_that_fetches_it() {
    let (_folder, store) = store_with(&[]);
    let error = ModelSource::pack("opencv").unwrap().open_from(&store, Role::Detector, Ok).unwrap_err();
    assert!(matches!(error, ModelError::MissingFile { .. }));
    assert!(error.to_string().contains("run `vedette models fetch opencv`"), "{error}");
}

#[test]
fn file_with_other_bytes_is_refused_whatever_was_made_of_it_meanwhile() {
    let name = "opencv/face_detection_yunet_2023mar_int8bq.onnx";
    let (folder, store) = store_with(&[(name, b"not the model")]);
    let error = ModelSource::pack("opencv").unwrap().open_from(&store, Role::Detector, Ok).unwrap_err();
    let ModelError::WrongHash { path, expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!(*path, folder.path().join(name));
    assert!(expected.starts_with("49f000ec"));
    assert_eq!(*found, sha256_hex(b"not the model"));
}

#[test]
fn folder_pack_without_its_file_says_where_it_belongs() {
    let (folder, store) = store_with(&[]);
    let mut pack = Packs::get("opencv").unwrap();
    pack.name = folder.path().display().to_string();
    pack.folder = Some(folder.path().to_path_buf());
    let error = ModelSource::Pack(Box::new(pack)).open_from(&store, Role::Embedder, Ok).unwrap_err();
    assert!(error.to_string().contains(&format!("copy it to {}", folder.path().display())), "{error}");
}

#[test]
fn what_is_part_of_the_program_need_not_be_on_the_machine() {
    let source = ModelSource::pack("opencv").unwrap();
    let pack = Packs::get("opencv").unwrap();
    let file = pack.require(Role::Attributes).unwrap();
    let (_folder, store) = store_with(&[]);
    assert!(store.has(&pack, file) && !store.has(&pack, pack.require(Role::Detector).unwrap()));
    assert_eq!(source.open_from(&store, Role::Attributes, Ok).unwrap().name, "age_gender_ssrnet");
    // One that lies there is used, and so has to be right.
    let (_folder, store) = store_with(&[("opencv/age_gender_ssrnet.onnx", b"not the model")]);
    let error = source.open_from(&store, Role::Attributes, Ok).unwrap_err();
    assert!(matches!(error, ModelError::WrongHash { .. }), "{error}");
}

#[test]
fn file_that_is_no_model_is_named_with_its_path() {
    let (folder, store) = store_with(&[("notes.onnx", b"these are not the bytes you are looking for")]);
    let path = folder.path().join("notes.onnx");
    let error = ModelSource::File(path.clone()).open_from(&store, Role::Detector, Ok).unwrap_err();
    assert!(matches!(error, ModelError::InvalidModel { .. }));
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn paths_that_are_no_files_are_refused() {
    let (folder, store) = store_with(&[]);
    for path in [PathBuf::from("/dev/zero"), folder.path().to_path_buf(), folder.path().join("nothing")] {
        let error = ModelSource::File(path.clone()).open_from(&store, Role::Detector, Ok).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn earlier_folder_wins() {
    let (folder, store) = store_with(&[("empty/opencv/a.onnx", b"1"), ("opencv/a.onnx", b"2")]);
    assert_eq!(store.find_below(Path::new("opencv/a.onnx")), Some(folder.path().join("empty/opencv/a.onnx")));
}

#[test]
fn hash_is_written_as_packs_write_it() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(sha256_hex(b""), empty);
}
