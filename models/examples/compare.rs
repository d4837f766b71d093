//! Whether two photos show the same person, with the inference crate alone: `compare ONE OTHER`. Before the first time:
//! `vedette models fetch opencv`.

use std::error::Error;
use std::process::ExitCode;

use vedette_models::pack::{DEFAULT_PACK, Packs};
use vedette_models::session::Device;
use vedette_models::{AnalyzedFace, Analyzer, Photo};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [one, other] = arguments.as_slice() else {
        eprintln!("usage: compare PHOTO PHOTO");
        return ExitCode::FAILURE;
    };
    match compare(one, other) {
        Ok(verdict) => {
            println!("{verdict}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(one: &str, other: &str) -> Result<String, Box<dyn Error>> {
    let recognition =
        Packs::get(DEFAULT_PACK)?.recognition.ok_or("the pack does not say when faces are alike")?;
    let analyzer = Analyzer::open(DEFAULT_PACK, Device::Cpu)?;
    let (one, other) = (largest_face(&analyzer, one)?, largest_face(&analyzer, other)?);
    let similarity = one.embedding.cosine(&other.embedding);
    let threshold = recognition.similarity_threshold;
    let verdict = if similarity >= threshold { "the same person" } else { "different people" };
    Ok(format!("{verdict} (similarity {similarity:.3}, the same from {threshold:.3} on)"))
}

fn largest_face(analyzer: &Analyzer, path: &str) -> Result<AnalyzedFace, Box<dyn Error>> {
    let photo = Photo::decode(&std::fs::read(path).map_err(|error| format!("{path}: {error}"))?)?;
    let faces = analyzer.analyze(&photo)?.into_iter();
    let largest = faces.max_by(|a, b| a.face.rect.area().total_cmp(&b.face.rect.area()));
    largest.ok_or_else(|| format!("{path}: no face found").into())
}
