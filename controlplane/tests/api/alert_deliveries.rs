//! How alerts reach webhooks and brokers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::alerts::{alerts, ingest, make_rule, new_number, strangers};
use crate::app::{Client, TestApp, eventually};
use crate::ingest::bare_event;
use crate::mosquitto::Mosquitto;
use crate::webhook_receiver::{Behaviour, Receiver};

const OPEN: &str = "security: {force_password_change: false}\n";

fn hook(receiver: &Receiver) -> Value {
    strangers(&[("webhook_url", json!(receiver.url("/alerts?token=of-the-door")))])
}

/// The only delivery of the only alert, as soon as it is so.
fn delivery(client: &Client, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually("the delivery is so", || {
        let found = alerts(client, "");
        assert_eq!(found.len(), 1);
        Some(found[0]["deliveries"][0].clone()).filter(&is_so)
    })
}

fn has_status(status: &'static str) -> impl Fn(&Value) -> bool {
    move |delivery| delivery["status"] == status
}

#[test]
fn a_webhook_is_told_and_can_check_by_whom() {
    let app = TestApp::start();
    let admin = app.admin();
    let receiver = Receiver::start();
    let rule = make_rule(&admin, hook(&receiver));
    let secret = rule["webhook_secret"].as_str().unwrap();
    assert!(secret.len() >= 32);
    ingest(&app, &[bare_event(1, None)]);
    let told = &receiver.wait_for(1)[0];
    assert_eq!(told.path, "/alerts?token=of-the-door");
    assert_eq!(told.headers["content-type"], "application/json");
    assert_eq!(told.headers["x-vedette-signature"], told.expected_signature(secret));
    assert_ne!(told.headers["x-vedette-signature"], told.expected_signature("another"));
    let signed_at: i64 = told.headers["x-vedette-timestamp"].parse().unwrap();
    assert!((chrono::Utc::now().timestamp() - signed_at).abs() < 60);

    let delivered = delivery(&admin, has_status("delivered"));
    assert_eq!((&delivered["attempts"], &delivered["last_error"]), (&json!(1), &Value::Null));
    assert_eq!(delivered["id"], told.delivery_id());
    let (message, alert) = (told.json(), &alerts(&admin, "")[0]);
    assert_eq!((&message["type"], &message["delivery_id"]), (&json!("alert"), &delivered["id"]));
    for (name, value) in message["alert"].as_object().unwrap() {
        assert_eq!(value, &alert[name], "{name}");
    }
    let metrics = app.anyone().get("/metrics").text;
    for line in [
        "vedette_alert_deliveries_total{channel=\"webhook\",outcome=\"delivered\"} 1",
        "vedette_alert_deliveries_total{channel=\"mqtt\",outcome=\"given_up\"} 0",
        "vedette_alert_outbox 0",
        "vedette_alert_outbox_oldest_age_seconds 0.0",
    ] {
        assert!(metrics.lines().any(|present| present == line), "no `{line}` in\n{metrics}");
    }
}

#[test]
fn the_secret_is_shown_once_and_can_be_changed() {
    let app = TestApp::start();
    let admin = app.admin();
    let receiver = Receiver::start();
    let own = "a-secret-of-my-own";
    let mut rule = hook(&receiver);
    rule["webhook_secret"] = json!(own);
    let rule = make_rule(&admin, rule);
    let path = format!("/api/alerts/rules/{}", rule["id"].as_str().unwrap());
    let listed = &admin.get("/api/alerts/rules").expect(200)["items"][0];
    assert!(listed.get("webhook_secret").is_none());
    assert_eq!(listed["webhook_url"], receiver.url("/***"));
    let rows = crate::at_rest::every_row(&app);
    assert!(!rows.contains(own) && !rows.contains("of-the-door"), "{rows}");

    let unchanged = admin.put(&path, listed).expect(200);
    assert!(unchanged.get("webhook_secret").is_none(), "the one there is is not shown again");
    ingest(&app, &[bare_event(1, None)]);
    let told = &receiver.wait_for(1)[0];
    assert_eq!(told.path, "/alerts?token=of-the-door", "`***` is what there is");
    assert_eq!(told.headers["x-vedette-signature"], told.expected_signature(own));

    let changed = admin.put(&path, &json!({ "webhook_secret": "" })).expect(200);
    let made_up = changed["webhook_secret"].as_str().unwrap();
    ingest(&app, &[bare_event(2, None)]);
    let told = &receiver.wait_for(2)[1];
    assert_eq!(told.headers["x-vedette-signature"], told.expected_signature(made_up));

    admin.put(&path, &json!({ "webhook_url": null })).expect(200);
    ingest(&app, &[bare_event(3, None)]);
    assert_eq!(alerts(&admin, "")[0]["deliveries"], json!([]));
}

#[test]
fn a_receiver_that_was_away_is_told_when_it_is_back() {
    let app = TestApp::start();
    let admin = app.admin();
    let mut receiver = Receiver::down();
    make_rule(&admin, hook(&receiver));
    ingest(&app, &[bare_event(1, None)]);
    let waiting = delivery(&admin, |delivery| delivery["attempts"].as_i64() > Some(1));
    assert_eq!(waiting["status"], "waiting");
    assert!(waiting["last_error"].as_str().unwrap().contains("refused"), "{waiting}");
    let metrics = app.anyone().get("/metrics").text;
    assert!(metrics.lines().any(|line| line == "vedette_alert_outbox 1"), "{metrics}");
    // One that is there, but not well.
    receiver.come_up();
    receiver.behave(Behaviour::Answer(503));
    receiver.wait_for(1);
    delivery(&admin, |delivery| delivery["last_error"].as_str().is_some_and(|error| error.contains("503")));
    receiver.behave(Behaviour::Answer(200));
    let delivered = delivery(&admin, has_status("delivered"));
    let told = receiver.received();
    assert!(told.iter().all(|told| told.delivery_id() == delivered["id"]), "each attempt bears one id");
    assert_eq!(delivered["last_error"], Value::Null);
}

#[test]
fn deliveries_outlive_the_server() {
    let app = TestApp::start();
    let mut receiver = Receiver::down();
    make_rule(&app.admin(), hook(&receiver));
    ingest(&app, &[bare_event(1, None)]);
    let id = delivery(&app.admin(), |delivery| !delivery["last_error"].is_null())["id"].clone();
    let again = TestApp::restart_in(app.stop(), OPEN);
    receiver.come_up();
    assert_eq!(receiver.wait_for(1)[0].delivery_id(), id);
    delivery(&again.admin(), has_status("delivered"));
}

#[test]
fn two_instances_tell_each_alert_once() {
    let one = TestApp::start();
    let two = one.another();
    let admin = one.admin();
    let receiver = Receiver::start();
    make_rule(&admin, hook(&receiver));
    eventually("the other instance knows the rule", || {
        let number = new_number();
        ingest(&two, &[bare_event(number, None)]);
        (!alerts(&admin, "").is_empty()).then_some(())
    });
    let before = alerts(&admin, "").len();
    // Every batch goes to both at the same moment.
    let senders: Vec<_> = (0..10)
        .flat_map(|batch| {
            let events: Vec<Value> = (1..=20).map(|number| bare_event(batch * 20 + number, None)).collect();
            [one.worker(), two.worker()].map(|worker| {
                let events = events.clone();
                std::thread::spawn(move || worker.post("/api/ingest", &json!(events)).expect(200))
            })
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    let made = alerts(&admin, "");
    assert_eq!(made.len(), before + 200);
    let all_delivered = || {
        let made = alerts(&admin, "");
        made.iter().all(|alert| alert["deliveries"][0]["status"] == "delivered").then_some(())
    };
    eventually("all are delivered", all_delivered);
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for told in receiver.received() {
        *times.entry(told.delivery_id().to_owned()).or_default() += 1;
    }
    assert_eq!(times.len(), made.len());
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

#[test]
fn what_a_receiver_does_not_want_is_given_up() {
    let app = TestApp::start();
    let admin = app.admin();
    let receiver = Receiver::start();
    receiver.behave(Behaviour::Answer(410));
    make_rule(&admin, hook(&receiver));
    ingest(&app, &[bare_event(1, None)]);
    let given_up = delivery(&admin, has_status("given_up"));
    assert_eq!((&given_up["attempts"], receiver.received().len()), (&json!(3), 3));
    assert!(given_up["last_error"].as_str().unwrap().contains("410"), "{given_up}");
    assert!(given_up["next_attempt_at"].is_null() && !given_up["ended_at"].is_null());
    let metrics = app.anyone().get("/metrics").text;
    for line in [
        "vedette_alert_deliveries_total{channel=\"webhook\",outcome=\"failed\"} 2",
        "vedette_alert_deliveries_total{channel=\"webhook\",outcome=\"given_up\"} 1",
    ] {
        assert!(metrics.lines().any(|present| present == line), "no `{line}` in\n{metrics}");
    }
}

#[test]
fn redirects_are_not_followed() {
    let app = TestApp::start();
    let admin = app.admin();
    let (receiver, elsewhere) = (Receiver::start(), Receiver::start());
    receiver.behave(Behaviour::Redirect(elsewhere.url("/")));
    make_rule(&admin, hook(&receiver));
    ingest(&app, &[bare_event(1, None)]);
    let given_up = delivery(&admin, has_status("given_up"));
    assert!(given_up["last_error"].as_str().unwrap().contains("307"), "{given_up}");
    assert!(elsewhere.received().is_empty());
}

#[test]
fn nobody_is_told_for_ever() {
    let app = TestApp::with(&format!("{OPEN}alerts: {{give_up_after: 3}}"));
    let admin = app.admin();
    let receiver = Receiver::start();
    receiver.behave(Behaviour::Answer(500));
    make_rule(&admin, hook(&receiver));
    ingest(&app, &[bare_event(1, None)]);
    let given_up = delivery(&admin, has_status("given_up"));
    assert!(given_up["attempts"].as_i64() > Some(1), "{given_up}");
    let time = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let age = time(&given_up["ended_at"]) - time(&alerts(&admin, "")[0]["created_at"]);
    assert!(age >= chrono::TimeDelta::seconds(3), "{age}");
}

#[test]
fn who_hangs_delays_nobody_else() {
    let app = TestApp::with(&format!("{OPEN}alerts: {{webhook_timeout: 30}}"));
    let admin = app.admin();
    let (hanging, well) = (Receiver::start(), Receiver::start());
    hanging.behave(Behaviour::Hang);
    let slow = make_rule(&admin, hook(&hanging));
    make_rule(&admin, hook(&well));
    let events: Vec<Value> = (1..=40).map(|number| bare_event(number, None)).collect();
    ingest(&app, &events);
    // Its answers are waited for half a minute; all others are there long before the first of them is given up.
    assert_eq!(well.wait_for(40).len(), 40);
    let of_slow = alerts(&admin, &format!("rule_id={}", slow["id"].as_str().unwrap()));
    assert!(of_slow.iter().all(|alert| alert["deliveries"][0]["status"] == "waiting"));
    assert!(hanging.received().len() <= 4, "no more than a few are under way at a time");
}

#[test]
fn who_hangs_is_asked_again() {
    let app = TestApp::with(&format!("{OPEN}alerts: {{webhook_timeout: 1}}"));
    let admin = app.admin();
    let receiver = Receiver::start();
    receiver.behave(Behaviour::Hang);
    make_rule(&admin, hook(&receiver));
    ingest(&app, &[bare_event(1, None)]);
    delivery(&admin, |delivery| {
        delivery["last_error"].as_str().is_some_and(|error| error.contains("within 1 s"))
    });
    receiver.behave(Behaviour::Answer(200));
    delivery(&admin, has_status("delivered"));
}

#[test]
fn a_rule_that_goes_takes_along_what_it_had_to_tell() {
    let app = TestApp::start();
    let admin = app.admin();
    let receiver = Receiver::down();
    let rule = make_rule(&admin, hook(&receiver));
    ingest(&app, &[bare_event(1, None)]);
    delivery(&admin, |delivery| !delivery["last_error"].is_null());
    admin.delete(&format!("/api/alerts/rules/{}", rule["id"].as_str().unwrap())).expect(204);
    assert_eq!(alerts(&admin, "")[0]["deliveries"], json!([]));
    assert!(app.query("SELECT channel FROM alert_deliveries").is_empty());
}

fn topic(topic: &str) -> Value {
    strangers(&[("mqtt_topic", json!(topic))])
}

#[test]
fn a_broker_is_told_over_tcp_and_tls() {
    let Some(broker) = Mosquitto::start() else { return };
    let subscriber = broker.subscribe();
    for (app, name) in [(broker.app(OPEN), "plain"), (broker.app_over_tls(OPEN), "tls")] {
        let admin = app.admin();
        make_rule(&admin, topic(&format!("site/{name}/alerts")));
        ingest(&app, &[bare_event(1, None)]);
        let (told_on, message) = subscriber.next();
        assert_eq!(told_on, format!("site/{name}/alerts"));
        assert_eq!(message["alert"]["camera_id"], "cam_01");
        let delivered = delivery(&admin, has_status("delivered"));
        assert_eq!((&delivered["channel"], &delivered["attempts"]), (&json!("mqtt"), &json!(1)));
    }
}

#[test]
fn a_broker_that_was_away_is_told_when_it_is_back() {
    let Some(mut broker) = Mosquitto::start() else { return };
    let subscriber = broker.subscribe();
    let app = broker.app(OPEN);
    let admin = app.admin();
    make_rule(&admin, topic("vedette/alerts"));
    ingest(&app, &[bare_event(1, None)]);
    let (told_on, first) = subscriber.next();
    assert_eq!(told_on, "vedette/alerts");
    let alert = &alerts(&admin, "")[0];
    assert_eq!((&first["type"], &first["alert"]["id"]), (&json!("alert"), &alert["id"]));

    broker.go_down();
    let events: Vec<Value> = (2..=9).map(|number| bare_event(number, None)).collect();
    ingest(&app, &events);
    let all = |is_so: &dyn Fn(&Value) -> bool| {
        alerts(&admin, "").iter().filter(|alert| is_so(&alert["deliveries"][0])).count()
    };
    eventually("all have failed", || {
        (all(&|delivery| delivery["last_error"].as_str().is_some_and(|error| error.contains("broker"))) == 8)
            .then_some(())
    });
    broker.come_up();
    let mut told: Vec<String> =
        (0..8).map(|_| subscriber.next().1["alert"]["id"].as_str().unwrap().to_owned()).collect();
    told.sort();
    let mut made: Vec<String> =
        alerts(&admin, "")[..8].iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect();
    made.sort();
    assert_eq!(told, made, "each once");
    eventually("all are delivered", || {
        (all(&|delivery| delivery["status"] == "delivered") == 9).then_some(())
    });
}

#[test]
fn a_broker_that_does_not_know_us_is_said_to() {
    let Some(broker) = Mosquitto::start() else { return };
    let app = broker.app_with_wrong_password(OPEN);
    let admin = app.admin();
    make_rule(&admin, topic("vedette/alerts"));
    ingest(&app, &[bare_event(1, None)]);
    let failed = delivery(&admin, |delivery| !delivery["last_error"].is_null());
    assert_eq!(failed["status"], "waiting");
    assert!(!failed.to_string().contains("wrong"), "{failed}");
}

#[test]
fn a_rule_may_tell_both_ways() {
    let Some(broker) = Mosquitto::start() else { return };
    let subscriber = broker.subscribe();
    let app = broker.app(OPEN);
    let receiver = Receiver::start();
    let mut rule = hook(&receiver);
    rule["mqtt_topic"] = json!("vedette/alerts");
    make_rule(&app.admin(), rule);
    ingest(&app, &[bare_event(1, None)]);
    let (over_mqtt, over_http) = (subscriber.next().1, receiver.wait_for(1)[0].json());
    assert_eq!(over_mqtt["alert"], over_http["alert"]);
    assert_ne!(over_mqtt["delivery_id"], over_http["delivery_id"]);
}
