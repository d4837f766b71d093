//! `vedette evaluate`: error rates on photos whose people are known, as text, as JSON and as a plot. The arithmetic is
//! [`vedette_models::evaluation`]'s; here photos become embeddings and figures become words.

pub(super) mod photos;
mod plot;
pub(super) mod report;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use vedette_models::analyzer::Analyzer;
use vedette_models::evaluation::{Identification, Protocol, Verification};

use self::photos::Intake;
use self::report::{IdentificationReport, Report, VerificationReport};
use super::ConfigArguments;
use crate::vision::Vision;

#[derive(Debug, Args)]
pub(super) struct EvaluateArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Folder with one folder of photos per person; or a table of pairs (CSV) with the columns a, b (photos, relative to
    /// the table) and same (same or different), which cannot tell rates of a search among many
    photos: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Draw the ROC into this file (SVG)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// The pack, or a folder with one; else that of the settings (`face_recognition.detection_model`)
    #[arg(long)]
    pack: Option<String>,
    /// Least quality of a photo, 0 to 1; the default takes every face that is found
    #[arg(long, value_name = "QUALITY", default_value_t = 0.0)]
    min_quality: f32,
    /// People in the gallery that is searched [default: everybody but those who are strangers just then]
    #[arg(long, value_name = "PEOPLE")]
    gallery: Option<usize>,
    /// Photos of each that are enrolled, at most; the others are looked up
    /// [default: `face_recognition.registration.min_samples`]
    #[arg(long, value_name = "PHOTOS")]
    enrol: Option<usize>,
    /// Rounds; in each, other people are strangers
    #[arg(long, default_value_t = 10)]
    folds: usize,
    /// How much less similar the next best person must be; 0 = the threshold alone decides [default: the pack's]
    #[arg(long)]
    margin: Option<f32>,
}

pub(super) fn run(arguments: &EvaluateArguments) -> Result<()> {
    let config = arguments.config.load_with_pack(arguments.pack.as_deref())?;
    let vision = Vision::from_config(&config.file)?;
    let (pack, rules) = (&vision.pack().name, vision.rules());
    let protocol = Protocol {
        folds: arguments.folds,
        gallery_people: arguments.gallery,
        templates_per_person: arguments.enrol.unwrap_or(rules.min_samples),
        margin: arguments.margin.unwrap_or(rules.margin),
    };
    let open = || Analyzer::open(pack, vision.device());
    let min_quality = arguments.min_quality;
    let mut intake = Intake::default();
    let (verification, identification, people) = if arguments.photos.is_dir() {
        let files = photos::in_folders(&arguments.photos)?;
        let people = photos::embed_people(&files, &open()?, min_quality, &mut intake)?;
        let verification = Verification::of_people(&people)?;
        let identification = Identification::measure(&people, &protocol)?;
        (verification, Some(identification), Some(people.len()))
    } else {
        let pairs = photos::pairs(&arguments.photos)?;
        let (genuine, impostor) = photos::compare_pairs(&pairs, &open()?, min_quality, &mut intake)?;
        (Verification::of_pairs(genuine, impostor)?, None, None)
    };
    let report = Report {
        pack: pack.clone(),
        threshold: rules.threshold,
        people,
        failure_to_enrol: intake.failure_to_enrol_rate(),
        photos: intake,
        verification: VerificationReport::new(&verification, rules.threshold),
        identification: identification
            .as_ref()
            .map(|measured| IdentificationReport::new(measured, &protocol, rules.threshold)),
        caveat: report::CAVEAT,
    };
    if let Some(file) = &arguments.plot {
        write_plot(file, &report)?;
    }
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&report).context("the figures cannot be written as JSON")?
        );
    } else {
        print!("{report}");
    }
    Ok(())
}

fn write_plot(file: &Path, report: &Report) -> Result<()> {
    let svg = plot::roc(&report.pack, &report.verification);
    fs::write(file, svg).with_context(|| format!("cannot write `{}`", file.display()))?;
    eprintln!("{}: ROC drawn", file.display());
    Ok(())
}
