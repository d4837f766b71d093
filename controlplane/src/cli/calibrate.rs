//! `vedette calibrate`: which threshold names at most so many strangers, told by the deployment's own people. It changes
//! nothing: whoever runs it reads what the threshold costs, and decides.

use std::path::PathBuf;

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
use crate::vision::Vision;

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
    // As many as the product would use, with one kept back to look for.
    let margin = vision.rules().margin;
    let protocol = Protocol { folds: FOLDS, gallery_people: None, templates_per_person: usize::MAX, margin };
    let Proposal { point: proposed, measured } = propose(&people, &protocol, arguments.fpir)?;
    let report = Report {
        pack: vision.pack().name.clone(),
        wanted_false_positive_rate: arguments.fpir,
        people: people.iter().filter(|photos| !photos.is_empty()).count(),
        photos: people.iter().map(Vec::len).sum(),
        searches: *measured.searches(),
        margin,
        in_effect: measured.at(vision.rules().threshold),
        proposed,
        caveats: [CAVEAT, CAMERA_CAVEAT],
    };
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&report).context("the figures cannot be written as JSON")?
        );
    } else {
        print!("{}", told(&report, &config));
    }
    Ok(())
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

fn told(report: &Report, config: &Config) -> String {
    let Report { pack, people, photos, searches, margin, in_effect, proposed, .. } = report;
    let file = config.folder.as_deref().map_or("config.yaml".into(), |folder| folder.join("config.yaml"));
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
