//! Who may make rules of alerts, and which are refused.

use serde_json::{Value, json};

use crate::alerts::{PASSWORD, id, make_rule, strangers};
use crate::app::TestApp;

#[test]
fn everybody_reads_rules_and_operators_write_them() {
    let app = TestApp::start();
    let admin = app.admin();
    let [viewer, operator] = ["viewer", "operator"].map(|role| {
        admin
            .post("/api/users", &json!({ "username": role, "password": PASSWORD, "role": role }))
            .expect(201);
        app.anyone().signed_in(role, PASSWORD)
    });
    viewer.post("/api/alerts/rules", &strangers(&[])).expect_error(403, "AuthorizationException");
    let rule = make_rule(&operator, strangers(&[]));
    let path = format!("/api/alerts/rules/{}", id(&rule));
    assert_eq!(viewer.get("/api/alerts/rules").expect(200)["items"], json!([rule]));
    viewer.put(&path, &json!({ "enabled": false })).expect_error(403, "AuthorizationException");
    viewer.delete(&path).expect_error(403, "AuthorizationException");
    let changed = operator.put(&path, &json!({ "name": "Others", "cooldown_s": 5 })).expect(200);
    assert_eq!((&changed["name"], &changed["cooldown_s"]), (&json!("Others"), &json!(5)));
    assert_eq!(
        operator.put(&path, &changed).expect(200)["name"],
        "Others",
        "as it was answered, it is taken"
    );
    operator.delete(&path).expect(204);
    operator.delete(&path).expect_error(404, "NotFoundException");
    operator.put(&path, &json!({})).expect_error(404, "NotFoundException");
    app.anyone().get("/api/alerts").expect_error(401, "AuthenticationException");
    let written =
        "SELECT action FROM system_logs WHERE category = 'alerts' AND actor = 'operator' ORDER BY id";
    assert_eq!(app.query(written).concat(), ["rule_created", "rule_changed", "rule_changed", "rule_deleted"]);
}

#[test]
fn rules_that_do_not_hold_are_refused_field_by_field() {
    let app = TestApp::start();
    let admin = app.admin();
    let nobody = "00000000-0000-7000-8000-000000000000";
    let schedule = |zone: &str, from: &str| json!({ "timezone": zone, "hours": [{ "days": ["monday"], "from": from, "to": "18:00" }] });
    for (field, kind, value) in [
        ("name", "unknown_person", json!("  ")),
        ("cameras", "unknown_person", json!(["../x"])),
        ("cooldown_s", "unknown_person", json!(604_801)),
        ("person_id", "unknown_person", json!(nobody)),
        ("person_id", "person", Value::Null),
        ("person_id", "person", json!(nobody)),
        ("offline_after_s", "camera_offline", json!(1)),
        ("offline_after_s", "unknown_person", json!(60)),
        ("schedule", "out_of_hours", Value::Null),
        ("schedule", "out_of_hours", schedule("Mars/Olympus", "08:00")),
        ("schedule", "out_of_hours", schedule("UTC", "8")),
        ("webhook_url", "unknown_person", json!("http://169.254.169.254/latest/meta-data")),
        ("webhook_url", "unknown_person", json!("http://2852039166/")),
        ("webhook_url", "unknown_person", json!("http://[fe80::1]/")),
        ("webhook_url", "unknown_person", json!("gopher://door/")),
        ("webhook_url", "unknown_person", json!("http://user:secret@door/")),
        ("webhook_secret", "unknown_person", json!("a secret without a webhook")),
        ("mqtt_topic", "unknown_person", json!("a/#")),
        // There is no broker.
        ("mqtt_topic", "unknown_person", json!("vedette/alerts")),
    ] {
        let mut rule = json!({ "name": "A rule", "kind": kind });
        rule[field] = value;
        let answer = admin.post("/api/alerts/rules", &rule);
        assert_eq!(answer.json()["details"][0]["field"], field, "{rule}: {}", answer.text);
        answer.expect_error(422, "ValidationException");
    }
    assert_eq!(admin.get("/api/alerts/rules").expect(200)["total"], 0);
}
