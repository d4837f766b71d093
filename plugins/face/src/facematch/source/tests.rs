//! Galleries from files and servers, and what becomes of changes.
#![allow(clippy::unwrap_used)]

use super::*;
use vedette_events::encode_vector;

fn json(names: &[&str]) -> String {
    let person = |name: &&str| GalleryPerson {
        id: format!("id-{name}"),
        name: (*name).into(),
        templates: vec![encode_vector(&[1.0, 0.0])],
    };
    let persons = names.iter().map(person).collect();
    serde_json::to_string(&GallerySnapshot { pack: "opencv".into(), dimension: 2, persons }).unwrap()
}

#[test]
fn a_missing_file_says_how_to_make_one() {
    for location in ["/no/such/people.json", "file:///no/such/people.json"] {
        let error = GallerySource::open(location, None).unwrap_err().to_string();
        assert!(error.contains("vedette gallery build DIR --out /no/such/people.json"), "{error}");
    }
    let error = GallerySource::open("redis://:secret@host/0", None).unwrap_err().to_string();
    assert!(error.contains("redis:") && !error.contains("secret"), "{error}");
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.json");
    std::fs::write(&path, "{}").unwrap();
    let error = GallerySource::open(path.to_str().unwrap(), None).unwrap_err().to_string();
    assert!(error.contains("is not a gallery"), "{error}");
}

#[test]
fn a_new_gallery_is_the_running_one_with_its_changes() {
    let snapshot = |pack: &str, people: &[(&str, &str, [f32; 2])]| {
        let person = |(id, name, vector): &(&str, &str, [f32; 2])| GalleryPerson {
            id: (*id).into(),
            name: (*name).into(),
            templates: vec![encode_vector(vector)],
        };
        let persons = people.iter().map(person).collect();
        serde_json::to_vec(&GallerySnapshot { pack: pack.into(), dimension: 2, persons }).unwrap()
    };
    let (east, north) = ([1.0, 0.0], [0.0, 1.0]);
    let first = [("1", "Ada", east), ("2", "Ben", north), ("3", "Cleo", north)];
    let running = Loaded::parse("here", &snapshot("opencv", &first), None).unwrap();
    let changed = [("4", "Dan", [-1.0, 0.0]), ("3", "Cleopatra", north), ("1", "Ada", [0.0, -1.0])];
    for pack in ["opencv", "another"] {
        let new = Loaded::parse("here", &snapshot(pack, &changed), Some(&running)).unwrap();
        let named = |direction: [f32; 2]| new.gallery.best(&direction, 1)[0].person.name;
        assert_eq!([named([0.0, -1.0]), named(north), named([-1.0, 0.0])], ["Ada", "Cleopatra", "Dan"]);
        assert_eq!((new.gallery.len(), new.gallery.template_count()), (3, 3));
        assert_eq!(new.gallery.person("2"), None);
        let ada = if pack == "opencv" { 0 } else { 2 };
        assert_eq!(new.gallery.place_of("1"), Some(ada), "who stays keeps their place");
    }
    assert_eq!(running.gallery.best(&north, 1)[0].person.name, "Ben");
    assert_eq!(running.gallery.len(), 3, "whoever goes on with the former one sees no change");

    let twice = [("1", "Ada", east), ("1", "Ada", east)];
    for before in [None, Some(&running)] {
        let error = Loaded::parse("here", &snapshot("opencv", &twice), before).unwrap_err().to_string();
        assert!(error.contains("person 1 is in the gallery already"), "{error}");
    }
}

#[test]
fn a_gallery_is_shared_and_read_again_when_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.json");
    std::fs::write(&path, json(&["Ada"])).unwrap();
    let source = GallerySource::open(path.to_str().unwrap(), None).unwrap();
    let again = GallerySource::open(path.to_str().unwrap(), None).unwrap();
    assert!(Arc::ptr_eq(&source, &again));
    let first = source.current().unwrap();
    assert_eq!((first.gallery.len(), first.version, first.pack_name.as_str()), (1, 1, "opencv"));

    std::fs::write(&path, json(&["Ada", "Ben"])).unwrap();
    while source.current().unwrap().version == 1 {
        source.state.pause(Duration::from_millis(20));
    }
    assert_eq!(source.current().unwrap().gallery.len(), 2);
    assert_eq!(source.trouble_after(0), None);

    std::fs::remove_file(&path).unwrap();
    while source.trouble_after(0).is_none() {
        source.state.pause(Duration::from_millis(20));
    }
    assert_eq!(source.current().unwrap().gallery.len(), 2, "the last good one stays");
}
