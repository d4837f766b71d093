//! Every migration goes back and forth with data in place.

use serde_json::json;
use vedette_migrations::{Migrator, MigratorTrait as _};

use crate::app::TestApp;
use crate::ingest::bare_event;
use crate::media::{Form, THREE_OF_ONE};

/// A server whose tables all hold something.
fn with_data() -> TestApp {
    let app = TestApp::start();
    let admin = app.admin();
    admin.post("/api/cameras", &json!({ "id": "door", "url": "test://" })).expect(201);
    admin.post("/api/cameras/door/start", &json!({})).expect(200);
    admin.post("/api/api-keys", &json!({ "name": "program", "scopes": ["read"] })).expect(201);
    let form = Form::default().text("name", "Barack").photos(THREE_OF_ONE);
    let person = form.send(&admin, "/api/persons/register").expect(201);
    let rule = json!({
        "name": "Strangers", "kind": "unknown_person", "cooldown_s": 60, "webhook_url": "http://127.0.0.1:9/"
    });
    admin.post("/api/alerts/rules", &rule).expect(201);
    let event = |number: u128| {
        let mut event = bare_event(number, Some(&person).filter(|_| number.is_multiple_of(2)));
        event["timestamp"] = json!(chrono::Utc::now());
        event
    };
    let events: Vec<_> = (1..=20).map(event).collect();
    app.worker().post("/api/ingest", &json!(events)).expect(200);
    let heartbeat = json!({ "host": "edge", "version": "0.1.0", "pid": 7, "cameras": [] });
    app.worker().post("/api/workers/local/heartbeat", &heartbeat).expect(200);
    app
}

#[test]
fn every_migration_can_be_taken_back_and_made_again() {
    let app = with_data();
    let migrations = Migrator::migrations().len() as u32;
    app.migrate(async |db| {
        for steps in 1..=migrations {
            Migrator::down(db, Some(steps)).await.unwrap_or_else(|error| panic!("{steps} down: {error}"));
            Migrator::up(db, None).await.unwrap_or_else(|error| panic!("{steps} down and up: {error}"));
        }
        assert!(Migrator::get_pending_migrations(db).await.unwrap().is_empty());
    });
}

/// What is counted beforehand is counted anew from the rows there are.
#[test]
fn figures_are_the_same_after_going_back_and_forth() {
    let app = with_data();
    let figures = || {
        let mut summary = app.admin().get("/api/analytics/summary?days=2").expect(200);
        // Says when it was asked.
        summary.as_object_mut().unwrap().remove("period");
        summary["total_detections"].as_u64().filter(|total| *total > 0).unwrap();
        let keys = [
            "total_detections",
            "known_detections",
            "unknown_detections",
            "unique_visitors",
            "top_visitors",
            "cameras",
        ];
        let totals = ["", "camera_id=door", "known=true", "min_confidence=0.5"]
            .map(|query| app.admin().get(&format!("/api/detections?{query}")).expect(200)["total"].clone());
        let visits = ["", "camera_id=cam_01", "from=2026-01-01T00:00:00Z", "to=2026-01-01T00:00:00Z"]
            .map(|query| app.admin().get(&format!("/api/sessions?{query}")).expect(200)["total"].clone());
        assert_eq!(visits[0], 1);
        (keys.map(|key| summary[key].clone()), totals, visits)
    };
    let before = figures();
    let derived = Migrator::migrations()
        .iter()
        .rev()
        .take_while(|migration| !migration.name().contains("system_logs"))
        .count();
    app.migrate(async |db| {
        Migrator::down(db, Some(derived as u32)).await.unwrap();
        Migrator::up(db, None).await.unwrap();
    });
    assert_eq!(figures(), before);
}
