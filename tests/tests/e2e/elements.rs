//! The elements at a terminal: plain `gst-launch-1.0`, without a control plane.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use vedette_tests::{
    checkout,
    clip::Clip,
    terminal::{build_gallery, gst_command, lay_out_people, recognise, sightings},
    truth::Truth,
};

use crate::scene::turn;

const ELEMENTS: [&str; 8] = [
    "facedetect",
    "vedettefacedetect",
    "facetrack",
    "faceembed",
    "facematch",
    "faceoverlay",
    "vedettefaceoverlay",
    "eventsink",
];
/// Names that Debian's plugins bear as well: whose they are depends on what is installed.
const SHARED_NAMES: [&str; 2] = ["facedetect", "faceoverlay"];

#[test]
fn every_element_can_be_inspected() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for element in ELEMENTS {
        let output = gst_command("gst-inspect-1.0", folder.path())?.arg(element).output()?;
        ensure!(output.status.success(), "{element}: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout);
        let is_ours = said.contains("libgstvedette.so") || SHARED_NAMES.contains(&element);
        ensure!(is_ours, "`{element}` is someone else's:\n{said}");
    }
    Ok(())
}

#[test]
fn a_pipeline_prints_one_event_a_line() -> Result<()> {
    let _turn = turn();
    let folder = tempfile::tempdir()?;
    let (video, truth) = Clip::demo().make(&folder.path().join("clip"))?;
    let people = folder.path().join("people");
    lay_out_people(&truth, &[checkout::media_dir()], &people)?;
    let gallery = build_gallery(&people, &folder.path().join("people.gallery"))?;

    let (run, events) = recognise(&video, &gallery, "", folder.path())?;
    let score = truth.score(&sightings(&events));
    ensure!(score.is_perfect(), "{score}: {:#?}\n{}", score.mistakes, run.stdout);
    ensure!(score.seen == truth.appearances.len(), "someone was not seen at all:\n{}", run.stdout);
    ensure!(events.iter().all(|event| event.camera_id == "clip"), "{}", run.stdout);
    let ids: BTreeSet<_> = events.iter().map(|event| event.event_id).collect();
    ensure!(ids.len() == events.len(), "an event is there twice:\n{}", run.stdout);
    Ok(())
}

/// A clip with known truth that is not part of the checkout: more people, photos nobody was enrolled with.
#[test]
fn a_crowd_is_named_rightly() -> Result<()> {
    let _turn = turn();
    let Some(shared) = checkout::shared_dir() else {
        eprintln!("skipped: no measuring data; VEDETTE_SHARED names its folder");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let stem = shared.join("data/clips/crowd_dev");
    let truth = Truth::read(&stem.with_extension("json"))?;
    let people = folder.path().join("people");
    lay_out_people(&truth, &[shared.join("data/faces/people"), shared.join("data/faces/groups")], &people)?;
    let gallery = build_gallery(&people, &folder.path().join("people.gallery"))?;

    let (_, events) = recognise(&stem.with_extension("mp4"), &gallery, "", folder.path())?;
    let score = truth.score(&sightings(&events));
    ensure!(score.is_perfect(), "{score}: {:#?}", score.mistakes);
    Ok(())
}
