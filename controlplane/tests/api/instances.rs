//! Two servers on one database behave as one.

use serde_json::{Value, json};

use vedette::startup::App;

use crate::app::{Client, TestApp, eventually, on_postgres};
use crate::media::{Form, THREE_OF_ONE};
use crate::users::two_remove_each_other;

fn beat(worker: &Client, id: &str, cameras: &[Value]) -> Value {
    let body = json!({ "host": "edge", "version": "0.1.0", "pid": 7, "cameras": cameras });
    worker.post(&format!("/api/workers/{id}/heartbeat"), &body).expect(200)
}

#[test]
fn a_camera_has_one_worker_whichever_server_is_asked() {
    let one = TestApp::start();
    let two = one.another();
    let admin = one.admin();
    admin.post("/api/cameras", &json!({ "id": "cam", "url": "test://" })).expect(201);
    admin.post("/api/cameras/cam/start", &json!({})).expect(200);

    let assigned = beat(&two.worker(), "far", &[]);
    assert_eq!(assigned["cameras"][0]["camera_id"], "cam");
    assert_eq!(beat(&one.worker(), "near", &[])["cameras"], json!([]), "the other server has given it away");

    let stats =
        json!({ "fps": 20.0, "latency_ms": 1.0, "dropped": 0, "faces": 0, "width": 64, "height": 48 });
    let run = &assigned["cameras"][0]["run"];
    let report = json!({ "camera_id": "cam", "run": run, "state": "running", "stats": stats });
    let seen = |app: &TestApp| {
        let (asked, worker) = (app.admin(), two.worker());
        eventually("the camera runs", || {
            beat(&worker, "far", std::slice::from_ref(&report));
            Some(asked.get("/api/cameras/cam").expect(200)).filter(|camera| camera["status"] == "running")
        })
    };
    assert_eq!(seen(&two)["worker"], "far");
    assert_eq!(seen(&one)["worker"], "far", "known at the server it never talked to");
}

/// Puts a clock into the database that is off by what the table `clock` says.
const CLOCK: &str = "CREATE TABLE clock AS SELECT interval '-1 hour' AS off;
    CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
        'SELECT pg_catalog.clock_timestamp() + off FROM public.clock';
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
    END $$";

/// To servers an hour ahead of the database, it is the database that says when a lease is over.
#[test]
fn leases_go_by_the_databases_clock() {
    if !on_postgres() {
        println!("skipped: SQLite has the clock of the server it is in");
        return;
    }
    let app = TestApp::start();
    app.execute(CLOCK);
    let one = TestApp::restart_in(app.stop(), "security: {force_password_change: false}\n");
    let two = one.another();
    let admin = one.admin();
    admin.post("/api/cameras", &json!({ "id": "cam", "url": "test://" })).expect(201);
    admin.post("/api/cameras/cam/start", &json!({})).expect(200);
    let holds = |app: &TestApp, id: &str| {
        beat(&app.worker(), id, &[])["cameras"].as_array().is_some_and(|cameras| !cameras.is_empty())
    };
    assert_eq!([holds(&two, "far"), holds(&one, "near")], [true, false]);
    let stored = "SELECT CAST(expires_at BETWEEN clock_timestamp() AND clock_timestamp() + interval '5 s' AS text) \
                  FROM camera_leases";
    assert_eq!(one.query(stored), [["true"]], "a lease is over when the database says so");

    one.execute("UPDATE clock SET off = off + interval '10 seconds'");
    assert_eq!(
        [holds(&one, "near"), holds(&two, "far")],
        [true, false],
        "it was over by the database's clock"
    );
}

#[test]
fn an_errand_reaches_a_worker_of_the_other_server() {
    let one = TestApp::start();
    let two = one.another();
    let worker = two.worker();
    beat(&worker, "far", &[]);
    let admin = one.admin();
    eventually("the other server knows the worker", || {
        beat(&worker, "far", &[]);
        let health = admin.get("/api/health").expect(200);
        (health["workers"]["connected"] == 1).then_some(())
    });
    let asking = std::thread::spawn(move || {
        admin.post("/api/cameras/probe", &json!({ "url": "rtsp://10.0.0.7/" })).expect(200)
    });
    let reply = eventually("the errand", || {
        Some(beat(&worker, "far", &[])).filter(|reply| reply["errands"][0]["task"] == "probe")
    });
    let id = reply["errands"][0]["id"].as_str().unwrap();
    worker.post(&format!("/api/workers/far/errands/{id}"), &json!({ "failed": "no route" })).expect(204);
    assert_eq!(asking.join().unwrap()["reason"], "no route");
}

#[test]
fn signing_out_at_one_server_is_signing_out() {
    let one = TestApp::start();
    let two = one.another();
    let login = one.anyone().log_in("admin", crate::app::FIRST_PASSWORD).expect(200);
    let bearer = format!("Bearer {}", login["access_token"].as_str().unwrap());
    let at_one = one.anyone().with_header("Authorization", &bearer);
    let at_two = two.anyone().with_header("Authorization", &bearer);
    at_two.get("/api/auth/me").expect(200);
    at_one.post("/api/auth/logout", &json!({})).expect(204);
    eventually("the other server refuses the token", || {
        (at_two.get("/api/auth/me").status == 401).then_some(())
    });
}

#[test]
fn accounts_keys_and_cameras_of_one_server_are_the_others() {
    let one = TestApp::start();
    let other = one.another();
    let admin = one.admin();
    let new = json!({ "username": "Ada", "email": "ada@example.org", "password": "a password of the tests" });
    one.anyone().post("/api/auth/register", &new).expect(201);
    other.anyone().post("/api/auth/register", &new).expect_error(409, "DuplicateResourceException");
    assert_eq!(admin.get("/api/users?search=ADA&role=viewer").expect(200)["total"], 1);
    let ada = other.anyone().signed_in("ada", "a password of the tests");
    ada.put("/api/auth/me", &json!({ "email": null })).expect(200);
    ada.post("/api/auth/logout", &json!({})).expect(204);

    let key = admin.post("/api/api-keys", &json!({ "name": "door", "scopes": ["operate"] })).expect(201);
    let program = other.anyone().with_header("X-API-Key", key["key"].as_str().unwrap());
    program.post("/api/cameras", &json!({ "id": "cam_01", "url": "test://" })).expect(201);
    program.post("/api/cameras/cam_01/start", &json!({})).expect(200);
    program.delete("/api/cameras/cam_01").expect(204);
    let key = format!("/api/api-keys/{}", key["id"].as_str().unwrap());
    admin.delete(&key).expect(204);
    program.get("/api/cameras").expect(401);

    let actions = one.query("SELECT category || '.' || action FROM system_logs ORDER BY id").concat();
    let expected = [
        "users.created",
        "auth.login",
        "users.registered",
        "auth.login",
        "users.changed",
        "auth.logout",
        "api_keys.created",
        "cameras.created",
        "cameras.started",
        "cameras.deleted",
        "api_keys.deleted",
    ];
    assert_eq!(actions, expected);
    two_remove_each_other(&one, &other);
}

#[test]
fn of_two_with_one_face_one_comes_back() {
    let one = TestApp::start();
    let servers = [one.another(), one];
    let admin = servers[0].admin();
    let gone: Vec<String> = ["Barack", "Another"]
        .iter()
        .map(|name| {
            let form = Form::default().text("name", name).photos(THREE_OF_ONE);
            let person = form.send(&admin, "/api/persons/register").expect(201);
            let path = format!("/api/persons/{}", person["id"].as_str().unwrap());
            admin.delete(&path).expect(204);
            path
        })
        .collect();
    for _ in 0..5 {
        let attempt = |(server, path): (&TestApp, &String)| {
            let (client, path) = (server.admin(), path.clone());
            std::thread::spawn(move || client.put(&path, &json!({ "is_active": true })).status)
        };
        let attempts: Vec<_> = servers.iter().zip(&gone).map(attempt).collect();
        let statuses: Vec<u16> = attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect();
        assert!(statuses == [200, 409] || statuses == [409, 200], "{statuses:?}");
        gone.iter().for_each(|path| drop(admin.delete(path).expect(204)));
    }
}

#[test]
fn of_requests_at_two_servers_one_enrols() {
    let one = TestApp::start();
    let servers = [one.another(), one];
    let attempt = |index: usize| {
        let client = servers[index % 2].admin();
        std::thread::spawn(move || {
            let form = Form::default().text("name", "Barack").photos(THREE_OF_ONE);
            form.send(&client, "/api/persons/register").status
        })
    };
    let attempts: Vec<_> = (0..4).map(attempt).collect();
    let mut statuses: Vec<u16> = attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
    for server in &servers {
        let admin = server.admin();
        assert_eq!(admin.get("/api/persons").expect(200)["total"], 1);
        assert_eq!(server.worker().get("/api/gallery").expect(200)["persons"].as_array().unwrap().len(), 1);
    }
    let people = servers[1].admin().get("/api/persons").expect(200);
    let path = format!("/api/persons/{}?erase=true", people["items"][0]["id"].as_str().unwrap());
    servers[0].admin().delete(&path).expect(204);
    assert_eq!(servers[1].admin().get("/api/persons").expect(200)["total"], 0);
}

/// One photo goes and another comes, by a server whose clock is behind that of the one that made the rest.
#[test]
fn what_one_server_changes_in_the_gallery_the_other_sees() {
    let one = TestApp::start();
    let two = one.another();
    let form = Form::default().text("name", "Barack").photos(THREE_OF_ONE);
    let person = form.send(&one.admin(), "/api/persons/register").expect(201);
    let path = format!("/api/persons/{}", person["id"].as_str().unwrap());
    one.execute("UPDATE face_templates SET created_at = '2100-01-01T00:00:00+00:00'");
    one.execute("UPDATE persons SET updated_at = '2100-01-01T00:00:00+00:00'");
    let templates = |server: &TestApp| -> Vec<Value> {
        let gallery = server.worker().get("/api/gallery").expect(200);
        gallery["persons"][0]["templates"].as_array().unwrap().clone()
    };
    let before = templates(&one);

    let admin = two.admin();
    let face = admin.get(&path).expect(200)["faces"][0]["id"].as_str().unwrap().to_owned();
    admin.delete(&format!("{path}/faces/{face}")).expect(204);
    Form::default().photos([THREE_OF_ONE[0]]).send(&admin, &format!("{path}/faces")).expect(201);
    two.execute("UPDATE persons SET updated_at = '2100-01-01T00:00:00+00:00'");
    let after = templates(&two);
    assert_eq!(after.len(), before.len());
    assert_eq!(templates(&one), after);
}

#[test]
fn servers_that_start_at_the_same_moment_make_the_tables_once() {
    if !crate::app::on_postgres() {
        return eprintln!("skipped: on SQLite there is one server");
    }
    let folder = tempfile::tempdir().unwrap();
    let config = || crate::app::config_in(folder.path(), "", &[]);
    let starts = [config(), config(), config()].map(|config| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(App::start(config)).map(drop).map_err(|error| format!("{error:#}"))
        })
    });
    for start in starts {
        assert_eq!(start.join().unwrap(), Ok(()));
    }
}
