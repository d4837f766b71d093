//! The period a summary is asked for, cut into what is counted beforehand and what is not.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use utoipa::IntoParams;

use super::buckets::{self, Width};
use crate::detections::rollup::{day_of, day_start, hour_of, hour_start};
use crate::detections::totals::first_whole_hour;
use crate::error::ApiError;

/// What is summed up if nothing else is asked for.
const DEFAULT_DAYS: u32 = 7;
/// What calendars and both databases agree on, and all that ingest takes.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9990;
/// Ten years.
const MAX_DAYS: u32 = 3660;

/// What `GET /api/analytics/summary` can be asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SummaryQuery {
    /// So many times 24 hours until now, begun where their first bar does.
    #[param(minimum = 1, maximum = 3660)]
    days: Option<u32>,
    /// Not before.
    from: Option<DateTime<Utc>>,
    /// Before.
    to: Option<DateTime<Utc>>,
    pub(super) camera_id: Option<String>,
    /// IANA name of the time zone whose days and hours are meant; UTC if not given.
    #[param(example = "Europe/Berlin")]
    timezone: Option<String>,
}

/// A period of time and its bars.
#[derive(Clone, Debug)]
pub(super) struct Period {
    pub(super) from: DateTime<Utc>,
    /// Not part of it.
    pub(super) to: DateTime<Utc>,
    pub(super) zone: Tz,
    pub(super) width: Width,
    /// When each bar begins; the first may begin before the period.
    pub(super) starts: Vec<DateTime<Utc>>,
}

/// A stretch of time that has to be counted row by row.
pub(super) type Part = (DateTime<Utc>, DateTime<Utc>);

/// Whole days, as numbers since 1970 from the first to before the second, and what is left of a period at its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WholeDays {
    pub(super) days: (i64, i64),
    pub(super) parts: Vec<Part>,
}

impl Period {
    /// The period that is asked for.
    pub(super) fn of(query: &SummaryQuery, now: DateTime<Utc>) -> Result<Self, ApiError> {
        let zone: Tz = match query.timezone.as_deref() {
            None => Tz::UTC,
            Some(name) => name.parse().map_err(|_| {
                ApiError::validation(
                    "timezone",
                    "must be the IANA name of a time zone, such as Europe/Berlin",
                )
            })?,
        };
        let (from, to) = match (query.days, query.from, query.to) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                return Err(ApiError::validation("days", "must not be given together with `from` or `to`"));
            }
            (None, Some(from), to) => (from, to.unwrap_or(now)),
            (None, None, Some(to)) => (before(to, DEFAULT_DAYS, zone), to),
            (days, None, None) => {
                let days = days.unwrap_or(DEFAULT_DAYS);
                if !(1..=MAX_DAYS).contains(&days) {
                    return Err(ApiError::validation("days", format!("must be from 1 to {MAX_DAYS}")));
                }
                (before(now, days, zone), now)
            }
        };
        for (name, time) in [("from", from), ("to", to)] {
            if !YEARS.contains(&time.year()) {
                return Err(ApiError::validation(name, "must lie between the years 1970 and 9990"));
            }
        }
        if from >= to {
            return Err(ApiError::validation("from", "must be before `to`"));
        }
        let longest = TimeDelta::days(i64::from(MAX_DAYS) + 31);
        if to - from > longest {
            return Err(ApiError::validation(
                "from",
                format!("must not be more than {MAX_DAYS} days before `to`"),
            ));
        }
        let width = Width::fitting(to - from);
        let starts = buckets::starts(from, to, width, zone);
        Ok(Self { from, to, zone, width, starts })
    }

    /// The bar a moment of the period belongs to.
    pub(super) fn bar_of(&self, time: DateTime<Utc>) -> usize {
        self.starts.partition_point(|start| *start <= time).saturating_sub(1)
    }

    /// Hours that lie in the period, from the first to before the second, without those in `split`, which are cut by
    /// the beginning of a bar; and the parts of hours that make up the rest.
    pub(super) fn whole_hours(&self) -> WholeHours {
        let (mut split, mut parts) = (Vec::new(), Vec::new());
        let cuts = std::iter::once(self.from).chain(self.starts.iter().skip(1).copied());
        let ends = self.starts.iter().skip(1).copied().chain(std::iter::once(self.to));
        for (start, end) in cuts.zip(ends) {
            let (first, last) = (first_whole_hour(start), hour_of(end));
            let pieces = if first > last {
                vec![(start, end)]
            } else {
                vec![(start, hour_start(first)), (hour_start(last), end)]
            };
            for piece in pieces.into_iter().filter(|(start, end)| start < end) {
                split.push(hour_of(piece.0));
                parts.push(piece);
            }
        }
        split.dedup();
        WholeHours { hours: (hour_of(self.from), first_whole_hour(self.to)), split, parts }
    }

    /// Whole days of UTC. A day whose end is cut off counts as whole if nothing was seen in what is cut off, which
    /// is so for the present one; `seen` are the first and the last moment anything was seen.
    pub(super) fn whole_days(&self, seen: Option<(DateTime<Utc>, DateTime<Utc>)>) -> WholeDays {
        let Some((earliest, latest)) = seen else {
            return WholeDays { days: (0, 0), parts: Vec::new() };
        };
        let is_start = day_start(day_of(self.from)) == self.from || earliest >= self.from;
        let first = if is_start { day_of(self.from) } else { day_of(self.from).saturating_add(1) };
        let end = if latest < self.to { day_of(self.to).saturating_add(1) } else { day_of(self.to) };
        if first > end {
            return WholeDays { days: (0, 0), parts: vec![(self.from, self.to)] };
        }
        let mut parts = Vec::new();
        if !is_start {
            parts.push((self.from, day_start(first)));
        }
        if latest >= self.to {
            parts.push((day_start(end), self.to));
        }
        parts.retain(|(start, end)| start < end);
        WholeDays { days: (first, end), parts }
    }
}

/// See [`Period::whole_hours`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WholeHours {
    pub(super) hours: (i64, i64),
    pub(super) split: Vec<i64>,
    pub(super) parts: Vec<Part>,
}

/// So many days before, at the start of a bar.
fn before(to: DateTime<Utc>, days: u32, zone: Tz) -> DateTime<Utc> {
    let length = TimeDelta::days(i64::from(days));
    let from = to.checked_sub_signed(length).unwrap_or(to);
    Width::fitting(length).start_of(from, zone)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: &str = "2026-05-20T10:20:30Z";

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn period(query: SummaryQuery) -> Period {
        Period::of(&query, utc(NOW)).unwrap()
    }

    fn between(from: &str, to: &str, timezone: &str) -> Period {
        let (from, to) = (Some(utc(from)), Some(utc(to)));
        period(SummaryQuery { from, to, timezone: Some(timezone.to_owned()), ..SummaryQuery::default() })
    }

    #[test]
    fn days_end_now_and_begin_with_a_bar() {
        let week = period(SummaryQuery::default());
        assert_eq!((week.from, week.to), (utc("2026-05-13T00:00:00Z"), utc(NOW)));
        assert_eq!((week.starts.len(), week.width), (8, Width::Day));
        let day = period(SummaryQuery { days: Some(1), ..SummaryQuery::default() });
        assert_eq!((day.from, day.starts.len()), (utc("2026-05-19T10:00:00Z"), 25));
        let month = period(SummaryQuery {
            days: Some(30),
            timezone: Some("Europe/Berlin".to_owned()),
            ..SummaryQuery::default()
        });
        assert_eq!(month.from, utc("2026-04-19T22:00:00Z"));
    }

    #[test]
    fn periods_that_cannot_be_are_refused() {
        let wrong = |query: SummaryQuery| Period::of(&query, utc(NOW)).is_err();
        let (early, late) = (Some(utc("2000-01-01T00:00:00Z")), Some(utc("2026-01-01T00:00:00Z")));
        assert!(wrong(SummaryQuery { days: Some(0), ..SummaryQuery::default() }));
        assert!(wrong(SummaryQuery { days: Some(1), from: late, ..SummaryQuery::default() }));
        assert!(wrong(SummaryQuery { from: late, to: early, ..SummaryQuery::default() }));
        assert!(wrong(SummaryQuery { from: early, to: late, ..SummaryQuery::default() }));
        assert!(wrong(SummaryQuery { timezone: Some("Mars/Base".to_owned()), ..SummaryQuery::default() }));
    }

    #[test]
    fn hours_are_whole_but_for_the_ends() {
        let aligned = between("2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z", "UTC").whole_hours();
        assert_eq!((aligned.split.len(), aligned.parts.len(), aligned.hours.1 - aligned.hours.0), (0, 0, 24));
        let ends = between("2026-05-01T00:30:00Z", "2026-05-05T00:10:00Z", "UTC").whole_hours();
        assert_eq!(ends.split, [ends.hours.0, ends.hours.1 - 1]);
        assert_eq!(ends.parts[1], (utc("2026-05-05T00:00:00Z"), utc("2026-05-05T00:10:00Z")));
        let within = between("2026-05-01T00:10:00Z", "2026-05-01T00:20:00Z", "UTC").whole_hours();
        assert_eq!(within.parts, [(utc("2026-05-01T00:10:00Z"), utc("2026-05-01T00:20:00Z"))]);
    }

    #[test]
    fn hours_cut_by_a_midnight_are_counted_in_parts() {
        let days = between("2026-05-01T18:30:00Z", "2026-05-05T18:30:00Z", "Asia/Kolkata");
        let hours = days.whole_hours();
        assert_eq!(days.starts.len(), 4);
        assert_eq!(
            (hours.split.len(), hours.parts.len()),
            (5, 8),
            "both halves of three hours and one of each end"
        );
        assert!(hours.parts.iter().all(|(start, end)| *end - *start == TimeDelta::minutes(30)));
    }

    #[test]
    fn days_are_whole_where_nothing_was_seen_outside() {
        let some = between("2026-05-01T06:00:00Z", "2026-05-04T06:00:00Z", "UTC");
        let day = day_of(some.from);
        let cut = some.whole_days(Some((utc("2026-01-01T00:00:00Z"), utc("2026-06-01T00:00:00Z"))));
        assert_eq!(cut.days, (day + 1, day + 3));
        assert_eq!(cut.parts.len(), 2);
        let all = some.whole_days(Some((utc("2026-05-01T07:00:00Z"), utc("2026-05-04T05:00:00Z"))));
        assert_eq!(all, WholeDays { days: (day, day + 4), parts: Vec::new() });
        let short = between("2026-05-01T06:00:00Z", "2026-05-01T08:00:00Z", "UTC");
        let short = short.whole_days(Some((utc("2026-01-01T00:00:00Z"), utc("2026-06-01T00:00:00Z"))));
        assert_eq!(
            short,
            WholeDays {
                days: (0, 0),
                parts: vec![(utc("2026-05-01T06:00:00Z"), utc("2026-05-01T08:00:00Z"))]
            }
        );
    }
}
