//! Lists of detections: every filter and order, and totals that stay right whatever comes and goes.

use serde_json::{Value, json};

use crate::app::{Client, TestApp};
use crate::ingest::bare_event;
use crate::media::with_people;

/// Two people and 240 events of two days: 20 s apart at first, a day later at last.
struct Scene {
    app: TestApp,
    people: Vec<Value>,
    events: Vec<Value>,
}

impl Scene {
    fn new() -> Self {
        let (app, people) = with_people(&["Zoe", "Adam"]);
        let kinds = ["recognized", "updated", "left", "unknown"];
        let event = |number: usize| {
            let person = people.get(number % 3);
            let mut event = bare_event(number as u128, person);
            let kind =
                if person.is_none() && number.is_multiple_of(4) { "unknown" } else { kinds[number % 4] };
            event["kind"] = json!(kind);
            event["camera_id"] = json!(format!("cam_{}", number % 5));
            event["confidence"] = json!((number * 7 % 100) as f64 / 100.0);
            event["quality"] = json!((number * 11 % 100) as f64 / 100.0);
            if person.is_some() {
                event["person"]["similarity"] = json!((number * 13 % 100) as f64 / 100.0);
            }
            let (day, second) = (1 + number / 200, number % 200 * 20);
            let time = format!("2026-01-{day:02}T12:{:02}:{:02}.5Z", second / 60 % 60, second % 60);
            event["timestamp"] = json!(time.replace("T12", &format!("T{}", 12 + second / 3600)));
            event
        };
        let events: Vec<Value> = (0..240).map(event).collect();
        assert_eq!(app.worker().post("/api/ingest", &json!(events)).expect(200)["accepted"], 240);
        Self { app, people, events }
    }

    fn person(&self, index: usize) -> &str {
        self.people[index]["id"].as_str().unwrap()
    }
}

fn list(client: &Client, query: &str) -> Value {
    client.get(&format!("/api/detections?{query}")).expect(200)
}

/// All pages of a list: they hold as many as the total says, none twice.
fn all(client: &Client, query: &str, page_size: usize) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    for page in 1.. {
        let mut list = list(client, &format!("{query}&page={page}&page_size={page_size}"));
        let some = list["items"].as_array_mut().unwrap();
        if some.is_empty() {
            assert_eq!(list["total"], items.len(), "{query}");
            break;
        }
        items.append(some);
    }
    let mut ids: Vec<&str> = items.iter().map(|item| item["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), items.len(), "{query}: none twice");
    items
}

#[test]
fn every_filter_finds_what_it_names_and_nothing_else() {
    let scene = Scene::new();
    let admin = scene.app.admin();
    let person = scene.person(0);
    type Test = Box<dyn Fn(&Value) -> bool>;
    let is = |name: &'static str, value: Value| -> Test { Box::new(move |event| event[name] == value) };
    let (id, at) = (json!(person), |event: &Value| event["timestamp"].as_str().unwrap().to_owned());
    let filters: Vec<(String, Test)> = vec![
        (format!("person_id={person}"), Box::new(move |event| event["person"]["id"] == id)),
        ("camera_id=cam_2".into(), is("camera_id", json!("cam_2"))),
        ("camera_id=nowhere".into(), Box::new(|_| false)),
        ("known=true".into(), Box::new(|event| !event["person"].is_null())),
        ("known=false".into(), is("person", Value::Null)),
        ("kind=left".into(), is("kind", json!("left"))),
        ("kind=recognized".into(), is("kind", json!("recognized"))),
        ("min_confidence=0.5".into(), Box::new(|event| event["confidence"].as_f64() >= Some(0.5))),
        ("min_confidence=0.995".into(), Box::new(|_| false)),
        (
            "from=2026-01-01T12:10:00Z".into(),
            Box::new(move |event| at(event).as_str() >= "2026-01-01T12:10:00"),
        ),
        ("to=2026-01-01T12:59:30Z".into(), Box::new(move |event| at(event).as_str() < "2026-01-01T12:59:30")),
        (
            "from=2026-01-01T12:10:00Z&to=2026-01-02T12:05:00Z".into(),
            Box::new(move |event| {
                ("2026-01-01T12:10:00".."2026-01-02T12:05:00").contains(&at(event).as_str())
            }),
        ),
        (
            "from=2026-01-01T12:10:00Z&to=2026-01-01T12:11:00Z".into(),
            Box::new(move |event| {
                ("2026-01-01T12:10:00".."2026-01-01T12:11:00").contains(&at(event).as_str())
            }),
        ),
    ];
    for (first, passes_first) in &filters {
        for (second, passes_second) in &filters {
            let name = |query: &str| query.split('=').next().unwrap().to_owned();
            let clash = ["from", "to", "camera_id", "known", "kind", "min_confidence"];
            if first != second && clash.contains(&name(first).as_str()) && first.contains(&name(second)) {
                continue;
            }
            if first != second && second.contains(&name(first)) {
                continue;
            }
            let query = if first == second { first.clone() } else { format!("{first}&{second}") };
            let wanted =
                scene.events.iter().filter(|event| passes_first(event) && passes_second(event)).count();
            for sort in ["-timestamp", "timestamp", "-confidence", "similarity"] {
                let list = list(&admin, &format!("{query}&sort={sort}&page_size=500"));
                assert_eq!(
                    (&list["total"], list["items"].as_array().unwrap().len()),
                    (&json!(wanted), wanted),
                    "{query} {sort}"
                );
            }
        }
    }
}

/// Far more than are looked at one by one: eleven thousand events of five days, most of them very confident.
#[test]
fn totals_by_confidence_are_exact_however_many_there_are() {
    let (app, people) = with_people(&["Zoe"]);
    let confidence = |number: u64| ((number * 7919 % 10_000) as f64 / 10_000.0).cbrt();
    let event = |number: u64| {
        let mut event = bare_event(number.into(), people.first().filter(|_| number.is_multiple_of(3)));
        event["kind"] = json!(["recognized", "left"][usize::from(number.is_multiple_of(2))]);
        event["camera_id"] = json!(format!("cam_{}", number % 2));
        event["confidence"] = json!(confidence(number) as f32);
        let second = number * 40;
        let (day, hour) = (1 + second / 86_400, second / 3600 % 24);
        event["timestamp"] =
            json!(format!("2026-01-{day:02}T{hour:02}:{:02}:{:02}Z", second / 60 % 60, second % 60));
        event
    };
    let events: Vec<Value> = (0..11_000).map(event).collect();
    for events in events.chunks(5500) {
        app.worker().post("/api/ingest", &json!(events)).expect(200);
    }
    let admin = app.admin();
    type Test<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let at = |event: &Value| event["timestamp"].as_str().unwrap().to_owned();
    let periods: [(&str, Test<'_>); 6] = [
        ("", Box::new(|_| true)),
        ("&from=2026-01-02T05:00:00Z", Box::new(|event| at(event).as_str() >= "2026-01-02T05")),
        ("&to=2026-01-05T00:00:00Z", Box::new(|event| at(event).as_str() < "2026-01-05")),
        (
            "&from=2026-01-01T22:00:00Z&to=2026-01-04T01:30:00Z",
            Box::new(|event| ("2026-01-01T22".."2026-01-04T01:30").contains(&at(event).as_str())),
        ),
        (
            "&from=2026-01-01T23:00:00Z&to=2026-01-02T01:30:00Z",
            Box::new(|event| ("2026-01-01T23".."2026-01-02T01:30").contains(&at(event).as_str())),
        ),
        ("&from=2026-01-03T12:00:00Z&to=2026-01-03T12:00:00Z", Box::new(|_| false)),
    ];
    let others: [(&str, Test<'_>); 5] = [
        ("", Box::new(|_| true)),
        ("&camera_id=cam_1", Box::new(|event| event["camera_id"] == "cam_1")),
        ("&known=true", Box::new(|event| !event["person"].is_null())),
        ("&known=false&kind=left", Box::new(|event| event["person"].is_null() && event["kind"] == "left")),
        (
            "&camera_id=cam_0&kind=recognized",
            Box::new(|event| event["camera_id"] == "cam_0" && event["kind"] == "recognized"),
        ),
    ];
    for limit in ["0", "0.3", "0.5012", "0.9", "0.951", "0.9539", "0.99999", "1"] {
        let least: f32 = limit.parse().unwrap();
        for (period, is_then) in &periods {
            for (other, is_that) in &others {
                let is_wanted = |event: &&Value| {
                    let confidence = event["confidence"].as_f64().unwrap() as f32;
                    confidence >= least && is_then(event) && is_that(event)
                };
                let query = format!("min_confidence={limit}{period}{other}");
                let list = list(&admin, &format!("{query}&page_size=1"));
                assert_eq!(list["total"], events.iter().filter(is_wanted).count(), "{query}");
            }
        }
    }
}

#[test]
fn every_order_holds_across_pages() {
    let scene = Scene::new();
    let admin = scene.app.admin();
    for query in ["known=true", "camera_id=cam_1", "kind=updated", ""] {
        for column in ["timestamp", "confidence", "quality", "similarity", "camera_id", "person_name"] {
            let ascending = all(&admin, &format!("{query}&sort={column}"), 7);
            let descending = all(&admin, &format!("{query}&sort=-{column}"), 50);
            assert_eq!(ascending.len(), descending.len());
            let values = |items: &[Value]| -> Vec<Value> {
                items.iter().map(|item| item[column].clone()).filter(|value| !value.is_null()).collect()
            };
            let key = |value: &Value| {
                (value.as_f64().map(|number| (number * 1e6) as i64), value.as_str().map(str::to_owned))
            };
            let (ascending_values, mut descending_values) = (values(&ascending), values(&descending));
            assert!(ascending_values.is_sorted_by_key(key), "{query} {column}");
            descending_values.reverse();
            assert!(descending_values.is_sorted_by_key(key), "{query} -{column}");
            let is_null_first = |items: &[Value]| {
                items.windows(2).any(|two| two[0][column].is_null() && !two[1][column].is_null())
            };
            assert!(!is_null_first(&ascending) && !is_null_first(&descending), "strangers come last");
        }
    }
}

#[test]
fn totals_forget_who_is_erased() {
    let scene = Scene::new();
    let admin = scene.app.admin();
    let total = |query: &str| list(&admin, query)["total"].as_u64().unwrap();
    assert_eq!((total(""), total("known=true"), total("known=false")), (240, 160, 80));
    let confident = || scene.events.iter().filter(|event| event["confidence"].as_f64() >= Some(0.5));
    assert_eq!(total("min_confidence=0.5"), confident().count() as u64);
    admin.delete(&format!("/api/persons/{}?erase=true", scene.person(0))).expect(204);
    assert_eq!((total(""), total("known=true"), total("known=false")), (160, 80, 80));
    let left = confident().filter(|event| event["person"]["id"] != scene.person(0)).count();
    assert_eq!(total("min_confidence=0.5"), left as u64);
    assert_eq!(all(&admin, "sort=-timestamp", 100).len(), 160);
    assert_eq!(all(&admin, "sort=person_name", 100).len(), 160);
    let columns = ["recognized", "unknown", "updated", "left"];
    let columns = columns.map(|kind| format!("known_{kind} = 0 AND stranger_{kind} = 0")).join(" AND ");
    for table in ["detection_hours", "detection_totals", "detection_confidences"] {
        let empty = scene.app.query(&format!("SELECT CAST(count(*) AS text) FROM {table} WHERE {columns}"));
        assert_eq!(empty, [["0"]], "rows of {table} that count nothing");
    }

    // The person is gone: what is sent of them later is not kept. Whoever is not known here is a stranger.
    let late = bare_event(998, Some(&scene.people[0]));
    scene.app.worker().post("/api/ingest", &json!([late])).expect(200);
    assert_eq!(total(""), 160);
    let of_elsewhere = json!({ "id": uuid::Uuid::from_u128(42), "name": "Elsewhere" });
    let mut late = bare_event(999, Some(&of_elsewhere));
    late["timestamp"] = json!("2026-01-01T12:00:10Z");
    scene.app.worker().post("/api/ingest", &json!([late])).expect(200);
    assert_eq!(
        (total("known=true"), total("known=false"), total("kind=recognized&known=false")),
        (80, 81, 1)
    );
}

/// Pages near the newest are read by time, later ones by the hours they lie in.
#[test]
fn pages_far_from_the_newest_go_on_where_the_near_ones_end() {
    let app = TestApp::start();
    let event = |number: u32| {
        let mut event = bare_event(u128::from(number), None);
        let time = chrono::DateTime::from_timestamp(1_767_268_800 + i64::from(number / 2 * 5), 0).unwrap();
        event["timestamp"] = json!(time);
        event["camera_id"] = json!(if number.is_multiple_of(10) { "yard" } else { "door" });
        event
    };
    let events: Vec<Value> = (0..2_600).map(event).collect();
    app.worker().post("/api/ingest", &json!(events)).expect(200);
    let admin = app.admin();
    for (query, count) in [("", 2_600), ("camera_id=door", 2_340), ("sort=timestamp", 2_600)] {
        let times: Vec<String> =
            all(&admin, query, 400).iter().map(|item| item["timestamp"].to_string()).collect();
        assert_eq!(times.len(), count, "{query}");
        let is_in_order =
            |pair: &[String]| if query.starts_with("sort") { pair[0] <= pair[1] } else { pair[0] >= pair[1] };
        assert!(times.windows(2).all(is_in_order), "{query}");
    }
}

#[test]
fn a_csv_holds_what_the_list_holds() {
    let scene = Scene::new();
    let admin = scene.app.admin();
    for query in ["known=true", "min_confidence=0.4", "camera_id=cam_3&kind=left"] {
        let export = admin.get(&format!("/api/detections?{query}&format=csv"));
        let total = list(&admin, query)["total"].as_u64().unwrap() as usize;
        assert_eq!((export.status, export.text.lines().count()), (200, total + 1), "{query}");
    }
    let wrong = admin.get("/api/detections?format=csv&min_confidence=7");
    wrong.expect_error(422, "ValidationException");
}
