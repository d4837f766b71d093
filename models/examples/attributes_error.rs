//! How wrong ages and genders are, on photos of people whose age is known: `attributes_error [PACK]`. Those in `tests/media` are
//! always there; the others may not be redistributed, lie where `VEDETTE_SHARED` says, and are skipped where they do not.
//!
//! Ages on the photos in `tests/media` follow from the dates in its `CREDITS.md`, those of others from who is shown and roughly
//! when: a year or two may be missing. The genders of people nobody knows are guessed by eye.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use vedette_models::attributes::Attributes;
use vedette_models::geometry::Point;
use vedette_models::pack::DEFAULT_PACK;
use vedette_models::session::Device;
use vedette_models::{Analyzer, Photo};

/// From this age on people look younger to networks than they are.
const OLDER_YEARS: f32 = 50.0;

/// A face and what is true of it.
#[derive(Deserialize)]
struct Truth {
    /// `media/…` lies in this repository, the rest elsewhere.
    photo: String,
    /// A point within the face's box, in pixels.
    at: [f32; 2],
    gender: String,
    age: Option<f32>,
}

#[derive(Default)]
struct Errors {
    years: Vec<f32>,
    genders_right: usize,
    genders: usize,
}

impl Errors {
    fn note(&mut self, truth: &Truth, found: &Attributes) {
        self.years.extend(truth.age.map(|age| found.age_years - age));
        self.genders += 1;
        self.genders_right += usize::from(found.is_female() == (truth.gender == "female"));
    }

    fn print(&self, who: &str) {
        let count = self.years.len().max(1) as f32;
        let mean = self.years.iter().map(|error| error.abs()).sum::<f32>() / count;
        let bias = self.years.iter().sum::<f32>() / count;
        println!(
            "{who}: age off by {mean:.1} years on average (mean {bias:+.1}, {} faces), gender right for {} of {}",
            self.years.len(),
            self.genders_right,
            self.genders
        );
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let pack = std::env::args().nth(1).unwrap_or_else(|| DEFAULT_PACK.to_owned());
    let analyzer = Analyzer::open(&pack, Device::Cpu)?.with_attributes(&pack, Device::Cpu)?;
    let truths: Vec<Truth> = serde_json::from_str(include_str!("attributes_truth.json"))?;
    let mut by_photo: BTreeMap<&str, Vec<&Truth>> = BTreeMap::new();
    for truth in &truths {
        by_photo.entry(&truth.photo).or_default().push(truth);
    }

    let (mut all, mut younger, mut older) = (Errors::default(), Errors::default(), Errors::default());
    for (photo, truths) in by_photo {
        let Some(path) = path_of(photo) else { continue };
        let faces = analyzer.analyze(&Photo::decode(&std::fs::read(&path)?)?)?;
        for truth in truths {
            let at = Point::new(truth.at[0], truth.at[1]);
            let Some(found) = faces.iter().find(|face| face.face.rect.contains(at)) else {
                println!("{photo}: no face found at {:?}", truth.at);
                continue;
            };
            let found = found.attributes.ok_or("the analyzer estimates nothing")?;
            println!(
                "{photo}: {:.0} years, {:.0} % female; truly {} and {}",
                found.age_years,
                100.0 * found.female_probability,
                truth.age.map_or_else(|| "?".to_owned(), |age| age.to_string()),
                truth.gender
            );
            all.note(truth, &found);
            match truth.age {
                Some(age) if age >= OLDER_YEARS => older.note(truth, &found),
                Some(_) => younger.note(truth, &found),
                None => {}
            }
        }
    }
    all.print("all");
    younger.print("known to be under 50");
    older.print("known to be 50 or more");
    Ok(())
}

/// Where a photo lies, if it is on this machine.
fn path_of(photo: &str) -> Option<PathBuf> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = if photo.starts_with("media/") {
        crate_folder.join("../tests").join(photo)
    } else {
        let shared = std::env::var_os("VEDETTE_SHARED");
        shared.map_or_else(|| crate_folder.join("../../shared"), PathBuf::from).join("data/faces").join(photo)
    };
    let is_there = path.is_file();
    if !is_there {
        println!("skipped: {} is not on this machine (VEDETTE_SHARED names its folder)", path.display());
    }
    is_there.then_some(path)
}
