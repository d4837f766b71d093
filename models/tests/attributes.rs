//! Ages and genders against the reference implementation, and whether they are those of the people on the photos.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use common::{golden, media_folder, photo};
use serde::Deserialize;
use vedette_models::attributes::{AttributeEstimator, Attributes};
use vedette_models::files::ModelSource;
use vedette_models::geometry::Rect;
use vedette_models::session::Device;
use vedette_models::{Analyzer, ModelError};

/// From the same pixels, as the reference was made.
const AGREEMENT_YEARS: f32 = 0.05;
const AGREEMENT_PROBABILITY: f32 = 0.001;

#[derive(Clone, Copy, Deserialize)]
struct GoldenEstimate {
    age_years: f32,
    female_probability: f32,
}

/// What the reference made of the face in a box.
#[derive(Deserialize)]
struct GoldenAttributes {
    #[serde(rename = "box")]
    edges: [f32; 4],
    ssrnet: GoldenEstimate,
    genderage: GoldenEstimate,
}

impl GoldenAttributes {
    fn rect(&self) -> Rect {
        let [left, top, right, bottom] = self.edges;
        Rect::from_edges(left, top, right, bottom)
    }
}

fn ssrnet() -> AttributeEstimator {
    AttributeEstimator::open(&ModelSource::pack("opencv").unwrap(), Device::Cpu).unwrap()
}

/// A pack in a folder whose model for age and gender has InsightFace's form.
fn genderage_form(folder: &Path, file: &str) -> Result<AttributeEstimator, ModelError> {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/genderage_form.onnx");
    std::fs::copy(model, folder.join("genderage.onnx")).unwrap();
    let description = format!(
        "about: a test\nlicence: MIT\ncommercial_use: true\nattributes:\n  architecture: genderage\n  input_size: 96\n  \
         file:\n    name: {file}\n    licence: MIT\n    commercial_use: true\n"
    );
    std::fs::write(folder.join("pack.yaml"), description).unwrap();
    AttributeEstimator::open(&ModelSource::pack(folder.to_str().unwrap())?, Device::Cpu)
}

fn agrees(estimator: &AttributeEstimator, wanted: impl Fn(&GoldenAttributes) -> GoldenEstimate) {
    for (name, golden) in golden::<GoldenAttributes>("attributes.json") {
        let photo = photo(&media_folder().join(&name));
        let found = estimator.estimate(&photo.view(), &[golden.rect()]).unwrap()[0];
        let wanted = wanted(&golden);
        let years = found.age_years - wanted.age_years;
        let probability = found.female_probability - wanted.female_probability;
        eprintln!("{name}: {found:?}, off by {years:.3} years and {probability:.4}");
        assert!(years.abs() <= AGREEMENT_YEARS, "{name}: {years} years");
        assert!(probability.abs() <= AGREEMENT_PROBABILITY, "{name}: {probability}");
    }
}

#[test]
fn the_default_packs_network_agrees_with_the_reference() {
    agrees(&ssrnet(), |golden| golden.ssrnet);
}

#[test]
fn genderages_way_of_feeding_agrees_with_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    agrees(&genderage_form(folder.path(), "genderage.onnx").unwrap(), |golden| golden.genderage);
}

#[test]
fn several_faces_give_what_each_gives_alone() {
    let estimator = ssrnet();
    let photo = photo(&media_folder().join("obama.jpg"));
    let boxes: Vec<Rect> =
        golden::<GoldenAttributes>("attributes.json").values().map(GoldenAttributes::rect).collect();
    let together = estimator.estimate(&photo.view(), &boxes).unwrap();
    assert_eq!(together.len(), boxes.len());
    for (face, found) in boxes.iter().zip(&together) {
        let alone = estimator.estimate(&photo.view(), &[*face]).unwrap()[0];
        assert!((alone.age_years - found.age_years).abs() < 1e-2, "{alone:?} {found:?}");
        assert!((alone.female_probability - found.female_probability).abs() < 1e-3, "{alone:?} {found:?}");
    }
    assert_eq!(estimator.estimate(&photo.view(), &[]).unwrap(), []);
    let error = estimator.estimate(&photo.view(), &[Rect::default()]).unwrap_err();
    assert!(error.to_string().contains("box is empty"), "{error}");
}

#[test]
fn a_model_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sface = ModelSource::pack("opencv").unwrap();
    let sface = sface.open(vedette_models::pack::Role::Embedder, Ok).unwrap();
    std::fs::write(folder.path().join("sface.onnx"), sface.bytes).unwrap();
    let error = genderage_form(folder.path(), "sface.onnx").unwrap_err();
    assert!(error.to_string().contains("makes 3 numbers of a face, it makes 128"), "{error}");
}

#[test]
fn the_people_on_the_photos_are_about_as_old_as_they_were() {
    let analyzer = Analyzer::open("opencv", Device::Cpu).unwrap();
    let with_attributes = analyzer.clone().with_attributes("opencv", Device::Cpu).unwrap();
    let attributes = |analyzer: &Analyzer, name: &str| -> Option<Attributes> {
        let faces = analyzer.analyze(&photo(&media_folder().join(name))).unwrap();
        assert_eq!(faces.len(), 1, "{name}");
        faces[0].attributes
    };
    // By the dates in tests/media/CREDITS.md.
    let people = [
        ("obama.jpg", 51.0, false),
        ("obama2.jpg", 48.0, false),
        ("obama3.jpg", 48.0, false),
        ("biden.jpg", 67.0, false),
        ("astronaut.jpg", 42.0, true),
    ];
    let (mut error_years, mut genders_right) = (0.0, 0);
    for (name, age_years, is_woman) in people {
        let found = attributes(&with_attributes, name).unwrap();
        eprintln!("{name}: {found:?}, {age_years} years old");
        genders_right += usize::from((found.female_probability >= 0.5) == is_woman);
        error_years += (found.age_years - age_years).abs() / people.len() as f32;
    }
    // A single crop of the default pack's network is wrong about one gender in fourteen, and off by five years.
    assert!(genders_right >= 4, "{genders_right} of {} right", people.len());
    assert!(error_years < 6.0, "off by {error_years} years on average");
    assert_eq!(attributes(&analyzer, "obama.jpg"), None, "nobody asked");
}
