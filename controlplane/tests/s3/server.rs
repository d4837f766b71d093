//! A real S3 server over HTTP, moto's, which checks signatures: one for all tests, each in a part of the bucket of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

static SHARED: LazyLock<S3> = LazyLock::new(|| S3::start(&[]));

/// A server; it ends when this or the process does, and with it all it held.
pub(crate) struct S3 {
    process: Child,
    told: Value,
}

impl S3 {
    /// The one that all tests use.
    pub(crate) fn shared() -> &'static Self {
        &SHARED
    }

    /// One of its own, with more arguments for `server.py`.
    pub(crate) fn start(arguments: &[&Path]) -> Self {
        let mut process = Command::new(python())
            .arg(folder().join("server.py"))
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told = serde_json::from_str(&line).expect("the S3 server does not start");
        Self { process, told }
    }

    pub(crate) fn url(&self) -> &str {
        self.text("url")
    }

    /// The variables that put a server's pictures below a prefix of the bucket, reached at `url`.
    pub(crate) fn variables(&self, url: &str, prefix: &str) -> Vec<(String, String)> {
        let storage_url = format!("s3://{}/{prefix}", self.text("bucket"));
        [
            ("STORAGE_URL", storage_url.as_str()),
            ("AWS_ENDPOINT_URL", url),
            ("AWS_ACCESS_KEY_ID", self.text("access_key")),
            ("AWS_SECRET_ACCESS_KEY", self.text("secret")),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn text(&self, key: &str) -> &str {
        self.told[key].as_str().unwrap()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/s3")
}

/// The Python that has moto.
fn python() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python.sh");
    let made = Command::new(script).arg(folder().join("requirements.txt")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    PathBuf::from(String::from_utf8(made.stdout).unwrap().trim())
}
