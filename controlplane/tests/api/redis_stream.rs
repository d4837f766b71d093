//! Events from a Redis stream: each once, none lost.

use serde_json::Value;

use crate::app::{Client, TestApp, eventually};
use crate::ingest::event;
use crate::redis_server::{self, RedisServer};

const SETTINGS: &str = "security: {force_password_change: false}\nevents: {redis_stream: faces}\n";

fn add(redis: &RedisServer, text: &str) -> String {
    redis.command(&["XADD", "faces", "*", "event", text])
}

fn wait_for_detections(admin: &Client, count: u64) {
    eventually("the events are stored", || {
        (admin.get("/api/detections").expect(200)["total"] == count).then_some(())
    });
}

fn wait_until_empty(redis: &RedisServer) {
    eventually("the stream is empty", || (redis.command::<u64>(&["XLEN", "faces"]) == 0).then_some(()));
    let (pending, ..): (u64, redis::Value, redis::Value, redis::Value) =
        redis.command(&["XPENDING", "faces", "vedette"]);
    assert_eq!(pending, 0);
}

#[test]
fn events_of_the_stream_are_stored_once_and_let_go() {
    let Some(redis) = redis_server::borrow() else { return };
    add(&redis, &event(1, None).to_string());
    add(&redis, &event(2, None).to_string());
    let app = redis.app(SETTINGS);
    let admin = app.admin();
    wait_for_detections(&admin, 2);
    let worker = app.worker();
    let again: Value = worker.post("/api/ingest", &serde_json::json!([event(2, None)])).expect(200);
    assert_eq!(again["duplicates"], 1);
    add(&redis, &event(2, None).to_string());
    add(&redis, &event(3, None).to_string());
    wait_for_detections(&admin, 3);
    wait_until_empty(&redis);
    let metrics = app.anyone().get("/metrics").text;
    assert!(metrics.lines().any(|line| line == "vedette_ingest_stream_entries 0"), "{metrics}");
}

#[test]
fn what_is_no_event_is_put_aside() {
    let Some(redis) = redis_server::borrow() else { return };
    let app = redis.app(SETTINGS);
    add(&redis, "{\"event_id\":7}");
    redis.command::<String>(&["XADD", "faces", "*", "other", "x"]);
    let mut cursed = event(2, None);
    cursed["person"] = serde_json::json!({ "id": "x", "name": "A\0B", "similarity": 0.5, "margin": 0.1 });
    add(&redis, &cursed.to_string());
    add(&redis, &event(1, None).to_string());
    wait_for_detections(&app.admin(), 1);
    wait_until_empty(&redis);
    assert_eq!(redis.command::<u64>(&["XLEN", "faces:rejected"]), 3);
}

#[test]
fn what_a_dead_instance_took_is_taken_over() {
    let Some(redis) = redis_server::borrow() else { return };
    redis.command::<()>(&["XGROUP", "CREATE", "faces", "vedette", "0", "MKSTREAM"]);
    let id = add(&redis, &event(1, None).to_string());
    let read = ["XREADGROUP", "GROUP", "vedette", "dead", "COUNT", "1", "STREAMS", "faces", ">"];
    redis.command::<redis::Value>(&read);
    redis.command::<redis::Value>(&["XCLAIM", "faces", "vedette", "dead", "0", &id, "IDLE", "60000"]);
    let app = redis.app(SETTINGS);
    wait_for_detections(&app.admin(), 1);
    wait_until_empty(&redis);
}

#[test]
fn a_power_cut_of_redis_loses_nothing() {
    let Some(mut redis) = redis_server::borrow() else { return };
    let app: TestApp = redis.app(SETTINGS);
    let admin = app.admin();
    add(&redis, &event(1, None).to_string());
    wait_for_detections(&admin, 1);
    redis.kill();
    redis.start_again();
    for number in 2..=40 {
        add(&redis, &event(number, None).to_string());
    }
    redis.kill();
    redis.start_again();
    wait_for_detections(&admin, 40);
    wait_until_empty(&redis);
}
