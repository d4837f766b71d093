//! Events from a Redis stream, for workers that write there instead of sending requests.
//!
//! All instances read as one consumer group, so that each entry goes to one of them. An entry is acknowledged, and
//! removed, only after the database has its event; one that an instance took and died over is claimed by another.
//! Both may deliver an event twice, which ingest does not mind. An entry that holds no event we understand would
//! come back for ever: it is put aside in `STREAM:rejected`, with the reason.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamInfoConsumersReply, StreamReadReply};
use redis::{AsyncCommands as _, RedisError};

use super::batch::{self, CheckedEvent};
use crate::config::StreamName;
use crate::redis_link::RedisLink;
use crate::state::{AppState, State};

/// The consumer group of all instances.
const GROUP: &str = "vedette";
/// Field of an entry that holds the event as JSON.
const FIELD: &str = "event";
/// Entries taken at once; each may hold a picture.
const PORTION: usize = 32;
/// How long the server holds a question for new entries.
const WAIT: Duration = Duration::from_secs(2);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// An entry that was taken but not acknowledged for so long is claimed.
const ABANDONED_AFTER: Duration = Duration::from_secs(30);
/// How often abandoned entries are looked for.
const CLAIM_INTERVAL: Duration = Duration::from_secs(10);
/// A consumer without entries that said nothing for so long is no instance any more.
const DEAD_AFTER: Duration = Duration::from_secs(3600);
/// Entries put aside that are kept.
const REJECTED_KEPT: usize = 1000;

/// Takes events from `stream`, for ever.
pub async fn consume(state: State, redis: Arc<RedisLink>, stream: StreamName) {
    let consumer = Consumer { state, redis, stream: stream.as_str().to_owned() };
    tracing::info!(stream = consumer.stream, "events are taken from a Redis stream");
    loop {
        if let Err(error) = consumer.run().await {
            tracing::debug!(stream = consumer.stream, "events cannot be taken at the moment: {error:#}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Entries of the stream the settings name, which are not stored yet; `None` without one, or without an answer.
pub async fn entries(state: &AppState) -> Option<u64> {
    let stream = state.config.file.events.redis_stream.as_ref()?;
    let mut command = redis::cmd("XLEN");
    state.redis.as_ref()?.query(command.arg(stream.as_str())).await
}

struct Consumer {
    state: State,
    redis: Arc<RedisLink>,
    stream: String,
}

impl Consumer {
    /// Works until something fails. What was taken by then and not stored is taken up first the next time.
    async fn run(&self) -> Result<()> {
        let mut connection = self.redis.own_connection(WAIT).await?;
        self.make_group(&mut connection).await?;
        while self.take_portion(&mut connection, "0").await? > 0 {}
        let mut claimed_at: Option<Instant> = None;
        loop {
            if claimed_at.is_none_or(|at| at.elapsed() > CLAIM_INTERVAL) {
                self.claim_abandoned(&mut connection).await?;
                self.remove_dead_consumers(&mut connection).await?;
                claimed_at = Some(Instant::now());
            }
            self.take_portion(&mut connection, ">").await?;
        }
    }

    async fn make_group(&self, connection: &mut MultiplexedConnection) -> Result<()> {
        // From the stream's beginning: what was written before we started is news all the same.
        let made: Result<(), RedisError> = connection.xgroup_create_mkstream(&self.stream, GROUP, "0").await;
        match made {
            Err(error) if error.code() != Some("BUSYGROUP") => {
                Err(error).context("the consumer group cannot be made")
            }
            _ => Ok(()),
        }
    }

    /// Takes new entries (`>`), or those we took before and did not acknowledge (`0`); answers how many.
    async fn take_portion(&self, connection: &mut MultiplexedConnection, from: &str) -> Result<usize> {
        let reply: Option<StreamReadReply> = redis::cmd("XREADGROUP")
            .arg("GROUP")
            .arg(GROUP)
            .arg(self.redis.instance())
            .arg("COUNT")
            .arg(PORTION)
            .arg("BLOCK")
            .arg(u64::try_from(WAIT.as_millis())?)
            .arg("STREAMS")
            .arg(&self.stream)
            .arg(from)
            .query_async(connection)
            .await?;
        let entries: Vec<StreamId> =
            reply.unwrap_or_default().keys.into_iter().flat_map(|stream| stream.ids).collect();
        let count = entries.len();
        self.store(connection, entries).await?;
        Ok(count)
    }

    async fn claim_abandoned(&self, connection: &mut MultiplexedConnection) -> Result<()> {
        let mut cursor = "0-0".to_owned();
        loop {
            let reply: StreamAutoClaimReply = redis::cmd("XAUTOCLAIM")
                .arg(&self.stream)
                .arg(GROUP)
                .arg(self.redis.instance())
                .arg(u64::try_from(ABANDONED_AFTER.as_millis())?)
                .arg(&cursor)
                .arg("COUNT")
                .arg(PORTION)
                .query_async(connection)
                .await?;
            if !reply.claimed.is_empty() {
                tracing::info!(
                    count = reply.claimed.len(),
                    "events another instance left behind are taken over"
                );
            }
            self.store(connection, reply.claimed).await?;
            cursor = reply.next_stream_id;
            if cursor == "0-0" {
                return Ok(());
            }
        }
    }

    async fn remove_dead_consumers(&self, connection: &mut MultiplexedConnection) -> Result<()> {
        let reply: StreamInfoConsumersReply = connection.xinfo_consumers(&self.stream, GROUP).await?;
        let is_dead =
            |pending: usize, idle_ms: usize| pending == 0 && idle_ms as u128 > DEAD_AFTER.as_millis();
        for consumer in reply.consumers.iter().filter(|consumer| is_dead(consumer.pending, consumer.idle)) {
            let _: usize = connection.xgroup_delconsumer(&self.stream, GROUP, &consumer.name).await?;
        }
        Ok(())
    }

    /// Stores the events of `entries` and only then lets go of them.
    async fn store(&self, connection: &mut MultiplexedConnection, entries: Vec<StreamId>) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = entries.iter().map(|entry| entry.id.clone()).collect();
        let (events, rejected) = tokio::task::spawn_blocking(move || read(&entries)).await?;
        super::take(&self.state, events).await.inspect_err(|error| {
            tracing::warn!(%error, "events of the stream cannot be stored; they are tried again");
        })?;

        let mut done = redis::pipe();
        done.atomic();
        for rejected in &rejected {
            tracing::warn!(
                entry = rejected.id,
                reason = rejected.reason,
                "an entry of the stream holds no event"
            );
            done.cmd("XADD")
                .arg(format!("{}:rejected", self.stream))
                .arg("MAXLEN")
                .arg("~")
                .arg(REJECTED_KEPT)
                .arg("*")
                .arg("reason")
                .arg(&rejected.reason)
                .arg(FIELD)
                .arg(&rejected.text)
                .ignore();
        }
        done.cmd("XACK").arg(&self.stream).arg(GROUP).arg(&ids).ignore();
        done.cmd("XDEL").arg(&self.stream).arg(&ids).ignore();
        done.query_async::<()>(connection).await.context("stored events cannot be acknowledged")
    }
}

struct Rejected {
    id: String,
    text: Vec<u8>,
    reason: String,
}

/// The events of `entries`, and the entries that hold none.
fn read(entries: &[StreamId]) -> (Vec<CheckedEvent>, Vec<Rejected>) {
    let (mut events, mut rejected) = (Vec::new(), Vec::new());
    for entry in entries {
        let text: Vec<u8> = entry.get(FIELD).unwrap_or_default();
        match batch::parse(&text) {
            Ok(parsed) if !parsed.is_empty() => events.extend(parsed),
            Ok(_) => rejected.push(Rejected {
                id: entry.id.clone(),
                text,
                reason: format!("there is no field `{FIELD}`, or it is empty"),
            }),
            Err(error) => rejected.push(Rejected { id: entry.id.clone(), text, reason: error.to_string() }),
        }
    }
    (events, rejected)
}
