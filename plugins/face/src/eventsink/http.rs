//! Posts events as lines of JSON.

use std::time::Duration;

use ureq::Agent;
use url::Url;

use super::handover::{Outcome, Transport};
use super::target::without_secrets;

/// A receiver that does not answer the connection within this time is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A receiver that has not taken a batch within this time is away.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// `POST` of newline-delimited JSON with a bearer token.
pub(super) struct HttpTransport {
    agent: Agent,
    url: Url,
    authorization: Option<String>,
}

impl HttpTransport {
    /// Nothing is sent yet.
    pub(super) fn new(url: &Url, token: Option<&str>) -> Self {
        Self {
            agent: agent(CONNECT_TIMEOUT, REQUEST_TIMEOUT),
            url: url.clone(),
            authorization: token.map(|token| format!("Bearer {token}")),
        }
    }
}

/// An HTTP client whose answers of any status are answers, not errors.
pub(crate) fn agent(connect_timeout: Duration, request_timeout: Duration) -> Agent {
    let config = Agent::config_builder()
        .timeout_connect(Some(connect_timeout))
        .timeout_global(Some(request_timeout))
        .http_status_as_error(false)
        .user_agent(concat!("vedette/", env!("CARGO_PKG_VERSION")))
        .build();
    config.into()
}

impl Transport for HttpTransport {
    fn send(&mut self, lines: &[&str]) -> Outcome {
        let mut body = lines.join("\n");
        body.push('\n');
        let mut request = self.agent.post(self.url.as_str()).header("Content-Type", "application/x-ndjson");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        match request.send(body) {
            Ok(mut response) => {
                let status = response.status().as_u16();
                // Reading the answer lets the connection be used again; what it says does not matter.
                let _ = response.body_mut().read_to_vec();
                by_status(status)
            }
            Err(error) => Outcome::Unavailable(without_url(&error.to_string(), &self.url)),
        }
    }
}

/// Final is only what an ingest route says of an event. Everything else may come from a proxy in front of one that is
/// being replaced just now, or set wrongly, and passes.
fn by_status(status: u16) -> Outcome {
    match status {
        200..=299 => Outcome::Accepted,
        400 | 422 => Outcome::Refused(format!("it answers {status}")),
        413 => Outcome::TooLarge("it answers 413, and cannot be sent in smaller parts".into()),
        401 | 403 => {
            Outcome::Unavailable(format!("it answers {status}, set the token property to a valid token"))
        }
        408 | 429 | 500..=599 => Outcome::Unavailable(format!("it answers {status}")),
        _ => Outcome::Unavailable(format!(
            "it answers {status}, which is not the answer of an ingest route: see the uri property, and proxies between"
        )),
    }
}

/// The client's message with the address as far as it may be shown.
fn without_url(message: &str, url: &Url) -> String {
    message.replace(url.as_str(), &without_secrets(url.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_of_the_content_are_final() {
        for status in [200, 201, 204] {
            assert_eq!(by_status(status), Outcome::Accepted);
        }
        for status in [302, 401, 403, 404, 405, 408, 410, 411, 421, 429, 500, 502, 503] {
            assert!(matches!(by_status(status), Outcome::Unavailable(_)), "{status}");
        }
        for status in [400, 422] {
            assert!(matches!(by_status(status), Outcome::Refused(_)), "{status}");
        }
        assert!(matches!(by_status(413), Outcome::TooLarge(_)));
    }
}
