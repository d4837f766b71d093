//! Catches the warnings and errors a program logs, for whoever keeps or sends them.
//!
//! Whoever logs never waits: lines go into a queue of fixed length, and what finds it full is counted and dropped.
//! What is logged inside a span named [`UNRECORDED`] is left out, so that those who keep lines can tell of their own
//! failures without making further lines of it.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::{LogLine, Severity};

/// Name of spans whose lines are not caught.
pub const UNRECORDED: &str = "unrecorded";

/// The layer that catches lines.
#[derive(Debug)]
pub struct Capture {
    lines: SyncSender<LogLine>,
    dropped: Arc<AtomicU64>,
}

/// The other end, where lines come out.
#[derive(Debug)]
pub struct Captured {
    lines: Receiver<LogLine>,
    dropped: Arc<AtomicU64>,
}

/// A layer, and where its lines come out; at most `capacity` of them wait.
pub fn capture(capacity: usize) -> (Capture, Captured) {
    let (sender, receiver) = sync_channel(capacity);
    let dropped = Arc::new(AtomicU64::new(0));
    (Capture { lines: sender, dropped: Arc::clone(&dropped) }, Captured { lines: receiver, dropped })
}

impl Captured {
    /// At most `limit` of the lines that wait, oldest first.
    pub fn take(&self, limit: usize) -> Vec<LogLine> {
        self.lines.try_iter().take(limit).collect()
    }

    /// How many lines found the queue full since the last time this was asked.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Relaxed)
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => Severity::Error,
            Level::WARN => Severity::Warning,
            _ => return,
        };
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flatten() {
            if span.name() == UNRECORDED {
                return;
            }
            if let Some(of_span) = span.extensions().get::<Fields>() {
                let of_span = of_span.0.iter();
                fields
                    .0
                    .extend(of_span.map(|(name, value)| (format!("{}.{name}", span.name()), value.clone())));
            }
        }
        event.record(&mut fields);
        let Fields(mut fields) = fields;
        // What comes by way of the `log` crate says in fields where it comes from.
        let origin = fields.remove("log.target");
        fields.retain(|name, _| !name.starts_with("log."));
        let target = origin.as_ref().and_then(Value::as_str).unwrap_or(event.metadata().target());
        let message = match fields.remove("message") {
            Some(Value::String(message)) => message,
            _ => String::new(),
        };
        let mut line = LogLine { fields, ..LogLine::new(level, target, message) };
        line.shorten();
        if self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// Fields of an event or a span, by name.
#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What is caught of what `log` logs.
    fn caught(capacity: usize, log: impl FnOnce()) -> (Vec<LogLine>, u64) {
        let (capture, captured) = capture(capacity);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), log);
        (captured.take(usize::MAX), captured.take_dropped())
    }

    #[test]
    fn a_line_says_what_was_logged_and_within_what() {
        let (lines, dropped) = caught(8, || {
            let span = tracing::info_span!("request", id = "r1", late = tracing::field::Empty);
            let _entered = span.enter();
            span.record("late", true);
            tracing::info!("not worth keeping");
            tracing::warn!(error = %"no route", tries = 3, "the camera is {}", "gone");
            tracing::error!(target: "elsewhere", fault = 0.5);
        });
        assert_eq!((lines.len(), dropped), (2, 0));
        assert_eq!((lines[0].level, lines[0].message.as_str()), (Severity::Warning, "the camera is gone"));
        assert!(lines[0].target.ends_with("capture::tests"), "{}", lines[0].target);
        let fields = serde_json::json!({
            "error": "no route", "tries": 3, "request.id": "r1", "request.late": true
        });
        assert_eq!(Value::Object(lines[0].fields.clone()), fields);
        assert_eq!((lines[1].level, lines[1].target.as_str()), (Severity::Error, "elsewhere"));
    }

    #[test]
    fn what_finds_no_room_is_counted_and_nobody_waits() {
        let (lines, dropped) = caught(2, || (0..5).for_each(|number| tracing::warn!("{number}")));
        let messages: Vec<&str> = lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!((messages.as_slice(), dropped), (["0", "1"].as_slice(), 3));
    }

    #[test]
    fn those_who_keep_lines_are_not_kept_busy_by_themselves() {
        let (lines, _) = caught(8, || {
            let _keeper = tracing::error_span!(UNRECORDED).entered();
            let _within = tracing::info_span!("query").entered();
            tracing::error!("the table is gone");
        });
        assert_eq!(lines, []);
    }
}
