//! What the `uri` property may say.

use std::path::PathBuf;

use thiserror::Error;
use url::Url;

/// Where events go.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// One line each on standard output.
    Stdout,
    /// One line each at the end of a file.
    File(PathBuf),
    /// Over a network.
    Remote(Remote),
}

/// A receiver that may be away for a while.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Remote {
    /// Posted as lines of JSON.
    Http(Url),
    /// Added to a Redis stream.
    Redis {
        /// The server, with the number of the database.
        server: Url,
        /// The stream's key.
        stream: String,
    },
}

/// A `uri` nothing can be sent to.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum TargetError {
    #[error("`{0}` is no URI: use stdout:, file:///path, http(s)://host/path or redis://host/0?stream=name")]
    NoUri(String),
    #[error(
        "events cannot be sent to `{0}:`: use stdout:, file:///path, http(s)://host/path or \
         redis://host/0?stream=name"
    )]
    Scheme(String),
    #[error("`{0}` names no file on this machine: use file:///path with three slashes")]
    File(String),
    #[error("a redis URI needs the stream's name: redis://host/0?stream=name")]
    NoStream,
}

impl Target {
    /// Reads the property.
    pub(super) fn parse(uri: &str) -> Result<Self, TargetError> {
        let url = Url::parse(uri).map_err(|_| TargetError::NoUri(without_secrets(uri)))?;
        match url.scheme() {
            "stdout" => Ok(Self::Stdout),
            "file" => url
                .to_file_path()
                .ok()
                .filter(|path| path.file_name().is_some())
                .map(Self::File)
                .ok_or_else(|| TargetError::File(uri.into())),
            "http" | "https" => Ok(Self::Remote(Remote::Http(url))),
            "redis" | "rediss" => {
                let stream = url.query_pairs().find(|(key, _)| key == "stream");
                let stream = stream.map(|(_, name)| name.into_owned()).filter(|name| !name.is_empty());
                let mut server = url.clone();
                server.set_query(None);
                Ok(Self::Remote(Remote::Redis { server, stream: stream.ok_or(TargetError::NoStream)? }))
            }
            other => Err(TargetError::Scheme(other.into())),
        }
    }
}

impl std::fmt::Display for Target {
    /// Names the target without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdout => f.write_str("standard output"),
            Self::File(path) => path.display().fmt(f),
            Self::Remote(remote) => remote.fmt(f),
        }
    }
}

impl std::fmt::Display for Remote {
    /// Names the receiver without user, password and query, which may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Http(url) | Self::Redis { server: url, .. }) = self;
        f.write_str(&without_secrets(url.as_str()))
    }
}

/// A URI as far as it may be shown: user, password, query and fragment are cut out.
pub(crate) fn without_secrets(uri: &str) -> String {
    let shown = uri.split(['?', '#']).next().unwrap_or_default();
    match shown.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(p)));
            let host = authority.rsplit('@').next().unwrap_or_default();
            path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
        }
        None => shown.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_kind_of_target_is_understood() {
        assert!(Target::parse("stdout:").unwrap() == Target::Stdout);
        let file = Target::parse("file:///tmp/a%20b.jsonl").unwrap();
        assert!(file == Target::File("/tmp/a b.jsonl".into()));
        let https = Target::parse("https://example.test/api/ingest").unwrap();
        assert!(matches!(https, Target::Remote(Remote::Http(_))));
        match Target::parse("redis://:secret@host:6380/2?stream=faces").unwrap() {
            Target::Remote(Remote::Redis { server, stream }) => {
                assert_eq!(stream, "faces");
                assert_eq!(server.as_str(), "redis://:secret@host:6380/2");
            }
            _ => panic!("not redis"),
        }
    }

    #[test]
    fn what_cannot_be_sent_to_is_refused_with_advice() {
        for (uri, says) in [
            ("", "stdout:"),
            ("events.jsonl", "file:///path"),
            ("ftp://host/x", "ftp:"),
            ("file://host/x", "three slashes"),
            ("redis://host/0", "stream=name"),
        ] {
            let error = Target::parse(uri).err().unwrap().to_string();
            assert!(error.contains(says), "{uri}: {error}");
        }
    }

    #[test]
    fn targets_are_shown_without_secrets() {
        let target = Target::parse("http://me:secret@host:8000/api/ingest?key=secret").unwrap();
        assert_eq!(target.to_string(), "http://host:8000/api/ingest");
        let target = Target::parse("rediss://:secret@host/1?stream=faces").unwrap();
        assert_eq!(target.to_string(), "rediss://host/1");
        assert!(!TargetError::NoUri(without_secrets("http://a:secret@[x")).to_string().contains("secret"));
    }
}
