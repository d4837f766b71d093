//! Several instances that know of each other, and what becomes of them without Redis.

use serde_json::json;
use vedette::startup::App;

use crate::app::{Client, FIRST_PASSWORD, TestApp, config_in, eventually};
use crate::ingest::event;
use crate::live::{Watcher, token};
use crate::redis_server;

const RELAXED: &str = "security: {force_password_change: false}\n";

fn cache(app: &TestApp) -> String {
    let health = app.anyone().get("/api/health").expect(200);
    assert_eq!(health["status"], "healthy");
    health["cache"].as_str().unwrap().to_owned()
}

fn with_token(app: &TestApp, token: &str) -> Client {
    app.anyone().with_header("Authorization", &format!("Bearer {token}"))
}

#[test]
fn without_redis_everything_is_in_this_process() {
    assert_eq!(cache(&TestApp::with("")), "in-process");
}

#[test]
fn instances_count_together() {
    let Some(redis) = redis_server::borrow() else { return };
    let one = redis.app("security: {rate_limit: {login: 3}}");
    let two = redis.app_beside(&one, "security: {rate_limit: {login: 3}}");
    assert_eq!(cache(&one), "redis: connected");
    let sign_in = |app: &TestApp| app.anyone().log_in("admin", FIRST_PASSWORD).status;
    assert_eq!([sign_in(&one), sign_in(&two), sign_in(&one)], [200; 3]);
    assert_eq!([sign_in(&one), sign_in(&two)], [429; 2]);
    let answer = two.anyone().log_in("admin", FIRST_PASSWORD);
    assert!((1..=60).contains(&answer.header("retry-after").parse::<u32>().unwrap()));
}

#[test]
fn wrong_passwords_at_one_instance_make_wait_at_the_other() {
    let Some(redis) = redis_server::borrow() else { return };
    let one = redis.app("security: {rate_limit: 0}");
    let two = redis.app_beside(&one, "security: {rate_limit: 0}");
    for _ in 0..5 {
        one.anyone().log_in("admin", "wrong").expect(401);
    }
    two.anyone().log_in("admin", FIRST_PASSWORD).expect_error(429, "RateLimitException");
    eventually("the owner signs in", || {
        (two.anyone().log_in("admin", FIRST_PASSWORD).status == 200).then_some(())
    });
}

#[test]
fn a_token_that_ends_at_one_instance_ends_at_the_other() {
    let Some(redis) = redis_server::borrow() else { return };
    let one = redis.app(RELAXED);
    let two = redis.app_beside(&one, RELAXED);
    let (first, second) = (token(&one), token(&one));
    for token in [&first, &second] {
        with_token(&two, token).get("/api/auth/me").expect(200);
    }
    let refused = |token: &str| {
        eventually("the token is refused", || {
            (with_token(&two, token).get("/api/auth/me").status == 401).then_some(())
        });
    };
    with_token(&one, &first).post("/api/auth/logout", &json!({})).expect(204);
    refused(&first);
    with_token(&two, &second).get("/api/auth/me").expect(200);
    let watcher = Watcher::of(&two, &second);
    let change = json!({ "old_password": FIRST_PASSWORD, "new_password": "a longer password" });
    with_token(&one, &second).post("/api/auth/change-password", &change).expect(200);
    refused(&second);
    assert_eq!(watcher.farewell(), "the token or key is void");
}

#[test]
fn news_of_one_instance_reach_those_who_watch_another() {
    let Some(redis) = redis_server::borrow() else { return };
    let one = redis.app(RELAXED);
    let two = redis.app_beside(&one, RELAXED);
    let token = token(&one);
    let mut watchers = [Watcher::of(&one, &token), Watcher::of(&two, &token)];
    wait_for_subscribers(&redis, 2);
    let seen = event(1, None);
    one.worker().post("/api/ingest", &json!([seen])).expect(200);
    let last = event(2, None);
    two.worker().post("/api/ingest", &json!([seen, last])).expect(200);
    for watcher in &mut watchers {
        assert_eq!(watcher.next()["data"]["event_id"], seen["event_id"]);
        assert_eq!(watcher.next()["data"]["event_id"], last["event_id"], "each is told once");
    }
}

fn wait_for_subscribers(redis: &redis_server::RedisServer, count: u64) {
    eventually("the instances listen", || {
        let listening: (String, u64) = redis.command(&["PUBSUB", "NUMSUB", "vedette:live"]);
        (listening.1 == count).then_some(())
    });
}

#[test]
fn everything_goes_on_while_redis_is_away() {
    let Some(mut redis) = redis_server::borrow() else { return };
    let app = redis.app("security: {force_password_change: false, rate_limit: {login: 20}}");
    let token = token(&app);
    let mut watcher = Watcher::of(&app, &token);
    let admin = with_token(&app, &token);
    assert!(app.anyone().get("/metrics").text.contains("vedette_redis_up 1\n"));

    redis.kill();
    app.worker().post("/api/ingest", &json!([event(1, None)])).expect(200);
    assert_eq!(watcher.next()["data"]["event_id"], event(1, None)["event_id"]);
    admin.get("/api/auth/me").expect(200);
    app.anyone().log_in("admin", FIRST_PASSWORD).expect(200);
    let said = eventually("it is said", || Some(cache(&app)).filter(|cache| cache != "redis: connected"));
    assert!(said.starts_with("redis: unreachable, ") && !said.contains("127.0.0.1"), "{said}");
    assert!(app.anyone().get("/metrics").text.contains("vedette_redis_up 0\n"));
    let limited = (0..21).any(|_| app.anyone().log_in("admin", FIRST_PASSWORD).status == 429);
    assert!(limited, "limits hold in memory");
    admin.post("/api/auth/logout", &json!({})).expect(204);
    admin.get("/api/auth/me").expect(401);

    redis.start_again();
    eventually("Redis is used again", || Some(()).filter(|()| cache(&app) == "redis: connected"));
    wait_for_subscribers(&redis, 1);
    assert!(app.anyone().get("/metrics").text.contains("vedette_redis_up 1\n"));
}

#[test]
fn an_instance_starts_without_its_redis() {
    let Some(mut redis) = redis_server::borrow() else { return };
    redis.kill();
    let app = redis.app(RELAXED);
    assert!(cache(&app).starts_with("redis: unreachable, connection refused"), "{}", cache(&app));
    app.admin().get("/api/cameras").expect(200);
    redis.start_again();
    eventually("Redis is used", || Some(()).filter(|()| cache(&app) == "redis: connected"));
}

#[test]
fn an_authority_that_cannot_be_read_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |file: &std::path::Path| {
        let file = file.display().to_string();
        let variables = [("REDIS_HOST", "127.0.0.1"), ("REDIS_TLS", "true"), ("REDIS_CA_FILE", &file)];
        let config = config_in(folder.path(), RELAXED, &variables);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let error = runtime.block_on(App::start(config)).map(|_| ()).unwrap_err();
        format!("{error:#}")
    };
    let file = folder.path().join("ca.crt");
    assert!(refusal(&file).contains("REDIS_CA_FILE: cannot read"));
    std::fs::write(&file, "no certificate").unwrap();
    assert!(refusal(&file).contains("holds no certificate"));
}

#[test]
fn redis_is_spoken_to_over_tls_by_a_user_of_its_own() {
    let Some(redis) = redis_server::borrow() else { return };
    redis.command::<()>(&["ACL", "SETUSER", "door", "on", ">secret", "~*", "&*", "+@all"]);
    let ca_file = redis.ca_file().display().to_string();
    let trust = ("REDIS_CA_FILE", ca_file.as_str());
    let (user, password) = (("REDIS_USER", "door"), ("REDIS_PASSWORD", "secret"));
    let one = redis.app_over_tls(RELAXED, &[trust, user, password]);
    assert_eq!(cache(&one), "redis: connected");
    wait_for_subscribers(&redis, 1);
    let (clients, mine) = (redis.command::<String>(&["CLIENT", "LIST"]), "user=door");
    assert!(clients.matches(mine).count() >= 2, "commands and messages: {clients}");
    one.anyone().log_in("admin", FIRST_PASSWORD).expect(200);

    let refused = |variables: &[(&str, &str)]| {
        let status = cache(&redis.app_over_tls(RELAXED, variables));
        assert!(status.starts_with("redis: unreachable, "), "{status}");
        assert!(!status.contains("secret") && !status.contains("127.0.0.1"), "{status}");
    };
    refused(&[trust, user, ("REDIS_PASSWORD", "wrong")]);
    refused(&[user, password]);
    refused(&[user, password, ("REDIS_TLS", "false")]);
    redis.command::<()>(&["ACL", "DELUSER", "door"]);
}
