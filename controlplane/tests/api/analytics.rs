//! The summary, compared with what was sent.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::app::{Client, TestApp};
use crate::ingest::bare_event;
use crate::media::with_people;

fn summary(client: &Client, query: &str) -> Value {
    client.get(&format!("/api/analytics/summary?{query}")).expect(200)
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// Events 37 minutes apart over forty days around the change of clocks in Europe.
fn send_history(app: &TestApp, people: &[Value]) -> Vec<Value> {
    let start: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
    let event = |number: usize| {
        let person = people.get(number % 4).filter(|_| !number.is_multiple_of(7));
        let mut event = bare_event(number as u128, person);
        event["timestamp"] = json!(text(start + TimeDelta::minutes(37 * number as i64)));
        event["camera_id"] = json!(format!("cam_{}", number % 3));
        if number.is_multiple_of(5) {
            event["kind"] = json!("left");
        }
        event
    };
    let events: Vec<Value> = (0..1557).map(event).collect();
    app.worker().post("/api/ingest", &json!(events)).expect(200);
    events
}

/// What a summary must say, counted by hand.
fn check(summary: &Value, events: &[Value], camera: Option<&str>) {
    let (from, to) = (time(&summary["period"]["from"]), time(&summary["period"]["to"]));
    let counted: Vec<&Value> = events
        .iter()
        .filter(|event| event["kind"] != "left" && (from..to).contains(&time(&event["timestamp"])))
        .filter(|event| camera.is_none_or(|camera| event["camera_id"] == camera))
        .collect();
    let known: Vec<&Value> = counted.iter().copied().filter(|event| !event["person"].is_null()).collect();
    assert_eq!(summary["total_detections"], counted.len());
    assert_eq!(summary["known_detections"], known.len());
    assert_eq!(summary["unknown_detections"], counted.len() - known.len());
    let people = |events: &[&Value]| {
        let mut ids: Vec<String> = events.iter().map(|event| event["person"]["id"].to_string()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    };
    assert_eq!(summary["unique_visitors"], people(&known));
    for visitor in summary["top_visitors"].as_array().unwrap() {
        let theirs: Vec<_> =
            known.iter().filter(|event| event["person"]["id"] == visitor["person_id"]).collect();
        assert_eq!(visitor["count"], theirs.len());
        assert_eq!(visitor["name"], theirs[0]["person"]["name"]);
        assert_eq!(
            Some(time(&visitor["last_seen"])),
            theirs.iter().map(|event| time(&event["timestamp"])).max()
        );
    }
    let bars = summary["timeline"].as_array().unwrap();
    let starts: Vec<DateTime<Utc>> = bars.iter().map(|bar| time(&bar["start"])).collect();
    assert!(starts.is_sorted() && starts[0] <= from);
    for (index, bar) in bars.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(to);
        let within = |event: &&&Value| (starts[index]..end).contains(&time(&event["timestamp"]));
        let (count, known) = (counted.iter().filter(within).count(), known.iter().filter(within).count());
        assert_eq!(
            (&bar["count"], &bar["known"], &bar["unknown"]),
            (&json!(count), &json!(known), &json!(count - known))
        );
    }
    for seen in summary["cameras"].as_array().unwrap() {
        let here: Vec<&Value> =
            counted.iter().copied().filter(|event| event["camera_id"] == seen["camera_id"]).collect();
        let known_here: Vec<&Value> =
            here.iter().copied().filter(|event| !event["person"].is_null()).collect();
        assert_eq!(
            (&seen["detections"], &seen["unique_visitors"]),
            (&json!(here.len()), &json!(people(&known_here)))
        );
    }
    let recent = summary["recent"].as_array().unwrap();
    assert_eq!(recent.len(), counted.len().min(10));
    if let Some(latest) = counted.last() {
        assert_eq!(time(&recent[0]["timestamp"]), time(&latest["timestamp"]));
    }
}

#[test]
fn every_figure_is_exact_in_every_period_and_zone() {
    let (app, people) = with_people(&["Ada", "Bob", "Cleo"]);
    let events = send_history(&app, &people);
    let admin = app.admin();
    let periods = [
        ("2026-03-01T00:00:00Z", "2026-04-10T00:00:00Z", "day"),
        ("2026-03-05T06:12:00Z", "2026-04-02T17:45:00Z", "day"),
        ("2026-03-28T12:00:00Z", "2026-03-30T11:30:00Z", "hour"),
        ("2026-03-10T12:10:00Z", "2026-03-10T12:50:00Z", "hour"),
        ("2026-03-10T23:10:00Z", "2026-03-11T00:50:00Z", "hour"),
        ("2025-11-01T00:00:00Z", "2026-05-10T00:00:00Z", "week"),
        ("2023-01-01T00:00:00Z", "2026-03-20T08:00:00Z", "month"),
        ("2026-05-01T00:00:00Z", "2026-05-03T00:00:00Z", "hour"),
    ];
    for (from, to, bucket) in periods {
        for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"] {
            let query = format!("from={from}&to={to}&timezone={zone}");
            let all = summary(&admin, &query);
            assert_eq!(
                (&all["period"]["bucket"], &all["period"]["timezone"]),
                (&json!(bucket), &json!(zone))
            );
            check(&all, &events, None);
            let one = summary(&admin, &format!("{query}&camera_id=cam_1"));
            check(&one, &events, Some("cam_1"));
            assert!(one["cameras"].as_array().unwrap().len() <= 1);
        }
    }
}

#[test]
fn bars_begin_at_local_midnight_even_when_clocks_change() {
    let (app, people) = with_people(&["Ada"]);
    send_history(&app, &people);
    let query = "from=2026-03-27T23:00:00Z&to=2026-03-30T22:00:00Z&timezone=Europe/Berlin";
    let starts: Vec<String> = summary(&app.admin(), query)["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bar| bar["start"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(starts, ["2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]);
}

#[test]
fn the_last_days_are_summed_up_until_now() {
    let (app, people) = with_people(&["Ada"]);
    let admin = app.admin();
    let nothing = summary(&admin, "");
    assert_eq!((&nothing["total_detections"], nothing["timeline"].as_array().unwrap().len()), (&json!(0), 8));
    let ago = |number: u128, hours: i64| {
        let mut event = bare_event(number, Some(&people[0]));
        event["timestamp"] = json!(text(Utc::now() - TimeDelta::hours(hours)));
        event
    };
    let events = [ago(1, 1), ago(2, 20), ago(3, 60), ago(4, 24 * 29), ago(5, 24 * 40)];
    app.worker().post("/api/ingest", &json!(events)).expect(200);
    let total = |query: &str| summary(&admin, query)["total_detections"].as_u64().unwrap();
    assert_eq!((total("days=1"), total("days=3"), total("days=30"), total("days=365")), (2, 3, 4, 5));
    assert_eq!(summary(&admin, "days=1")["timeline"].as_array().unwrap().len(), 25);

    admin.delete(&format!("/api/persons/{}?erase=true", people[0]["id"].as_str().unwrap())).expect(204);
    let erased = summary(&admin, "days=365");
    assert_eq!((&erased["total_detections"], &erased["unique_visitors"]), (&json!(0), &json!(0)));
    assert_eq!((&erased["top_visitors"], &erased["recent"]), (&json!([]), &json!([])));
}

#[test]
fn what_cannot_be_summed_up_is_refused() {
    let app = TestApp::start();
    let admin = app.admin();
    let queries = [
        "days=0",
        "days=4000",
        "days=week",
        "timezone=Mars/Base",
        "days=3&from=2026-01-01T00:00:00Z",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=1000-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=%2B262000-01-01T00:00:00Z&to=%2B262001-01-01T00:00:00Z",
    ];
    for query in queries {
        admin.get(&format!("/api/analytics/summary?{query}")).expect_error(422, "ValidationException");
    }
    app.anyone().get("/api/analytics/summary").expect_error(401, "AuthenticationException");
}
