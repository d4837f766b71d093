//! The REST API as an import needs it: who is there, and one registration after the other.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use ureq::http::StatusCode;
use ureq::http::header::{EXPECT, RETRY_AFTER};
use ureq::unversioned::multipart::Form;
use url::Url;

use super::roster::Row;

/// A registration waits for its turn among others, and for the analysis of up to fifty photos.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// Tries of one request while the server says to come back later.
const MAX_TRIES: u32 = 10;
/// Pause when it does not say how much later.
const DEFAULT_PAUSE_S: u64 = 2;
/// Longest pause it may ask for.
const MAX_PAUSE_S: u64 = 120;
const PAGE_SIZE: usize = 500;

/// What became of one person.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Registered, with so many of the photos that were sent.
    Enrolled { accepted: usize, sent: usize },
    /// There already.
    Known,
    /// Not registered, and why.
    Refused(Vec<String>),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enrolled { accepted, sent } => write!(f, "enrolled with {accepted} of {sent} photos"),
            Self::Known => f.write_str("there already"),
            Self::Refused(reasons) => write!(f, "refused: {}", reasons.join("; ")),
        }
    }
}

/// The active people of a server: names by what tells people apart.
#[derive(Debug, Default)]
pub(super) struct People {
    by_employee_id: HashMap<String, String>,
    by_email: HashMap<String, String>,
    names: Vec<String>,
}

impl People {
    /// Whether the person of a row is there already, or somebody else has the employee id or mail address.
    pub(super) fn find(&self, row: &Row) -> Option<Outcome> {
        let employee_id = row.employee_id.as_ref();
        let email = row.email.as_ref().map(|email| email.to_lowercase());
        let holders = [
            ("employee id", employee_id.and_then(|employee_id| self.by_employee_id.get(employee_id))),
            ("e-mail address", email.as_ref().and_then(|email| self.by_email.get(email))),
        ];
        for (what, holder) in holders {
            let Some(holder) = holder else { continue };
            if *holder == row.name {
                return Some(Outcome::Known);
            }
            return Some(Outcome::Refused(vec![format!("the {what} is taken by {holder}")]));
        }
        // Nothing but the name to go by.
        let is_namesake = employee_id.is_none() && email.is_none() && self.names.contains(&row.name);
        is_namesake.then_some(Outcome::Known)
    }

    fn add(&mut self, person: &Value) {
        let text = |field: &str| person[field].as_str().map(str::to_owned);
        let Some(name) = text("name") else { return };
        self.by_employee_id.extend(text("employee_id").map(|id| (id, name.clone())));
        self.by_email.extend(text("email").map(|email| (email, name.clone())));
        self.names.push(name);
    }
}

/// A server, and what to show it.
pub(super) struct Client {
    base: String,
    agent: ureq::Agent,
    credential: (&'static str, String),
}

/// What the server answered.
struct Answer {
    status: StatusCode,
    body: Value,
}

impl Answer {
    fn message(&self) -> String {
        let told = self.body["message"].as_str().map(str::to_owned);
        told.unwrap_or_else(|| format!("the server answered {}", self.status))
    }
}

impl Client {
    /// A client of the server at `url`; `token` is an access token or an API key.
    pub(super) fn new(url: &str, token: &str) -> Result<Self> {
        let parsed = Url::parse(url).with_context(|| format!("`{url}` is no URL"))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            bail!("`{url}` must begin with http:// or https://");
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_TIMEOUT))
            .build();
        // The signature of an access token is set off by dots, of which a key has none.
        let credential = match token.contains('.') {
            true => ("Authorization", format!("Bearer {token}")),
            false => ("X-API-Key", token.to_owned()),
        };
        let base = url.trim_end_matches('/').trim_end_matches("/api").to_owned();
        Ok(Self { base, agent: config.into(), credential })
    }

    /// Everyone who is active.
    pub(super) fn people(&self) -> Result<People> {
        let mut people = People::default();
        for page in 1_usize.. {
            let path =
                format!("/api/persons?is_active=true&sort=created_at&page={page}&page_size={PAGE_SIZE}");
            let answer = self.patiently(|| {
                let request = self.agent.get(self.url(&path)).header(self.credential.0, &self.credential.1);
                Ok(request.call()?)
            })?;
            if !answer.status.is_success() {
                bail!("{}: {}", self.base, answer.message());
            }
            let items = answer.body["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().for_each(|person| people.add(person));
            if items.len() < PAGE_SIZE {
                break;
            }
        }
        Ok(people)
    }

    /// Registers one person. What is wrong with the person is an outcome; an error ends the import.
    pub(super) fn register(&self, row: &Row, photos: &[PathBuf]) -> Result<Outcome> {
        for photo in photos {
            if let Err(error) = std::fs::File::open(photo) {
                return Ok(Outcome::Refused(vec![format!("cannot read `{}`: {error}", photo.display())]));
            }
        }
        let answer = self.patiently(|| {
            let mut form = row.fields().fold(Form::new(), |form, (name, value)| form.text(name, value));
            for photo in photos {
                form = form
                    .file("images", photo)
                    .with_context(|| format!("cannot read `{}`", photo.display()))?;
            }
            // A server that refuses does not read the photos; one that is still sending would not hear why.
            let request = self.agent.post(self.url("/api/persons/register")).header(EXPECT, "100-continue");
            Ok(request.header(self.credential.0, &self.credential.1).send(form)?)
        })?;
        match answer.status {
            StatusCode::CREATED => {
                let samples = answer.body["samples"].as_array().map(Vec::as_slice).unwrap_or_default();
                let accepted = samples.iter().filter(|sample| sample["accepted"] == true).count();
                Ok(Outcome::Enrolled { accepted, sent: photos.len() })
            }
            // The face is enrolled under the same name: an earlier import got this far.
            StatusCode::CONFLICT if answer.body["details"][0]["name"] == row.name.as_str() => {
                Ok(Outcome::Known)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => bail!("{}: {}", self.base, answer.message()),
            status if status.is_client_error() => Ok(Outcome::Refused(reasons(&answer))),
            _ => bail!("{}: {}", self.base, answer.message()),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends a request, again and again while the server is too busy for it.
    fn patiently(&self, send: impl Fn() -> Result<ureq::http::Response<ureq::Body>>) -> Result<Answer> {
        let mut tries = 1;
        loop {
            let mut response = send().with_context(|| format!("no answer from {}", self.base))?;
            let status = response.status();
            let is_busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            if !is_busy || tries == MAX_TRIES {
                let body = response.body_mut().read_to_string().context("the answer broke off")?;
                // A proxy's error page is no JSON; its status says enough.
                return Ok(Answer { status, body: serde_json::from_str(&body).unwrap_or_default() });
            }
            let asked =
                response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let pause_s = asked.unwrap_or(DEFAULT_PAUSE_S).min(MAX_PAUSE_S);
            eprintln!("the server is busy; going on in {pause_s} s");
            std::thread::sleep(Duration::from_secs(pause_s));
            tries += 1;
        }
    }
}

/// Why a registration was refused, photo by photo if that is it.
fn reasons(answer: &Answer) -> Vec<String> {
    let details = answer.body["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    let about_photo =
        |detail: &Value| Some(format!("{}: {}", detail["filename"].as_str()?, detail["reason"].as_str()?));
    let mut reasons = vec![answer.message()];
    reasons.extend(details.iter().filter_map(about_photo));
    reasons
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde_json::json;

    fn row(name: &str, email: Option<&str>, employee_id: Option<&str>) -> Row {
        Row {
            line: 2,
            name: name.to_owned(),
            email: email.map(str::to_owned),
            employee_id: employee_id.map(str::to_owned),
            phone: None,
            department: None,
            designation: None,
            photos: Ok(Vec::new()),
        }
    }

    #[test]
    fn people_are_told_apart_by_what_the_table_holds() {
        let mut people = People::default();
        people.add(&json!({"name": "Ada", "email": "ada@example.org", "employee_id": "7"}));
        let known = |row: Row| matches!(people.find(&row), Some(Outcome::Known));
        assert!(known(row("Ada", None, Some("7"))) && known(row("Ada", Some("ADA@example.org"), None)));
        assert!(known(row("Ada", None, None)), "there is nothing but the name");
        assert!(people.find(&row("Ada", None, Some("8"))).is_none(), "a namesake");
        let taken = people.find(&row("Grace", None, Some("7"))).unwrap();
        assert!(taken.to_string().contains("taken by Ada"), "{taken}");
    }
}
