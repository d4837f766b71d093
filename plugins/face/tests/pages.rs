//! The page of each element says what is so: its pipeline runs, and its table lists the element's properties, all of
//! them and no others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::{Running, error_of};
use gst::prelude::*;

const ELEMENTS: [&str; 6] = ["facedetect", "facetrack", "faceembed", "facematch", "faceoverlay", "eventsink"];

fn page(element: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(element).join("README.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The commands of a page, each on one line.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| block.replace("\\\n", " ").trim().to_owned()).collect()
}

#[test]
fn pipelines_of_pages_run_and_find_the_face() {
    let media = common::photo("");
    let folder = tempfile::tempdir().unwrap();
    for element in ELEMENTS {
        let commands = commands(&page(element));
        assert!(!commands.is_empty(), "the page of {element} shows no pipeline");
        for command in commands {
            let launch = command.strip_prefix("gst-launch-1.0 -q ").expect("a pipeline as one types it");
            let launch = launch
                .replace("location=tests/media/", &format!("location={}", media.display()))
                .replace("location=overlay", &format!("location={}/overlay", folder.path().display()))
                .replace("uri=stdout:", "uri=file:///dev/null")
                .replace("file:///dev/stdout", "file:///dev/null");
            let running = Running::start(&launch);
            assert_eq!(error_of(&running.finish()), None, "{command}");
            let of_page = running.pipeline.iterate_recurse().into_iter().flatten().find(|found| {
                found.factory().is_some_and(|factory| factory.name().trim_start_matches("vedette") == element)
            });
            let stats: gst::Structure = of_page.expect("the page's element").property("stats");
            let found = stats.get::<u64>("faces").or_else(|_| stats.get("events"));
            assert!(found.unwrap() > 0, "{command}: {stats}");
        }
    }
    assert!(fs::metadata(folder.path().join("overlay.jpg")).unwrap().len() > 1000);
}

#[test]
fn tables_of_pages_list_every_property() {
    common::init();
    for element in ELEMENTS {
        let name = if element.starts_with("face") { format!("vedette{element}") } else { element.to_owned() };
        let made = gst::ElementFactory::make(&name)
            .build()
            .or_else(|_| gst::ElementFactory::make(element).build())
            .unwrap();
        let of_its_own = |property: &gst::glib::ParamSpec| property.owner_type() == made.type_();
        let properties: BTreeSet<String> = made
            .list_properties()
            .iter()
            .filter(|property| of_its_own(property))
            .map(|property| property.name().to_owned())
            .collect();
        let page = page(element);
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let listed: BTreeSet<String> = rows
            .flat_map(|row| row.split('|').nth(1).unwrap().split(','))
            .map(|name| name.trim().trim_matches('`').to_owned())
            .collect();
        assert_eq!(listed, properties, "{element}");
    }
}
