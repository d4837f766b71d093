//! Gets events to where they go. Local targets are written to at once, so that the end of the stream finds
//! every line in place; a receiver that may be away gets a thread and a queue of its own ([`Courier`]).

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use uuid::Uuid;

use super::courier::{Courier, Figures, Trouble};
use super::handover::Transport;
use super::http::HttpTransport;
use super::redis::RedisTransport;
use super::spool::Spool;
use super::target::{Remote, Target, TargetError};

/// One line to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The event's id.
    pub(super) id: Uuid,
    /// Its JSON without a line break.
    pub(super) line: String,
    /// Whether it must survive the process, where there is a spool.
    pub(super) lasting: bool,
}

/// Where to and how.
#[derive(Clone)]
pub(super) struct DeliverySettings {
    pub(super) uri: String,
    pub(super) token: Option<String>,
    pub(super) spool_dir: Option<PathBuf>,
    /// 0 = no limit.
    pub(super) spool_max_bytes: u64,
}

/// Delivery that cannot begin or go on.
#[derive(Debug, Error)]
pub(super) enum DeliveryError {
    #[error("{0}")]
    Target(#[from] TargetError),
    #[error("cannot write events to {target}: {source}")]
    Write {
        target: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "cannot keep events in the spool folder {dir}: {source}; make it writable or set another spool-dir"
    )]
    Spool {
        dir: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot start the delivery thread: {0}")]
    Thread(io::Error),
    #[error("cannot send events to {target}: {reason}")]
    Transport { target: String, reason: String },
}

/// An open way to the target.
pub(super) enum Delivery {
    Stdout,
    File { path: PathBuf, file: File },
    Courier(Arc<Courier>),
}

impl Delivery {
    /// Opens the way; `trouble` is told whenever a distant receiver fails or is back.
    pub(super) fn open(
        settings: &DeliverySettings,
        trouble: impl Fn(Trouble) + Send + 'static,
    ) -> Result<Self, DeliveryError> {
        let target = Target::parse(&settings.uri)?;
        let shown = target.to_string();
        let spool = match &settings.spool_dir {
            Some(dir) if matches!(target, Target::Remote(_)) => {
                let failed = |source| DeliveryError::Spool { dir: dir.display().to_string(), source };
                Some(Spool::open(dir, settings.spool_max_bytes).map_err(failed)?)
            }
            _ => None,
        };
        let transport = match target {
            Target::Stdout => return Ok(Self::Stdout),
            Target::File(path) => {
                let opened = File::options().append(true).create(true).open(&path);
                let file = opened.map_err(|source| DeliveryError::Write { target: shown, source })?;
                return Ok(Self::File { path, file });
            }
            Target::Remote(remote) => way_to(&remote, settings.token.as_deref())?,
        };
        let courier = Courier::start(transport, spool, shown, trouble).map_err(DeliveryError::Thread)?;
        Ok(Self::Courier(Arc::new(courier)))
    }

    /// Writes a record, or takes charge of it.
    pub(super) fn send(&mut self, record: Record) -> Result<(), DeliveryError> {
        match self {
            Self::Stdout => write_line(&mut io::stdout().lock(), &record.line)
                .map_err(|source| DeliveryError::Write { target: Target::Stdout.to_string(), source }),
            Self::File { path, file } => write_line(file, &record.line)
                .map_err(|source| DeliveryError::Write { target: path.display().to_string(), source }),
            Self::Courier(courier) => {
                courier.take(record);
                Ok(())
            }
        }
    }

    /// What to wait for when everything is sent; nothing where all is written at once.
    pub(super) fn courier(&self) -> Option<Arc<Courier>> {
        match self {
            Self::Courier(courier) => Some(courier.clone()),
            Self::Stdout | Self::File { .. } => None,
        }
    }

    /// How a distant delivery is doing.
    pub(super) fn figures(&self) -> Figures {
        match self {
            Self::Courier(courier) => courier.figures(),
            Self::Stdout | Self::File { .. } => Figures::default(),
        }
    }
}

/// The way to a receiver on a network; nothing is sent yet.
pub(super) fn way_to(remote: &Remote, token: Option<&str>) -> Result<Box<dyn Transport>, DeliveryError> {
    Ok(match remote {
        Remote::Http(url) => Box::new(HttpTransport::new(url, token)),
        Remote::Redis { server, stream } => {
            let made = RedisTransport::new(server.as_str(), stream.clone(), token);
            Box::new(made.map_err(|reason| DeliveryError::Transport { target: remote.to_string(), reason })?)
        }
    })
}

/// One write for the whole line: lines of several sinks on one pipe do not mix.
fn write_line(writer: &mut impl io::Write, line: &str) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(line.len() + 1);
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    writer.write_all(&bytes)?;
    writer.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn settings(uri: String) -> DeliverySettings {
        DeliverySettings { uri, token: None, spool_dir: None, spool_max_bytes: 0 }
    }

    #[test]
    fn files_are_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let uri = format!("file://{}", path.display());
        for line in ["{\"a\":1}", "{\"a\":2}"] {
            let mut delivery = Delivery::open(&settings(uri.clone()), |_| ()).unwrap();
            delivery.send(Record { id: Uuid::now_v7(), line: line.into(), lasting: true }).unwrap();
            assert!(delivery.courier().is_none());
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"a\":1}\n{\"a\":2}\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let Err(error) = Delivery::open(&settings("file:///no/such/folder/x".into()), |_| ()) else {
            panic!("opened");
        };
        assert!(error.to_string().contains("/no/such/folder/x"), "{error}");
    }
}
