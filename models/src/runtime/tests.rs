//! Which libraries are tried, and which are refused before the dynamic linker sees them. What a library does once
//! it is loaded is tested in processes of its own (`tests/runtime.rs`): a process loads only one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

/// The head of a library with one segment of `length` bytes from `offset` on.
fn elf(offset: u64, length: u64) -> Vec<u8> {
    let mut head = vec![0; 64 + 56];
    head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
    head[32..40].copy_from_slice(&64u64.to_le_bytes());
    head[56..58].copy_from_slice(&1u16.to_le_bytes());
    head[64 + 8..64 + 16].copy_from_slice(&offset.to_le_bytes());
    head[64 + 32..64 + 40].copy_from_slice(&length.to_le_bytes());
    head
}

#[test]
fn library_that_holds_its_segments_passes() {
    assert_eq!(check_elf(&elf(100, 900), 1000), Ok(()));
    let own = std::env::current_exe().unwrap();
    assert_eq!(check_library(&own), Ok(()));
}

#[test]
fn library_that_was_cut_short_is_refused() {
    assert!(check_elf(&elf(100, 901), 1000).unwrap_err().contains("incomplete"));
    assert!(check_elf(&elf(u64::MAX, 2), 1000).unwrap_err().contains("incomplete"));
    for length in 6..64 + 56 - 16 {
        assert!(check_elf(&elf(100, 900)[..length], 1000).is_err(), "{length}");
    }
}

#[test]
fn anything_else_is_refused() {
    assert!(check_elf(b"", 0).is_err());
    assert!(check_elf(b"#!/bin/sh\n", 10).unwrap_err().contains("not a 64-bit shared library"));
    assert!(check_library(Path::new("/dev/zero")).unwrap_err().contains("not a file"));
    assert!(check_library(Path::new("/nowhere/libonnxruntime.so")).is_err());
}

#[test]
fn only_the_library_itself_is_taken_for_it() {
    for name in ["libonnxruntime.so", "libonnxruntime.so.1", "libonnxruntime.so.1.31.1"] {
        assert!(is_library_name(name), "{name}");
    }
    for name in ["libonnxruntime_providers_shared.so", "libonnxruntime.so.bak", "libonnx.so"] {
        assert!(!is_library_name(name), "{name}");
    }
}

#[test]
fn fetched_library_comes_before_the_systems() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = Packs::builtin().unwrap().runtime.for_this_machine() else { return };
    let fetched = folder.path().join("models").join(ModelStore::runtime_path(library));
    let installed = folder.path().join("lib/libonnxruntime.so.1.22.0");
    for path in [&fetched, &installed] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
    }
    let store = ModelStore::at([folder.path().join("models")]);
    let found = candidates(&store, &[folder.path().join("nothing"), folder.path().join("lib")]).unwrap();
    let paths: Vec<_> = found.iter().map(|candidate| &candidate.path).collect();
    assert_eq!(paths, [&fetched, &installed]);
    assert!(found[0].sha256.is_some(), "the fetched library is checked against the pack list");
}
