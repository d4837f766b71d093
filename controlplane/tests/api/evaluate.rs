//! `vedette evaluate` and `vedette calibrate` as processes, with real photos.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::app::{TestApp, database_in};
use crate::media::{Form, THREE_OF_ONE, photo, side_by_side};

/// Three photos of one person and one each of two others.
const PEOPLE: [(&str, &str); 5] = [
    ("Barack/1.jpg", "obama.jpg"),
    ("Barack/2.jpg", "obama2.jpg"),
    ("Barack/3.jpg", "obama3.jpg"),
    ("Eileen/1.jpg", "astronaut.jpg"),
    ("Joe/1.jpg", "biden.jpg"),
];

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

fn vedette(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", told(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The photos in folders, with a photo of two people and a file that is none.
fn people() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, bytes: Vec<u8>| {
        let path = folder.path().join("people").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    PEOPLE.iter().for_each(|(file, name)| write(file, photo(name)));
    write("Barack/pair.jpg", side_by_side("obama.jpg", "biden.jpg"));
    write("Barack/notes.txt", b"born 1961".to_vec());
    folder
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

#[test]
fn error_rates_are_measured_on_folders_of_photos() {
    let folder = people();
    let arguments = ["evaluate", "people", "--json", "--plot", "roc.svg"];
    let output = vedette(folder.path(), &arguments);
    let report: Value = serde_json::from_str(&printed(&output)).unwrap();

    let photos = &report["photos"];
    assert_eq!((report["pack"].as_str(), count(&report["people"])), (Some("opencv"), 3));
    assert_eq!((count(&photos["read"]), count(&photos["usable"])), (6, 5), "what is no photo is no failure");
    assert_eq!(report["failure_to_enrol"]["value"], 1.0 / 6.0);
    let skipped = photos["skipped"].as_array().unwrap();
    let is_skipped = |file: &str, reason: &str| {
        let says = |text: &Value, part: &str| text.as_str().unwrap().contains(part);
        skipped.iter().any(|skipped| says(&skipped["file"], file) && says(&skipped["reason"], reason))
    };
    assert!(is_skipped("pair.jpg", "2 faces") && is_skipped("notes.txt", "JPEG"), "{skipped:?}");
    assert!(told(&output).contains("skipped people/Barack/pair.jpg: 2 faces"), "{}", told(&output));

    let verification = &report["verification"];
    let pairs = (count(&verification["genuine_pairs"]), count(&verification["impostor_pairs"]));
    assert_eq!(pairs, (3, 7));
    assert_eq!(verification["equal_error"]["rate"]["value"], 0.0, "{verification}");
    let in_effect = &verification["at_threshold"];
    assert_eq!(in_effect["false_accept_rate"]["value"], 0.0);
    assert_eq!(in_effect["true_accept_rate"]["value"], 1.0);
    assert_eq!(in_effect["true_accept_rate"]["trials"], 3);
    let low = in_effect["true_accept_rate"]["low"].as_f64().unwrap();
    assert!((low - 0.4385).abs() < 1e-3, "three of three says little: {low}");
    let one_in_ten = &verification["at_false_accept_rate"][0];
    assert_eq!((&one_in_ten["measured"], count(&one_in_ten["needed_trials"])), (&Value::Null, 10));

    let identification = &report["identification"];
    let searches = &identification["searches"];
    assert_eq!((count(&searches["folds"]), count(&searches["non_mated"])), (3, 5));
    assert_eq!((count(&searches["mated"]), count(&searches["mated_photos"])), (2, 2));
    assert_eq!(identification["at_threshold"]["false_positive_rate"]["value"], 0.0);
    assert_eq!(identification["at_threshold"]["false_negative_rate"]["value"], 0.0);

    let plot = std::fs::read_to_string(folder.path().join("roc.svg")).unwrap();
    assert!(plot.starts_with("<svg") && plot.contains("3 pairs of one person, 7 of two"), "{plot}");
}

#[test]
fn error_rates_are_told_in_words() {
    let folder = people();
    let text = printed(&vedette(folder.path(), &["evaluate", "people"]));
    for expected in [
        "pack opencv: 5 usable photos of 3 people",
        "failure to enrol: 1 of 6 photos, 16.7 %",
        "Same person (1:1): 3 pairs of one person, 7 of two",
        "FAR 0.001     not measurable: it takes 1000 pairs",
        "Who is it (1:N): galleries of 2 people",
        "the true intervals are wider",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn pairs_of_a_table_are_compared() {
    let folder = people();
    let table = "a,b,same\nBarack/1.jpg,Barack/2.jpg,same\nBarack/1.jpg,Joe/1.jpg,different\n\
                 Barack/1.jpg,Barack/pair.jpg,same\nEileen/1.jpg,Joe/1.jpg,0\n";
    std::fs::write(folder.path().join("people/pairs.csv"), table).unwrap();
    let report = printed(&vedette(folder.path(), &["evaluate", "people/pairs.csv", "--json"]));
    let report: Value = serde_json::from_str(&report).unwrap();
    let verification = &report["verification"];
    assert_eq!((count(&verification["genuine_pairs"]), count(&verification["impostor_pairs"])), (1, 2));
    assert_eq!((count(&report["photos"]["pairs_left_out"]), &report["identification"]), (1, &Value::Null));
}

#[test]
fn what_cannot_be_measured_is_an_error() {
    let folder = people();
    std::fs::remove_dir_all(folder.path().join("people/Barack")).unwrap();
    std::fs::write(folder.path().join("bad.csv"), "first,second\n").unwrap();
    let failures = [
        (vec!["evaluate", "people"], "no two usable photos of one person"),
        (vec!["evaluate", "bad.csv"], "the column `a` is missing"),
        (vec!["evaluate", "missing"], "cannot read `missing`"),
        (vec!["calibrate", "--dir", "people"], "people 2 (10 would do)"),
        (vec!["calibrate", "--dir", "people", "--fpir", "1.5"], "between 0 and 1"),
    ];
    for (arguments, reason) in failures {
        let output = vedette(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(told(&output).contains(reason), "{arguments:?}: {}", told(&output));
    }
}

#[test]
fn a_threshold_is_looked_for_among_who_is_enrolled() {
    let app = TestApp::with("security: {force_password_change: false}\n");
    let form = Form::default().text("name", "Barack").photos(THREE_OF_ONE);
    form.send(&app.admin(), "/api/persons/register").expect(201);
    let folder = app.stop();
    let mut calibrate = command(folder.path(), &["calibrate"]);
    calibrate.env("VEDETTE_DATA_DIR", folder.path().join("data")).envs(database_in(folder.path()));
    let output = calibrate.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = "people 1 (10 would do), usable photos 3 (300 would do), photos of people with several 3 (10 would do)";
    assert!(told(&output).contains(expected), "{}", told(&output));
}
