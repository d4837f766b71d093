//! The alerts that come of rules.

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, SecondsFormat, TimeDelta, Timelike as _, Utc};
use serde_json::{Value, json};

use crate::app::{Client, TestApp, eventually};
use crate::ingest::bare_event;
use crate::live::{Watcher, token};
use crate::media::{Form, THREE_OF_ONE};
use crate::workers::{beat, report};

pub(crate) const PASSWORD: &str = "correct horse battery 9";

pub(crate) fn make_rule(client: &Client, rule: Value) -> Value {
    client.post("/api/alerts/rules", &rule).expect(201)
}

/// A rule that speaks of every stranger.
pub(crate) fn strangers(more: &[(&str, Value)]) -> Value {
    let mut rule = json!({ "name": "Strangers", "kind": "unknown_person", "cooldown_s": 0 });
    for (name, value) in more {
        rule[*name] = value.clone();
    }
    rule
}

/// A number no other event of the test bears.
pub(crate) fn new_number() -> u128 {
    static LAST: AtomicU32 = AtomicU32::new(900_000);
    LAST.fetch_add(1, Ordering::Relaxed).into()
}

pub(crate) fn ingest(app: &TestApp, events: &[Value]) -> Value {
    app.worker().post("/api/ingest", &json!(events)).expect(200)
}

/// The alerts a query finds, the newest first.
pub(crate) fn alerts(client: &Client, query: &str) -> Vec<Value> {
    let list = client.get(&format!("/api/alerts?page_size=500&{query}")).expect(200);
    let items = list["items"].as_array().unwrap().clone();
    assert_eq!(list["total"], items.len());
    items
}

pub(crate) fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

fn at(mut event: Value, time: DateTime<Utc>) -> Value {
    event["timestamp"] = json!(time.to_rfc3339_opts(SecondsFormat::Millis, true));
    event
}

fn seen_by(mut event: Value, camera_id: &str) -> Value {
    event["camera_id"] = json!(camera_id);
    event
}

fn enrol(admin: &Client) -> Value {
    Form::default()
        .text("name", "Barack")
        .photos(THREE_OF_ONE)
        .send(admin, "/api/persons/register")
        .expect(201)
}

#[test]
fn an_alert_is_made_with_its_event_once_and_told_to_who_watches() {
    let app = TestApp::start();
    let admin = app.admin();
    let rule = make_rule(&admin, strangers(&[]));
    let mut watcher = Watcher::of(&app, &token(&app));
    let event = bare_event(1, None);
    ingest(&app, &[event.clone(), event.clone()]);
    ingest(&app, std::slice::from_ref(&event));
    let made = alerts(&admin, "");
    let [alert] = &made[..] else { panic!("{made:?}") };
    let detection = &admin.get("/api/detections").expect(200)["items"][0];
    assert_eq!((&alert["rule_id"], &alert["rule_name"]), (&rule["id"], &json!("Strangers")));
    assert_eq!((&alert["kind"], &alert["camera_id"]), (&json!("unknown_person"), &json!("cam_01")));
    assert_eq!((&alert["detection_id"], &alert["timestamp"]), (&detection["id"], &detection["timestamp"]));
    assert_eq!((&alert["acknowledged_at"], &alert["deliveries"]), (&Value::Null, &json!([])));
    let told = std::iter::repeat_with(|| watcher.next()).find(|news| news["type"] == "alert").unwrap();
    assert_eq!(&told["data"], alert, "as the list shows it");
    let metrics = app.anyone().get("/metrics").text;
    assert!(metrics.contains("vedette_alerts_total{kind=\"unknown_person\"} 1\n"), "{metrics}");
    assert!(metrics.contains("vedette_alerts_total{kind=\"camera_offline\"} 0\n"), "{metrics}");
}

#[test]
fn an_event_that_cannot_be_stored_makes_no_alert() {
    let app = TestApp::start();
    let admin = app.admin();
    make_rule(&admin, strangers(&[]));
    let mut bad = bare_event(2, None);
    bad["confidence"] = json!(7);
    app.worker().post("/api/ingest", &json!([bare_event(1, None), bad])).expect(422);
    assert!(alerts(&admin, "").is_empty());
    // The alert cannot be written: neither can the event.
    app.migrate(async |db| {
        use sea_orm::ConnectionTrait as _;
        db.execute_unprepared("ALTER TABLE alerts RENAME TO elsewhere").await.unwrap();
    });
    assert!(app.worker().post("/api/ingest", &json!([bare_event(3, None)])).status >= 500);
    assert_eq!(admin.get("/api/detections").expect(200)["total"], 0);
}

#[test]
fn rules_look_out_for_what_they_say() {
    let app = TestApp::start();
    let admin = app.admin();
    let barack = enrol(&admin);
    let named = make_rule(
        &admin,
        json!({
            "name": "Him", "kind": "person", "person_id": barack["id"], "cooldown_s": 0, "cameras": ["door", "gate"]
        }),
    );
    let strangers = make_rule(&admin, strangers(&[("cameras", json!(["gate"]))]));
    let mut left = seen_by(bare_event(7, None), "gate");
    left["kind"] = json!("left");
    let mut updated = seen_by(bare_event(8, Some(&barack)), "gate");
    updated["kind"] = json!("updated");
    ingest(
        &app,
        &[
            seen_by(bare_event(1, Some(&barack)), "door"),
            seen_by(bare_event(2, Some(&barack)), "gate"),
            seen_by(bare_event(3, Some(&barack)), "yard"),
            seen_by(bare_event(4, None), "door"),
            seen_by(bare_event(5, None), "gate"),
            left,
            updated,
        ],
    );
    let of = |rule: &Value| {
        let found = alerts(&admin, &format!("rule_id={}", id(rule)));
        found
            .iter()
            .map(|alert| (alert["camera_id"].clone(), alert["person_name"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&named), [(json!("gate"), json!("Barack")), (json!("door"), json!("Barack"))]);
    assert_eq!(of(&strangers), [(json!("gate"), Value::Null)]);

    // What is changed holds from the next event on.
    admin.put(&format!("/api/alerts/rules/{}", id(&named)), &json!({ "enabled": false })).expect(200);
    admin.put(&format!("/api/alerts/rules/{}", id(&strangers)), &json!({ "cameras": [] })).expect(200);
    ingest(&app, &[seen_by(bare_event(9, Some(&barack)), "door"), seen_by(bare_event(10, None), "yard")]);
    assert_eq!((of(&named).len(), of(&strangers).len()), (2, 2));
    admin.delete(&format!("/api/alerts/rules/{}", id(&strangers))).expect(204);
    ingest(&app, &[seen_by(bare_event(11, None), "yard")]);
    let left_over = alerts(&admin, "kind=unknown_person");
    assert_eq!(left_over.len(), 2, "alerts outlive their rule, which makes no more");
    assert!(left_over.iter().all(|alert| alert["rule_id"].is_null() && alert["rule_name"] == "Strangers"));
}

#[test]
fn a_cooldown_holds_for_all_instances_and_after_a_restart() {
    let one = TestApp::start();
    let two = one.another();
    let admin = one.admin();
    make_rule(&admin, strangers(&[("cooldown_s", json!(600))]));
    let begin = Utc::now().with_nanosecond(0).unwrap() - TimeDelta::hours(5);
    let event = |number: u128, minute: i64| at(bare_event(number, None), begin + TimeDelta::minutes(minute));
    let times = |app: &TestApp| {
        let mut minutes: Vec<i64> = (alerts(&app.admin(), "").iter())
            .map(|alert| alert["timestamp"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap())
            .map(|time| (time - begin).num_minutes())
            .collect();
        minutes.reverse();
        minutes
    };
    // Within one batch, in any order.
    ingest(&one, &[event(1, 12), event(2, 0), event(3, 9), event(4, 10)]);
    assert_eq!(times(&one), [0, 10]);
    eventually("the other instance knows the rule", || {
        // Events of another camera tell, which has a cooldown of its own.
        let probe = seen_by(at(bare_event(new_number(), None), Utc::now()), "probe");
        ingest(&two, &[probe]);
        (!alerts(&admin, "camera_id=probe").is_empty()).then_some(())
    });
    one.execute("DELETE FROM alerts WHERE camera_id = 'probe'");
    ingest(&two, &[event(5, 19)]);
    ingest(&two, &[event(6, 20)]);
    ingest(&one, &[event(7, 29)]);
    assert_eq!(times(&one), [0, 10, 20]);
    drop(two);
    let again = TestApp::restart_in(one.stop(), "security: {force_password_change: false}");
    ingest(&again, &[event(8, 29)]);
    ingest(&again, &[event(9, 31)]);
    assert_eq!(times(&again), [0, 10, 20, 31]);
}

#[test]
fn the_same_moment_at_two_instances_makes_one_alert() {
    let one = TestApp::start();
    let two = one.another();
    let admin = one.admin();
    make_rule(&admin, strangers(&[("cooldown_s", json!(600))]));
    ingest(&one, &[seen_by(bare_event(1, None), "probe")]);
    eventually("the other instance knows the rule", || {
        ingest(&two, &[seen_by(bare_event(new_number(), None), "other")]);
        (!alerts(&admin, "camera_id=other").is_empty()).then_some(())
    });
    let now = Utc::now() - TimeDelta::minutes(1);
    let senders: Vec<_> = (0..20)
        .map(|number| {
            let worker = if number % 2 == 0 { one.worker() } else { two.worker() };
            let event = at(bare_event(100 + number, None), now);
            std::thread::spawn(move || worker.post("/api/ingest", &json!([event])).expect(200))
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    assert_eq!(admin.get("/api/detections?camera_id=cam_01").expect(200)["total"], 20);
    assert_eq!(alerts(&admin, "camera_id=cam_01").len(), 1);
}

#[test]
fn a_clock_that_is_ahead_does_not_silence_a_rule() {
    let app = TestApp::start();
    let admin = app.admin();
    make_rule(&admin, strangers(&[("cooldown_s", json!(1))]));
    ingest(&app, &[at(bare_event(1, None), Utc::now() + TimeDelta::days(3000))]);
    eventually("there is another alert", || {
        let number = new_number();
        ingest(&app, &[at(bare_event(number, None), Utc::now())]);
        (alerts(&admin, "").len() > 1).then_some(())
    });
}

#[test]
fn cooldowns_are_kept_apart_by_person_and_camera() {
    let app = TestApp::start();
    let admin = app.admin();
    let barack = enrol(&admin);
    make_rule(
        &admin,
        json!({
            "name": "Anybody", "kind": "out_of_hours", "schedule": { "timezone": "UTC", "hours": [] }
        }),
    );
    let events: Vec<Value> =
        [("door", true), ("door", false), ("gate", true), ("door", true), ("door", false)]
            .into_iter()
            .zip(1..)
            .map(|((camera, is_known), number)| {
                let event = bare_event(number, Some(&barack).filter(|_| is_known));
                seen_by(at(event, Utc::now() - TimeDelta::seconds(60 - number as i64)), camera)
            })
            .collect();
    ingest(&app, &events);
    let made = alerts(&admin, "");
    let mut about: Vec<String> =
        made.iter().map(|alert| format!("{} {}", alert["camera_id"], alert["person_name"])).collect();
    about.sort();
    assert_eq!(about, ["\"door\" \"Barack\"", "\"door\" null", "\"gate\" \"Barack\""]);
}

#[test]
fn out_of_hours_goes_by_the_clock_on_the_wall() {
    let app = TestApp::start();
    let admin = app.admin();
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let hours = json!([{ "days": days, "from": "08:00", "to": "18:00" }]);
    make_rule(
        &admin,
        json!({
            "name": "Night", "kind": "out_of_hours", "cooldown_s": 0,
            "schedule": { "timezone": "Europe/Berlin", "hours": hours }
        }),
    );
    // Winter and summer, the days before and after the clocks are changed, and a quarter past eight on both.
    let times = [
        ("2026-03-28T06:59:00Z", true),
        ("2026-03-28T07:00:00Z", false),
        ("2026-03-29T05:59:00Z", true),
        ("2026-03-29T06:00:00Z", false),
        ("2026-03-29T15:59:00Z", false),
        ("2026-03-29T16:00:00Z", true),
        ("2026-10-24T06:15:00Z", false),
        ("2026-10-25T06:15:00Z", true),
        ("2026-10-25T16:59:00Z", false),
        ("2026-10-25T17:00:00Z", true),
    ];
    let events: Vec<Value> = times
        .iter()
        .zip(1..)
        .map(|((time, _), number)| at(bare_event(number, None), time.parse().unwrap()))
        .collect();
    ingest(&app, &events);
    let mut outside: Vec<DateTime<Utc>> = alerts(&admin, "")
        .iter()
        .map(|alert| alert["timestamp"].as_str().unwrap().parse().unwrap())
        .collect();
    outside.reverse();
    let expected: Vec<DateTime<Utc>> =
        times.iter().filter(|(_, is_outside)| *is_outside).map(|(time, _)| time.parse().unwrap()).collect();
    assert_eq!(outside, expected);
}

#[test]
fn a_camera_that_is_away_is_told_of_once_each_time() {
    let app = TestApp::start();
    let two = app.another();
    let admin = app.admin();
    admin.post("/api/cameras", &json!({ "id": "cam", "url": "test://" })).expect(201);
    admin.post("/api/cameras", &json!({ "id": "idle", "url": "test://" })).expect(201);
    admin.post("/api/cameras/cam/start", &json!({})).expect(200);
    make_rule(
        &admin,
        json!({
            "name": "Away", "kind": "camera_offline", "offline_after_s": 5, "cooldown_s": 0
        }),
    );
    // It has not begun to run.
    let first =
        eventually("the camera is missed", || Some(alerts(&admin, "")).filter(|found| !found.is_empty()));
    assert_eq!((&first[0]["camera_id"], &first[0]["kind"]), (&json!("cam"), &json!("camera_offline")));
    let time = |name: &str| first[0][name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    assert!(time("timestamp") - time("offline_since") >= TimeDelta::seconds(5));

    // It runs, until its worker falls silent.
    let worker = app.worker();
    let outages = || app.query("SELECT camera_id FROM camera_outages").len();
    eventually("the camera is seen to run", || {
        let run = beat(&worker, "local", &[])[0]["run"].clone();
        beat(&worker, "local", &[report(&run, "running")]);
        (outages() == 0).then_some(())
    });
    let second =
        eventually("it is missed again", || Some(alerts(&admin, "")).filter(|found| found.len() > 1));
    assert!(second[0]["offline_since"].as_str() > first[0]["timestamp"].as_str());
    // Both instances have looked several times since, and neither says it again.
    eventually("they have looked", || {
        let age = Utc::now() - second[0]["created_at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        (age > TimeDelta::seconds(5)).then_some(())
    });
    assert_eq!(alerts(&two.admin(), "").len(), 2);

    // One that is not to run is not missed.
    admin.post("/api/cameras/cam/stop", &json!({})).expect(200);
    eventually("it is missed no more", || (outages() == 0).then_some(()));
}

#[test]
fn alerts_are_filtered_and_paged() {
    let app = TestApp::start();
    let admin = app.admin();
    let barack = enrol(&admin);
    make_rule(&admin, strangers(&[]));
    make_rule(&admin, json!({ "name": "Him", "kind": "person", "person_id": barack["id"], "cooldown_s": 0 }));
    let events: Vec<Value> =
        (1..=6).map(|number| bare_event(number, Some(&barack).filter(|_| number > 4))).collect();
    ingest(&app, &events);
    ingest(&app, &[seen_by(bare_event(7, None), "gate")]);
    let total = |query: &str| alerts(&admin, query).len();
    assert_eq!((total(""), total("kind=person"), total("camera_id=gate")), (7, 2, 1));
    assert_eq!(total(&format!("person_id={}", id(&barack))), 2);
    assert_eq!(total("from=2026-01-01T12:02:00Z&to=2026-01-01T12:05:00Z"), 3);
    let page = admin.get("/api/alerts?page=2&page_size=3").expect(200);
    let minutes: Vec<&str> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| &alert["timestamp"].as_str().unwrap()[14..16])
        .collect();
    assert_eq!((minutes, &page["total"]), (vec!["04", "03", "02"], &json!(7)));
    for query in
        ["kind=odd", "rule_id=x", "acknowledged=perhaps", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"]
    {
        admin.get(&format!("/api/alerts?{query}")).expect_error(422, "ValidationException");
    }
}

#[test]
fn who_took_note_first_stays_and_is_written_down() {
    let app = TestApp::start();
    let admin = app.admin();
    make_rule(&admin, strangers(&[]));
    ingest(&app, &[bare_event(1, None), bare_event(2, None)]);
    let made = alerts(&admin, "");
    let path = format!("/api/alerts/{}/acknowledge", id(&made[0]));
    let other = json!({ "username": "grace", "password": PASSWORD, "role": "viewer" });
    admin.post("/api/users", &other).expect(201);
    let grace = app.anyone().signed_in("grace", PASSWORD);
    let noted = grace.post(&path, &json!({})).expect(200);
    assert_eq!(noted["acknowledged_by"], "grace");
    assert_eq!(admin.post(&path, &json!({})).expect(200), noted, "the first to take note stays");
    assert_eq!(alerts(&admin, "acknowledged=true"), [noted]);
    assert_eq!(alerts(&admin, "acknowledged=false").len(), 1);
    let entries =
        "SELECT actor, subject FROM system_logs WHERE category = 'alerts' AND action = 'acknowledged'";
    assert_eq!(app.query(entries), [["grace".to_owned(), format!("alert:{}", id(&made[0]))]]);
    let nothing = "/api/alerts/00000000-0000-7000-8000-000000000000/acknowledge";
    admin.post(nothing, &json!({})).expect_error(404, "NotFoundException");
}

#[test]
fn erasing_a_person_takes_alerts_about_them_and_rules_along() {
    let app = TestApp::start();
    let admin = app.admin();
    let barack = enrol(&admin);
    let receiver = crate::webhook_receiver::Receiver::down();
    let hook = ("webhook_url", json!(receiver.url("/")));
    make_rule(
        &admin,
        json!({
            "name": "Barack again", "kind": "person", "person_id": barack["id"], "webhook_url": hook.1
        }),
    );
    make_rule(
        &admin,
        json!({
            "name": "Night", "kind": "out_of_hours", "webhook_url": hook.1,
            "schedule": { "timezone": "UTC", "hours": [] }
        }),
    );
    ingest(&app, &[bare_event(1, Some(&barack)), bare_event(2, None)]);
    assert_eq!(alerts(&admin, "").len(), 3);
    admin.delete(&format!("/api/persons/{}?erase=true", id(&barack))).expect(204);
    let left = alerts(&admin, "");
    assert_eq!(left.len(), 1, "that about a stranger");
    assert_eq!(left[0]["person_id"], Value::Null);
    let rules = admin.get("/api/alerts/rules").expect(200);
    assert_eq!((&rules["total"], &rules["items"][0]["name"]), (&json!(1), &json!("Night")));
    let rows = crate::at_rest::every_row(&app);
    assert!(!rows.contains("Barack") && !rows.contains(id(&barack)), "{rows}");
    // Handed in late: neither an event nor an alert.
    ingest(&app, &[bare_event(3, Some(&barack))]);
    assert_eq!(alerts(&admin, "").len(), 1);
}

#[test]
fn old_alerts_are_removed() {
    let yaml = "security: {force_password_change: false}\nretention: {alerts: 30}";
    let app = TestApp::with(yaml);
    let admin = app.admin();
    make_rule(&admin, strangers(&[]));
    ingest(&app, &[bare_event(1, None), bare_event(2, None), bare_event(3, None)]);
    let made = alerts(&admin, "");
    let age = |days: i64, alert: &Value| {
        let time = (Utc::now() - TimeDelta::days(days)).to_rfc3339();
        let of = id(alert);
        let of =
            if crate::app::on_postgres() { format!("'{of}'") } else { format!("x'{}'", of.replace('-', "")) };
        app.execute(&format!("UPDATE alerts SET created_at = '{time}' WHERE id = {of}"));
    };
    age(31, &made[0]);
    age(29, &made[1]);
    let again = TestApp::restart_in(app.stop(), yaml);
    let admin = again.admin();
    // Counted and listed one after the other: while one goes, the two may differ.
    eventually("the old one is gone", || (admin.get("/api/alerts").expect(200)["total"] == 2).then_some(()));
    let left = alerts(&admin, "");
    assert_eq!(left.iter().map(|alert| &alert["id"]).collect::<Vec<_>>(), [&made[1]["id"], &made[2]["id"]]);
}
