//! Visits: made of events in whatever order, number and portions these arrive.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::app::{Client, TestApp};
use crate::ingest::bare_event;
use crate::media::{ONE_PHOTO_IS_ENOUGH, with_people};

fn at(mut event: Value, time: DateTime<Utc>) -> Value {
    event["timestamp"] = json!(time.to_rfc3339_opts(SecondsFormat::Millis, true));
    event
}

fn noon(minute: i64) -> DateTime<Utc> {
    "2026-01-05T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute)
}

fn sessions(client: &Client, query: &str) -> Vec<Value> {
    let list = client.get(&format!("/api/sessions?{query}")).expect(200);
    let items = list["items"].as_array().unwrap().clone();
    assert_eq!(list["total"], items.len());
    items
}

/// Entry and exit as minutes after noon, and how many detections.
fn outline(sessions: &[Value]) -> Vec<(i64, i64, i64)> {
    let minute =
        |time: &Value| (time.as_str().unwrap().parse::<DateTime<Utc>>().unwrap() - noon(0)).num_minutes();
    let outline = |session: &Value| {
        let (entry, exit) = (minute(&session["entry_time"]), minute(&session["exit_time"]));
        (entry, exit, session["detection_count"].as_i64().unwrap())
    };
    sessions.iter().map(outline).collect()
}

#[test]
fn a_visit_runs_from_the_first_sight_to_the_last() {
    let (app, people) = with_people(&["Ada"]);
    let (admin, worker) = (app.admin(), app.worker());
    let mut left = at(bare_event(3, Some(&people[0])), noon(30));
    left["kind"] = json!("left");
    left["first_seen"] = json!("2026-01-05T12:00:00Z");
    left["last_seen"] = json!("2026-01-05T12:30:00Z");
    let events = [at(bare_event(1, Some(&people[0])), noon(0)), at(bare_event(2, None), noon(1)), left];
    worker.post("/api/ingest", &json!(events)).expect(200);
    let visits = sessions(&admin, "");
    assert_eq!(
        outline(&visits),
        [(0, 30, 2)],
        "a stranger has none; the end of the track tells of all of it"
    );
    let visit = &visits[0];
    assert_eq!((&visit["person_id"], &visit["person_name"]), (&people[0]["id"], &json!("Ada")));
    assert_eq!(
        (&visit["camera_id"], &visit["duration_s"], &visit["open"]),
        (&json!("cam_01"), &json!(1800.0), &json!(false))
    );
}

#[test]
fn visits_do_not_depend_on_how_events_arrive() {
    let minutes = [0, 4, 8, 30, 34, 60, 12, 26, 21];
    let wanted = [(0, 12, 4), (21, 34, 4), (60, 60, 1)];
    let orders: [Vec<usize>; 4] = [
        (0..9).collect(),
        (0..9).rev().collect(),
        vec![4, 0, 8, 2, 6, 1, 7, 3, 5],
        vec![6, 8, 7, 1, 0, 2, 5, 4, 3],
    ];
    for (order, portion) in orders.iter().zip([9, 1, 2, 4]) {
        let (app, people) = with_people(&["Ada"]);
        let events: Vec<Value> = order
            .iter()
            .map(|index| at(bare_event(*index as u128, Some(&people[0])), noon(minutes[*index])))
            .collect();
        for events in events.chunks(portion) {
            app.worker().post("/api/ingest", &json!(events)).expect(200);
            // Sent again, they change nothing.
            app.worker().post("/api/ingest", &json!(events)).expect(200);
        }
        assert_eq!(outline(&sessions(&app.admin(), "sort=entry_time")), wanted, "{order:?}");
    }
}

#[test]
fn visits_go_on_after_a_restart_and_end_with_the_person() {
    let (app, people) = with_people(&["Ada", "Bob"]);
    let send = |app: &TestApp, number: u128, person: usize, minute: i64| {
        let event = at(bare_event(number, Some(&people[person])), noon(minute));
        app.worker().post("/api/ingest", &json!([event])).expect(200);
    };
    send(&app, 1, 0, 0);
    send(&app, 2, 1, 1);
    let app = TestApp::restart_in(app.stop(), ONE_PHOTO_IS_ENOUGH);
    send(&app, 3, 0, 4);
    let admin = app.admin();
    assert_eq!(outline(&sessions(&admin, "sort=entry_time")), [(0, 4, 2), (1, 1, 1)]);
    admin.delete(&format!("/api/persons/{}?erase=true", people[0]["id"].as_str().unwrap())).expect(204);
    assert_eq!(outline(&sessions(&admin, "")), [(1, 1, 1)]);
}

#[test]
fn batches_at_the_same_moment_make_one_visit() {
    let (app, people) = with_people(&["Ada"]);
    let batch = |offset: usize| -> Vec<Value> {
        let event = |index: usize| at(bare_event(index as u128, Some(&people[0])), noon(index as i64 % 60));
        (offset..offset + 60).map(event).collect()
    };
    let batches = [batch(0), batch(0), batch(30), batch(60)];
    std::thread::scope(|scope| {
        for batch in &batches {
            let worker = app.worker();
            scope.spawn(move || worker.post("/api/ingest", &json!(batch)).expect(200));
        }
    });
    assert_eq!(outline(&sessions(&app.admin(), "")), [(0, 59, 120)]);
}

#[test]
fn a_visit_stays_open_until_the_person_was_not_seen_for_a_while() {
    let (app, people) = with_people(&["Ada"]);
    let event = at(bare_event(1, Some(&people[0])), Utc::now());
    app.worker().post("/api/ingest", &json!([event])).expect(200);
    let open = sessions(&app.admin(), "open=true");
    assert_eq!((open.len(), &open[0]["exit_time"], &open[0]["open"]), (1, &Value::Null, &json!(true)));
    assert!(open[0]["last_seen"].is_string());
    assert!(sessions(&app.admin(), "open=false").is_empty());

    let hour_earlier = "UPDATE sessions SET entry_time = '2026-01-05T11:00:00+00:00', exit_time = '2026-01-05T11:00:00+00:00'";
    app.execute(hour_earlier);
    let folder = app.stop();
    let app = TestApp::restart_in(folder, ONE_PHOTO_IS_ENOUGH);
    let admin = app.admin();
    while sessions(&admin, "open=true").len() == 1 {
        std::thread::yield_now();
    }
    assert!(sessions(&admin, "open=false")[0]["exit_time"].is_string(), "closed by the sweep");
}

#[test]
fn visits_are_counted_within_any_period() {
    let (app, people) = with_people(&["Ada", "Bob"]);
    let (admin, worker) = (app.admin(), app.worker());
    let event = |index: u128| {
        // Every 7 minutes and, of every fourth, again half an hour later, where it is a visit of its own; those whose
        // track ended later reach into other hours.
        let minute = index as i64 * 7 + if index.is_multiple_of(4) { 30 } else { 0 };
        let mut event = at(bare_event(index, Some(&people[index as usize % 2])), noon(minute));
        event["camera_id"] = json!(format!("cam_{}", index % 3));
        if index.is_multiple_of(5) {
            event["kind"] = json!("left");
            event["last_seen"] = json!((noon(minute) + TimeDelta::minutes(50)).to_rfc3339());
        }
        event
    };
    let events: Vec<Value> = (0..60).map(event).collect();
    // The later first, so that visits grow at both ends and join.
    for events in events.rchunks(13) {
        worker.post("/api/ingest", &json!(events)).expect(200);
    }
    let agree = || {
        let all = sessions(&admin, "page_size=500");
        let time = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        let bounds = [None, Some(-30), Some(0), Some(61), Some(120), Some(127), Some(240), Some(900)];
        for camera in [None, Some("cam_0"), Some("cam_2"), Some("cam_9")] {
            for (from, to) in bounds.iter().flat_map(|from| bounds.iter().map(move |to| (*from, *to))) {
                if from.is_some_and(|from| to.is_some_and(|to| from > to)) {
                    continue;
                }
                let is_within = |visit: &&Value| {
                    camera.is_none_or(|camera| visit["camera_id"] == camera)
                        && from.is_none_or(|from| time(&visit["last_seen"]) >= noon(from))
                        && to.is_none_or(|to| time(&visit["entry_time"]) < noon(to))
                };
                let wanted: Vec<_> = all.iter().filter(is_within).cloned().collect();
                let bound = |name: &str, minute: Option<i64>| {
                    let time = minute.map(|minute| noon(minute).to_rfc3339_opts(SecondsFormat::Secs, true));
                    time.map_or_else(String::new, |time| format!("&{name}={time}"))
                };
                let camera = camera.map_or_else(String::new, |camera| format!("&camera_id={camera}"));
                let query = format!("page_size=500{camera}{}{}", bound("from", from), bound("to", to));
                assert_eq!(sessions(&admin, &query), wanted, "{query}");
                assert_eq!(sessions(&admin, &format!("{query}&open=false")), wanted, "{query}, over");
            }
        }
        all.len()
    };
    let count = agree();
    admin.delete(&format!("/api/persons/{}?erase=true", people[0]["id"].as_str().unwrap())).expect(204);
    let rest = agree();
    assert!(0 < rest && rest < count, "{rest} of {count}");
}

#[test]
fn visits_are_listed_filtered_and_sorted() {
    let (app, people) = with_people(&["Ada", "Bob"]);
    let (admin, worker) = (app.admin(), app.worker());
    let events: Vec<Value> = (0..40_u128)
        .map(|index| {
            let mut event =
                at(bare_event(index, Some(&people[index as usize % 2])), noon(index as i64 * index as i64));
            event["camera_id"] = json!(format!("cam_{}", index % 5));
            event
        })
        .collect();
    worker.post("/api/ingest", &json!(events)).expect(200);
    let page = admin.get("/api/sessions?page=2&page_size=3").expect(200);
    assert_eq!((&page["page"], page["items"].as_array().unwrap().len()), (&json!(2), 3));
    let all = sessions(&admin, "page_size=500");
    let count = |query: &str| sessions(&admin, &format!("{query}&page_size=500")).len();
    let of = |person: usize| count(&format!("person_id={}", people[person]["id"].as_str().unwrap()));
    assert_eq!(of(0) + of(1), all.len());
    assert_eq!((0..5).map(|camera| count(&format!("camera_id=cam_{camera}"))).sum::<usize>(), all.len());
    assert_eq!(
        count("to=2026-01-05T14:00:00Z") + count("from=2026-01-05T14:00:00Z"),
        all.len(),
        "none is cut"
    );
    for column in ["entry_time", "duration_s", "detection_count", "camera_id"] {
        let sorted = sessions(&admin, &format!("sort={column}&page_size=500"));
        let key = |session: &Value| {
            (
                session[column].as_f64().map(|number| (number * 1e3) as i64),
                session[column].as_str().map(str::to_owned),
            )
        };
        assert!(sorted.is_sorted_by_key(key), "{column}");
    }
    for query in
        ["sort=shoes", "from=noon", "open=maybe", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"]
    {
        admin.get(&format!("/api/sessions?{query}")).expect_error(422, "ValidationException");
    }
    app.anyone().get("/api/sessions").expect_error(401, "AuthenticationException");
}
