//! Two servers on one PostgreSQL: the same behaviour as on SQLite, and nothing done twice.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use vedette_migrations::{Migrator, MigratorTrait as _};

use crate::app::TestApp;
use crate::media::{Form, THREE_OF_ONE};
use crate::users::two_remove_each_other;

/// Where Debian keeps the programs of a PostgreSQL server, newest version first.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<PathBuf> =
        versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    folders.sort();
    folders.into_iter().rev().find(|folder| folder.join("initdb").is_file())
}

/// A server of one test, with an empty database.
pub(crate) struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    port: String,
}

impl Postgres {
    /// Starts one; `None`, said aloud, on machines without PostgreSQL.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!("skipped: there is no PostgreSQL on this machine");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let server = Self { programs, folder, port };
        if let Some((user, group)) = server.unprivileged() {
            chown(server.folder.path(), Some(user), Some(group)).unwrap();
        }
        server.run("initdb", &["--username=vedette", "--auth=trust", "--no-sync", "--encoding=UTF8"]);
        let options =
            format!("-h 127.0.0.1 -p {} -k {} -c fsync=off", server.port, server.folder.path().display());
        let log = server.folder.path().join("log").display().to_string();
        server.run("pg_ctl", &["start", "--wait", "--silent", "--log", &log, "--options", &options]);
        Some(server)
    }

    /// PostgreSQL refuses to be run by root; its package has made a user for it.
    fn unprivileged(&self) -> Option<(u32, u32)> {
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let home = is_root.then(|| std::fs::metadata("/var/lib/postgresql").unwrap());
        home.map(|home| (home.uid(), home.gid()))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).arg("--pgdata").arg(self.data()).current_dir(Path::new("/"));
        if let Some((user, group)) = self.unprivileged() {
            command.uid(user).gid(group);
        }
        let null = std::process::Stdio::null;
        assert!(command.stdin(null()).stdout(null()).status().unwrap().success(), "{program} failed");
    }

    /// A control plane of its own folder on this database.
    pub(crate) fn control_plane(&self, yaml: &str) -> TestApp {
        let variables = [
            ("DB_HOST", "127.0.0.1"),
            ("DB_PORT", self.port.as_str()),
            ("DB_NAME", "postgres"),
            ("DB_USER", "vedette"),
            ("DB_PASSWORD", "not asked for"),
            ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ];
        TestApp::start_in(tempfile::tempdir().unwrap(), yaml, &variables)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["stop", "--mode=immediate", "--silent"]);
    }
}

const LAX: &str = "security: {force_password_change: false}\n";

#[test]
fn accounts_keys_people_and_cameras_live_on_postgres() {
    let Some(postgres) = Postgres::start() else { return };
    let (one, other) = (postgres.control_plane(LAX), postgres.control_plane(LAX));
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
    one.with_database(async |db| {
        Migrator::down(db, None).await.unwrap();
        Migrator::up(db, None).await.unwrap();
    });
}

#[test]
fn of_requests_at_two_servers_one_enrols() {
    let Some(postgres) = Postgres::start() else { return };
    let servers = [postgres.control_plane(LAX), postgres.control_plane(LAX)];
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
    let path = format!("/api/persons/{}?erase=true", servers[1].query("SELECT id::text FROM persons")[0][0]);
    servers[0].admin().delete(&path).expect(204);
    assert_eq!(servers[1].admin().get("/api/persons").expect(200)["total"], 0);
}
