//! Embeddings against the reference implementation, and whether they tell people apart.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{golden, golden_folder, media_folder, photo, photo_folders, points, sface, shared};
use serde::Deserialize;
use vedette_models::Analyzer;
use vedette_models::embed::{Embedder, Embedding};
use vedette_models::files::{ModelSource, ModelStore};
use vedette_models::pack::{Packs, Role};
use vedette_models::session::Device;

/// What the reference made of a photo.
#[derive(Deserialize)]
struct GoldenEmbedding {
    landmarks: [[f32; 2]; 5],
    /// The network fed as SFace wants it.
    sface: Vec<f32>,
    /// The same network fed as ArcFace wants it: the numbers mean nothing, but they must be the same.
    arcface: Vec<f32>,
    /// A network with random weights and 512 numbers, likewise.
    generated: Vec<f32>,
}

#[test]
fn sface_agrees_with_the_reference() {
    agrees(&sface(), |golden| &golden.sface);
}

#[test]
fn arcfaces_way_of_feeding_agrees_with_the_reference() {
    // The same weights in a folder whose description calls them ArcFace.
    let pack = Packs::get("opencv").unwrap();
    let weights = ModelStore::locate().require(&pack, pack.require(Role::Embedder).unwrap()).unwrap();
    agrees(&arcface(&weights, 128), |golden| &golden.arcface);
}

#[test]
fn a_network_of_512_numbers_agrees_with_the_reference() {
    let embedder = arcface(&golden_folder().join("arcface_512.onnx"), 512);
    assert_eq!(embedder.dimension(), 512);
    agrees(&embedder, |golden| &golden.generated);
}

/// The network in a pack of its own, described as ArcFace.
fn arcface(weights: &Path, dimension: usize) -> Embedder {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(weights, folder.path().join("weights.onnx")).unwrap();
    let description = format!(
        "about: a test\nlicence: Apache-2.0\ncommercial_use: true\nembedder:\n  architecture: arcface\n  \
         input_size: 112\n  dimension: {dimension}\n  file:\n    name: weights.onnx\n    \
         licence: Apache-2.0\n    commercial_use: true\n"
    );
    std::fs::write(folder.path().join("pack.yaml"), description).unwrap();
    let source = ModelSource::pack(folder.path().to_str().unwrap()).unwrap();
    Embedder::open(&source, Device::Cpu).unwrap()
}

/// From the same pixels, as the reference was made.
const AGREEMENT: f32 = 0.9999;

fn agrees(embedder: &Embedder, wanted: impl Fn(&GoldenEmbedding) -> &Vec<f32>) {
    let golden = golden::<BTreeMap<String, Option<GoldenEmbedding>>>("embeddings.json");
    for (folder, path) in photo_folders() {
        let mut worst = 1.0_f32;
        for (name, golden) in &golden[folder] {
            // A photo in which the reference finds nobody.
            let Some(golden) = golden else { continue };
            let photo = photo(&path.join(name));
            let embedded = embedder.embed(&photo.view(), &[points(&golden.landmarks)]).unwrap();
            let cosine = embedded[0].cosine(&Embedding::from_vector(wanted(golden)).unwrap());
            assert!(cosine >= AGREEMENT, "{folder}/{name}: cosine {cosine}");
            worst = worst.min(cosine);
        }
        eprintln!("{folder}: cosine {worst:.6} and better");
    }
}

#[test]
fn a_batch_gives_what_each_face_gives_alone() {
    let embedder = sface();
    let golden = golden::<BTreeMap<String, Option<GoldenEmbedding>>>("embeddings.json");
    let photo = photo(&media_folder().join("obama.jpg"));
    let faces: Vec<_> =
        golden["media"].values().flatten().map(|golden| points(&golden.landmarks)).cycle().take(19).collect();
    let together = embedder.embed(&photo.view(), &faces).unwrap();
    assert_eq!(together.len(), faces.len());
    for (face, embedding) in faces.iter().zip(&together) {
        assert!(embedder.embed(&photo.view(), &[*face]).unwrap()[0].cosine(embedding) > 0.99999);
    }
    assert!(embedder.embed(&photo.view(), &[]).unwrap().is_empty());
}

#[test]
fn the_same_person_is_alike_and_others_are_not() {
    let analyzer = Analyzer::open("opencv", Device::Cpu).unwrap();
    let embedding = |name: &str| {
        let faces = analyzer.analyze(&photo(&media_folder().join(name))).unwrap();
        assert_eq!(faces.len(), 1, "{name}");
        faces.into_iter().next().unwrap().embedding
    };
    let obama = ["obama.jpg", "obama2.jpg", "obama3.jpg"].map(embedding);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let cosine = obama[a].cosine(&obama[b]);
        eprintln!("obama {a} {b}: {cosine:.3}");
        assert!(cosine > 0.5, "{a} {b}: {cosine}");
    }
    let others = ["biden.jpg", "astronaut.jpg"].map(embedding);
    for other in &others {
        for obama in &obama {
            eprintln!("different: {:.3}", other.cosine(obama));
            assert!(other.cosine(obama) < 0.3);
        }
    }
    assert!(others[0].cosine(&others[1]) < 0.3);
}

#[test]
fn ordinary_photos_are_good_enough_to_enrol_with() {
    let analyzer = Analyzer::open("opencv", Device::Cpu).unwrap();
    let mut paths: Vec<_> = ["astronaut", "biden", "obama", "obama2", "obama3"]
        .iter()
        .map(|name| media_folder().join(format!("{name}.jpg")))
        .collect();
    if let (Some(people), Some(groups), Some(clip)) =
        (shared("data/faces/people"), shared("data/faces/groups"), shared("data/clips/crowd_dev.json"))
    {
        let truth: serde_json::Value = serde_json::from_slice(&std::fs::read(clip).unwrap()).unwrap();
        for file in truth["enroll"].as_object().unwrap().values().flat_map(|files| files.as_array().unwrap())
        {
            let file = file.as_str().unwrap();
            paths.extend([people.join(file), groups.join(file)].into_iter().filter(|path| path.exists()));
        }
    }
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let faces = analyzer.analyze(&photo(&path)).unwrap();
        let largest = faces.iter().max_by(|a, b| a.face.rect.area().total_cmp(&b.face.rect.area())).unwrap();
        eprintln!("{name}: {:?} {:?}", largest.quality, largest.issue);
        assert!(largest.quality.score >= 0.6, "{name}: {:?} {:?}", largest.quality, largest.issue);
    }
}
