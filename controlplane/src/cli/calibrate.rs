//! `vedette calibrate`: which threshold names at most so many strangers, told by the deployment's own people. It changes
//! nothing: whoever runs it reads what the threshold costs, and decides.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::Serialize;
use vedette_models::analyzer::Analyzer;
use vedette_models::embed::Embedding;
use vedette_models::evaluation::identification::Searches;
use vedette_models::evaluation::{Proposal, Protocol, SearchPoint, propose};

use super::ConfigArguments;
use super::evaluate::photos::{self, Intake};
use super::evaluate::report::{CAVEAT, footnotes, search_heading, told_search};
use crate::config::Config;
use crate::persons::{reembed, template};
use crate::startup;
use crate::vision::{RecognitionRules, Vision};

/// Rounds; in each, another tenth of the people are strangers.
const FOLDS: usize = 10;
/// How alike enrolled photos and cameras' pictures are.
const CAMERA_CAVEAT: &str = "photos are better than what cameras see, and enrolment accepted only those that resemble each \
                             other: on cameras, expect a higher FNIR; a folder of pictures from the cameras themselves \
                             (--dir) tells more";

#[derive(Debug, Args)]
pub(super) struct CalibrateArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Folder with one folder of photos per person, instead of the photos of everybody enrolled
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The wanted false-positive rate: of so many searches for strangers, the share that may name somebody
    #[arg(long, value_name = "RATE", default_value_t = 0.01)]
    fpir: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The pack, or a folder with one; else that of the settings (`face_recognition.detection_model`)
    #[arg(long)]
    pack: Option<String>,
}

/// What is proposed, and what it rests on.
#[derive(Debug, Serialize)]
struct Report {
    pack: String,
    wanted_false_positive_rate: f64,
    people: usize,
    photos: usize,
    searches: Searches,
    margin: f32,
    in_effect: SearchPoint,
    proposed: SearchPoint,
    caveats: [&'static str; 2],
}

pub(super) fn run(arguments: &CalibrateArguments) -> Result<()> {
    let config = arguments.config.load_with_pack(arguments.pack.as_deref())?;
    let vision = Vision::from_config(&config.file)?;
    let people = match &arguments.dir {
        Some(dir) => {
            let files = photos::in_folders(dir)?;
            let analyzer = Analyzer::open(&vision.pack().name, vision.device())?;
            photos::embed_people(&files, &analyzer, 0.0, &mut Intake::default())?
        }
        None => super::runtime()?.block_on(enrolled(&config, &vision))?,
    };
    let report = measure(&people, &vision.pack().name, vision.rules(), arguments.fpir)?;
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&report).context("the figures cannot be written as JSON")?
        );
    } else {
        let folder = config.folder.as_deref().unwrap_or(Path::new(""));
        print!("{}", told(&report, &folder.join("config.yaml")));
    }
    Ok(())
}

fn measure(people: &[Vec<Embedding>], pack: &str, rules: &RecognitionRules, fpir: f64) -> Result<Report> {
    // As many photos as the product would use, with one kept back to look for.
    let protocol = Protocol {
        folds: FOLDS,
        gallery_people: None,
        templates_per_person: usize::MAX,
        margin: rules.margin,
    };
    let Proposal { point: proposed, measured } = propose(people, &protocol, fpir)?;
    Ok(Report {
        pack: pack.to_owned(),
        wanted_false_positive_rate: fpir,
        people: people.iter().filter(|photos| !photos.is_empty()).count(),
        photos: people.iter().map(Vec::len).sum(),
        searches: *measured.searches(),
        margin: rules.margin,
        in_effect: measured.at(rules.threshold),
        proposed,
        caveats: [CAVEAT, CAMERA_CAVEAT],
    })
}

/// What the pack made of the photos of everybody enrolled.
async fn enrolled(config: &Config, vision: &Vision) -> Result<Vec<Vec<Embedding>>> {
    let pack = &vision.pack().name;
    let db = startup::open_database(&config.environment).await?;
    let keys = startup::open_keys(config, &db).await?;
    let remaining = reembed::remaining(&db, pack).await.context("the database cannot be asked")?;
    ensure!(
        remaining == 0,
        "{remaining} photos have no template of `{pack}` yet: run `vedette gallery reembed --pack {pack}` first"
    );
    let people = template::of_everybody(&db, &keys, pack).await;
    let people = people.context("the templates of everybody enrolled cannot be read")?;
    db.close().await.context("the database did not close")?;
    Ok(people)
}

/// The report in words; `file` holds the settings.
fn told(report: &Report, file: &Path) -> String {
    let Report { pack, people, photos, searches, margin, in_effect, proposed, .. } = report;
    let (least, most) = (searches.least_gallery_people, searches.most_gallery_people);
    let gallery = if least == most { most.to_string() } else { format!("{least} to {most}") };
    format!(
        "pack {pack}: {photos} photos of {people} people\n\
         {} searches for strangers and {} for people enrolled ({} different photos), in galleries of {gallery} people; \
         margin {margin}\n\n\
         {}\n{}\n{}\n\n\
         To use it, put this into {} and start the server again:\n\n\
         face_recognition:\n  recognition_threshold: {}\n\n\
         {}{CAMERA_CAVEAT}\n",
        searches.non_mated,
        searches.mated,
        searches.mated_photos,
        search_heading(),
        told_search("in effect", in_effect),
        told_search("proposed", proposed),
        file.display(),
        proposed.threshold,
        footnotes(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const RULES: RecognitionRules =
        RecognitionRules { min_samples: 3, min_quality: 0.5, threshold: 0.3, margin: 0.05 };

    /// People on axes of their own, all a little alike.
    fn people(count: usize, photos: usize) -> Vec<Vec<Embedding>> {
        let photo = |person: usize, index: usize| {
            let mut vector = vec![0.3 + 0.01 * index as f32; count];
            vector[person] = 2.0;
            Embedding::from_vector(&vector).unwrap()
        };
        (0..count).map(|person| (0..photos).map(|index| photo(person, index)).collect()).collect()
    }

    #[test]
    fn the_line_for_the_settings_and_its_price_are_told() {
        let rules = RecognitionRules { margin: 0.0, ..RULES };
        let report = measure(&people(20, 5), "opencv", &rules, 0.05).unwrap();
        let settings = told(&report, Path::new("/etc/vedette/config.yaml"));
        for expected in [
            "100 photos of 20 people",
            "100 searches for strangers and 180 for people enrolled (100 different photos), in galleries of 18 people",
            "put this into /etc/vedette/config.yaml",
            &format!("face_recognition:\n  recognition_threshold: {}\n", report.proposed.threshold),
            "the true intervals are wider",
            "on cameras, expect a higher FNIR",
        ] {
            assert!(settings.contains(expected), "{settings}");
        }
        assert_eq!(report.in_effect.threshold, 0.3);
        assert!(report.in_effect.false_positive_rate.value > 0.9, "everybody is alike enough for 0.3");
        assert!(report.proposed.threshold > 0.3 && report.proposed.false_positive_rate.value <= 0.05);
        assert_eq!(report.proposed.false_negative_rate.value, 0.0);
    }

    #[test]
    fn too_few_people_are_refused() {
        let told = measure(&people(4, 5), "opencv", &RULES, 0.01).unwrap_err().to_string();
        assert!(told.contains("people 4 (10 would do), usable photos 20 (300 would do)"), "{told}");
    }
}
