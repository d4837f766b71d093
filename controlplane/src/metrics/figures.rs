//! What parts of the server count themselves. Clones count into the same figures; [`super::Metrics`] shows them.

use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use vedette_events::Severity;

/// Upper ends of the classes of an analysis, in seconds: from a small picture to a large one on a slow machine.
const ANALYSIS_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Upper ends of the classes of a statement, in seconds: from a look into memory to what a statement may take.
const STATEMENT_BUCKETS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

fn analysis_histogram() -> Histogram {
    Histogram::new(ANALYSIS_BUCKETS)
}

fn statement_histogram() -> Histogram {
    Histogram::new(STATEMENT_BUCKETS)
}

/// Faces looked for in pictures that are sent, by this process.
#[derive(Clone, Debug)]
pub struct InferenceFigures {
    duration: Histogram,
    wait: Histogram,
    waiting: Gauge,
}

impl Default for InferenceFigures {
    fn default() -> Self {
        Self { duration: analysis_histogram(), wait: analysis_histogram(), waiting: Gauge::default() }
    }
}

impl InferenceFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Time the analysis of pictures that were sent takes";
        registry.register_with_unit("inference_duration", help, Unit::Seconds, self.duration.clone());
        let help = "Time such an analysis waits for others to end";
        registry.register_with_unit("inference_wait", help, Unit::Seconds, self.wait.clone());
        registry.register("inference_waiting", "Analyses that wait for others to end", self.waiting.clone());
    }

    /// Counts whoever waits for others until what it answers is dropped.
    pub fn wait(&self) -> Waiting<'_> {
        self.waiting.inc();
        Waiting { figures: self, since: Instant::now() }
    }

    /// Counts an analysis that was begun at `begun` and ends now.
    pub fn ended(&self, begun: Instant) {
        self.duration.observe(begun.elapsed().as_secs_f64());
    }
}

/// Somebody waits for others.
#[derive(Debug)]
pub struct Waiting<'a> {
    figures: &'a InferenceFigures,
    since: Instant,
}

impl Drop for Waiting<'_> {
    /// Also when the request is given up.
    fn drop(&mut self) {
        self.figures.waiting.dec();
        self.figures.wait.observe(self.since.elapsed().as_secs_f64());
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatementLabels {
    kind: &'static str,
}

/// Statements this process has the database work on.
#[derive(Clone, Debug)]
pub struct StatementFigures {
    durations: Family<StatementLabels, Histogram, fn() -> Histogram>,
    failures: Counter,
}

impl Default for StatementFigures {
    fn default() -> Self {
        let durations: fn() -> Histogram = statement_histogram;
        Self { durations: Family::new_with_constructor(durations), failures: Counter::default() }
    }
}

impl StatementFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Time statements take, without the wait for a connection";
        registry.register_with_unit("database_query_duration", help, Unit::Seconds, self.durations.clone());
        registry.register("database_query_failures", "Statements that failed", self.failures.clone());
    }

    /// Counts a statement.
    pub fn count(&self, sql: &str, took: Duration, has_failed: bool) {
        let verb = sql.trim_start().split_ascii_whitespace().next().unwrap_or_default();
        let known = [("SELECT", "select"), ("INSERT", "insert"), ("UPDATE", "update"), ("DELETE", "delete")];
        let known = known.into_iter().find(|(keyword, _)| verb.eq_ignore_ascii_case(keyword));
        let kind = known.map_or("other", |(_, kind)| kind);
        self.durations.get_or_create(&StatementLabels { kind }).observe(took.as_secs_f64());
        if has_failed {
            self.failures.inc();
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LevelLabels {
    level: &'static str,
}

/// Warnings and errors of this process.
#[derive(Clone, Debug, Default)]
pub struct LogFigures {
    recorded: Family<LevelLabels, Counter>,
    dropped: Counter,
}

impl LogFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        // There from the beginning, so that the first one is seen to be one more.
        for level in [Severity::Warning, Severity::Error] {
            drop(self.recorded.get_or_create(&LevelLabels { level: level.as_str() }));
        }
        let help = "Warnings and errors of this instance that were written into the database";
        registry.register("log_lines_recorded", help, self.recorded.clone());
        let help = "Warnings and errors of this instance that found no room on their way to the database";
        registry.register("log_lines_dropped", help, self.dropped.clone());
    }

    /// Counts a line that was written.
    pub fn count_recorded(&self, level: Severity) {
        self.recorded.get_or_create(&LevelLabels { level: level.as_str() }).inc();
    }

    /// Counts lines that found no room.
    pub fn count_dropped(&self, lines: u64) {
        self.dropped.inc_by(lines);
    }
}

/// A histogram of waits for the database's writer, which is asked for by every change.
pub fn write_wait_histogram() -> Histogram {
    statement_histogram()
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::prometheus_text;

    use super::*;

    #[test]
    fn statements_count_by_what_they_do_and_nothing_they_say() {
        let (figures, mut registry) = (StatementFigures::default(), Registry::default());
        figures.register(&mut registry);
        for sql in ["SELECT 1", " insert INTO t VALUES ('x')", "WITH a AS (SELECT 1) SELECT * FROM a", ""] {
            figures.count(sql, Duration::from_millis(1), sql.is_empty());
        }
        let mut text = String::new();
        assert!(prometheus_text::encode(&mut text, &registry).is_ok());
        for line in [
            "database_query_duration_seconds_count{kind=\"select\"} 1",
            "database_query_duration_seconds_count{kind=\"insert\"} 1",
            "database_query_duration_seconds_count{kind=\"other\"} 2",
            "database_query_failures_total 1",
        ] {
            assert!(text.lines().any(|present| present == line), "no `{line}` in\n{text}");
        }
    }

    #[test]
    fn whoever_gives_up_waiting_is_not_counted_for_ever() {
        let figures = InferenceFigures::default();
        let waiting = figures.wait();
        assert_eq!(figures.waiting.get(), 1);
        drop(waiting);
        assert_eq!(figures.waiting.get(), 0);
    }
}
