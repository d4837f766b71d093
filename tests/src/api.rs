//! A client of the REST API, no more than the tests and the demo need.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use ureq::unversioned::multipart::{Form, Part};

/// Name and first password of the user every new data folder starts with.
pub const FIRST_LOGIN: (&str, &str) = ("admin", "admin123");

const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_PAUSE: Duration = Duration::from_millis(100);

/// A server, and the token to show it.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    agent: ureq::Agent,
    token: Option<String>,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Method and path, for messages.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// Body as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; `Null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The JSON of an answer that must have `status`.
    ///
    /// # Errors
    /// When the status is another; the message holds the server's.
    pub fn expect(self, status: u16) -> Result<Value> {
        if self.status != status {
            let text = String::from_utf8_lossy(&self.body);
            bail!("{}: expected {status}, the server answered {}: {text}", self.request, self.status);
        }
        Ok(self.json())
    }
}

impl Api {
    /// A client that is not logged in.
    pub fn new(port: u16) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_TIMEOUT))
            .build();
        Self { base: format!("http://127.0.0.1:{port}"), agent: config.into(), token: None }
    }

    /// The same, showing this token, such as a worker's.
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// The token it shows.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Address of a path of the server, for people to click on.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// GET.
    ///
    /// # Errors
    /// When no answer comes, as for every method here.
    pub fn get(&self, path: &str) -> Result<Answer> {
        let request = self.agent.get(self.url(path)).header("Authorization", self.authorization());
        read(format!("GET {path}"), request.call())
    }

    /// POST with a JSON body.
    ///
    /// # Errors
    /// See [`Self::get`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        let request = self.agent.post(self.url(path)).header("Authorization", self.authorization());
        read(format!("POST {path}"), request.send_json(body))
    }

    /// PUT with a JSON body.
    ///
    /// # Errors
    /// See [`Self::get`].
    pub fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        let request = self.agent.put(self.url(path)).header("Authorization", self.authorization());
        read(format!("PUT {path}"), request.send_json(body))
    }

    /// DELETE.
    ///
    /// # Errors
    /// See [`Self::get`].
    pub fn delete(&self, path: &str) -> Result<Answer> {
        let request = self.agent.delete(self.url(path)).header("Authorization", self.authorization());
        read(format!("DELETE {path}"), request.call())
    }

    fn authorization(&self) -> String {
        self.token.as_ref().map(|token| format!("Bearer {token}")).unwrap_or_default()
    }

    /// Logs in; the client shows the token from now on. The answer's `must_change_password` is returned.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn log_in(&mut self, username: &str, password: &str) -> Result<bool> {
        let answer = self.post("/api/auth/login", &json!({"username": username, "password": password}))?;
        let login = answer.expect(200)?;
        let token = login["access_token"].as_str().context("the server gave no token")?;
        self.token = Some(token.to_owned());
        Ok(login["must_change_password"] == true)
    }

    /// Changes the password of the user logged in, and logs in anew.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn change_password(&mut self, username: &str, old: &str, new: &str) -> Result<()> {
        let body = json!({"old_password": old, "new_password": new});
        self.post("/api/auth/change-password", &body)?.expect(200)?;
        self.log_in(username, new).map(|_| ())
    }

    /// Registers a person with photos and returns the answer, whatever it is.
    ///
    /// # Errors
    /// When a photo cannot be read or no answer comes.
    pub fn register(&self, name: &str, photos: &[PathBuf]) -> Result<Answer> {
        let mut form = Form::new().text("name", name);
        for photo in photos {
            let part = Part::file(photo).with_context(|| format!("cannot read {}", photo.display()))?;
            form = form.part("images", part);
        }
        let path = "/api/persons/register";
        let request = self.agent.post(self.url(path)).header("Authorization", self.authorization());
        read(format!("POST {path}"), request.send(form))
    }

    /// POST of a form with one picture.
    ///
    /// # Errors
    /// See [`Self::get`].
    pub fn post_picture(&self, path: &str, field: &str, picture: &[u8]) -> Result<Answer> {
        let part = Part::bytes(picture).file_name("picture.jpg").mime_str("image/jpeg")?;
        let form = Form::new().part(field, part);
        let request = self.agent.post(self.url(path)).header("Authorization", self.authorization());
        read(format!("POST {path}"), request.send(form))
    }

    /// Everything a camera saw since `from` (RFC 3339), oldest first.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn detections(&self, camera_id: &str, from: Option<&str>) -> Result<Vec<Value>> {
        let since = from.map(|time| format!("&from={}", time.replace('+', "%2B"))).unwrap_or_default();
        let mut found: Vec<Value> = Vec::new();
        for page in 1.. {
            let path = format!("/api/detections?camera_id={camera_id}&page={page}&page_size=500{since}");
            let mut list = self.get(&path)?.expect(200)?;
            let total = list["total"].as_u64().with_context(|| format!("GET {path}: no total"))?;
            let Some(items) = list["items"].as_array_mut() else { bail!("GET {path}: no items") };
            let is_last_page = items.is_empty();
            found.append(items);
            if is_last_page || found.len() as u64 >= total {
                break;
            }
        }
        found.sort_by(|one, other| one["timestamp"].as_str().cmp(&other["timestamp"].as_str()));
        Ok(found)
    }
}

fn read(request: String, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer> {
    let mut response = answer.with_context(|| format!("{request}: no answer"))?;
    let status = response.status().as_u16();
    let body =
        response.body_mut().read_to_vec().with_context(|| format!("{request}: the answer broke off"))?;
    Ok(Answer { request, status, body })
}

/// Asks again and again until `ask` has something, and gives up at the deadline, saying what was `awaited`.
///
/// # Errors
/// At the deadline, or when `ask` fails.
pub fn wait_for<T>(
    awaited: &str,
    timeout: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(found) = ask()? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s in vain: {awaited}", timeout.as_secs());
        }
        std::thread::sleep(POLL_PAUSE);
    }
}
