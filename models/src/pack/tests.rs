//! The list of packs and what is refused in one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

const TEXT: &str = include_str!("../../packs.yaml");

fn refusal(text: &str) -> String {
    Packs::parse(text).unwrap_err()
}

#[test]
fn default_pack_is_complete_and_free_for_commercial_use() {
    let pack = Packs::get(DEFAULT_PACK).unwrap();
    assert!(pack.commercial_use);
    assert!(
        pack.files().all(|file| file.commercial_use && file.sha256.is_some() && !file.sources.is_empty())
    );
    assert_eq!(pack.detector.as_ref().unwrap().architecture, DetectorArchitecture::Yunet);
    let embedder = pack.embedder.as_ref().unwrap();
    assert_eq!((embedder.architecture, embedder.dimension), (EmbedderArchitecture::Sface, 128));
    assert_eq!(pack.recognition.as_ref().unwrap().similarity_threshold, 0.363);
}

#[test]
fn the_file_for_age_and_gender_is_part_of_the_program() {
    let pack = Packs::get(DEFAULT_PACK).unwrap();
    let file = pack.require(Role::Attributes).unwrap();
    let bytes = file.bundled().unwrap();
    assert_eq!(file.sha256.as_deref(), Some(crate::files::sha256_hex(bytes).as_str()));
    assert_eq!(file.size_bytes, Some(bytes.len() as u64));

    let message = refusal(&TEXT.replace("bundled: age_gender", "bundled: agegender"));
    assert!(message.contains("no file `agegender_ssrnet.onnx` is part of this program"), "{message}");
}

#[test]
fn research_packs_are_marked_as_such() {
    for name in ["buffalo_l", "buffalo_m", "buffalo_s", "antelopev2"] {
        let pack = Packs::get(name).unwrap();
        assert_eq!(pack.name, name);
        assert!(!pack.commercial_use && pack.files().all(|file| !file.commercial_use), "{name}");
        assert_eq!(pack.embedder.as_ref().unwrap().dimension, 512);
        assert_eq!(pack.files().count(), 3);
    }
}

#[test]
fn runtime_is_known_for_the_platforms_we_ship() {
    let runtime = &Packs::builtin().unwrap().runtime;
    assert_eq!(runtime.platforms.keys().collect::<Vec<_>>(), ["linux-aarch64", "linux-x86_64"]);
    assert!(runtime.platforms.values().all(|file| file.sha256.is_some()));
}

#[test]
fn unknown_pack_is_answered_with_the_known_ones() {
    let message = Packs::get("bufallo").unwrap_err().to_string();
    assert!(message.contains("`bufallo`") && message.contains("buffalo_l") && message.contains("opencv"));
}

#[test]
fn unknown_key_is_refused() {
    let message = refusal(&TEXT.replacen("nms_threshold:", "nms_treshold:", 1));
    assert!(message.contains("nms_treshold"), "{message}");
}

#[test]
fn file_name_that_leaves_its_folder_is_refused() {
    let message = refusal(&TEXT.replace("name: w600k_mbf.onnx", "name: ../w600k_mbf.onnx"));
    assert!(message.contains("not a plain file name"), "{message}");
}

#[test]
fn malformed_hash_is_refused() {
    let message = refusal(&TEXT.replace("9cc6e4a7", "9CC6E4A7"));
    assert!(message.contains("sha256 of w600k_mbf.onnx"), "{message}");
}

#[test]
fn missing_hash_is_refused() {
    let hash = "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f";
    let message = refusal(&TEXT.replace(hash, "~"));
    assert!(message.contains("w600k_mbf.onnx has no sha256"), "{message}");
}

#[test]
fn threshold_out_of_range_is_refused() {
    let message = refusal(&TEXT.replace("similarity_threshold: 0.363", "similarity_threshold: 36.3"));
    assert!(message.contains("similarity_threshold is 36.3"), "{message}");
}

#[test]
fn folder_with_the_files_of_a_known_pack_is_that_pack() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert!(Packs::get(path).unwrap_err().to_string().contains("neither"));
    for file in Packs::get("opencv").unwrap().files() {
        std::fs::write(folder.path().join(&file.name), b"").unwrap();
    }
    let pack = Packs::get(path).unwrap();
    assert_eq!(pack.name, path);
    assert_eq!(pack.folder.as_deref(), Some(folder.path()));
    assert_eq!(pack.detector, Packs::get("opencv").unwrap().detector);
}

#[test]
fn folder_may_describe_itself() {
    let folder = tempfile::tempdir().unwrap();
    let description = "
about: our own embedder
licence: ours
commercial_use: true
embedder:
  architecture: arcface
  input_size: 112
  dimension: 256
  file: { name: own.onnx, sha256: ~, licence: ours, commercial_use: true }
";
    std::fs::write(folder.path().join("pack.yaml"), description).unwrap();
    let pack = Packs::get(folder.path().to_str().unwrap()).unwrap();
    assert_eq!(pack.embedder.as_ref().unwrap().dimension, 256);
    for (role, missing) in
        [(Role::Detector, "has no detector"), (Role::Attributes, "has no model for age and gender")]
    {
        let message = pack.require(role).unwrap_err().to_string();
        assert!(
            message.contains(missing) && message.contains("buffalo_l") && message.contains("opencv"),
            "{message}"
        );
    }

    std::fs::write(folder.path().join("pack.yaml"), description.replace("dimension", "dimensions")).unwrap();
    let message = Packs::get(folder.path().to_str().unwrap()).unwrap_err().to_string();
    assert!(message.contains("dimensions") && message.contains("pack.yaml"), "{message}");
}
