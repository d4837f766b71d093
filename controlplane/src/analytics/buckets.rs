//! Where the bars of a time line begin: at full hours, midnights, Mondays and firsts of the month of a time zone.
//!
//! Local time jumps: a midnight may happen twice or not at all, a day may have 23 hours or none. Buckets are
//! therefore moments of UTC, each from its start to the next one's, and cover a period without gap or overlap.

use chrono::{
    DateTime, Datelike as _, Days, MappedLocalTime, Months, NaiveDate, NaiveTime, Offset as _, TimeDelta,
    TimeZone as _, Utc,
};
use chrono_tz::Tz;
use serde::Serialize;
use utoipa::ToSchema;

/// Longest period with a bar an hour, in days.
const MOST_DAYS_BY_HOUR: i64 = 2;
/// Longest period with a bar a day: three months.
const MOST_DAYS_BY_DAY: i64 = 93;
/// Longest period with a bar a week: two years.
const MOST_DAYS_BY_WEEK: i64 = 731;

/// What one bar stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BarWidth)]
pub(super) enum Width {
    Hour,
    Day,
    Week,
    Month,
}

impl Width {
    /// The width that shows a period of that length best.
    pub(super) fn fitting(length: TimeDelta) -> Self {
        match length {
            _ if length <= TimeDelta::days(MOST_DAYS_BY_HOUR) => Self::Hour,
            _ if length <= TimeDelta::days(MOST_DAYS_BY_DAY) => Self::Day,
            _ if length <= TimeDelta::days(MOST_DAYS_BY_WEEK) => Self::Week,
            _ => Self::Month,
        }
    }

    /// Start of the bucket `time` lies in.
    pub(super) fn start_of(self, time: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        if self == Self::Hour {
            return hour_start(time, zone);
        }
        let start = midnight(self.first_day(time.with_timezone(&zone).date_naive()), zone);
        // A date that local time passes over begins after itself.
        start.min(time)
    }

    /// Start of the bucket after the one that begins at `start`.
    fn after(self, start: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        let today = start.with_timezone(&zone).date_naive();
        let next = match self {
            Self::Hour => return next_hour(start, zone),
            Self::Day => today.checked_add_days(Days::new(1)),
            Self::Week => self.first_day(today).checked_add_days(Days::new(7)),
            Self::Month => self.first_day(today).checked_add_months(Months::new(1)),
        };
        next.map_or(DateTime::<Utc>::MAX_UTC, |next| midnight(next, zone))
    }

    fn first_day(self, date: NaiveDate) -> NaiveDate {
        let days_before = match self {
            Self::Hour | Self::Day => 0,
            Self::Week => date.weekday().num_days_from_monday(),
            Self::Month => date.day0(),
        };
        date.checked_sub_days(Days::new(u64::from(days_before))).unwrap_or(date)
    }
}

/// The starts of all buckets that have a part in `from..to`, the earliest first; the first may begin before `from`.
pub(super) fn starts(from: DateTime<Utc>, to: DateTime<Utc>, width: Width, zone: Tz) -> Vec<DateTime<Utc>> {
    let mut starts = vec![width.start_of(from, zone)];
    while let Some(last) = starts.last().copied() {
        let mut next = width.after(last, zone);
        if next <= last {
            // Only where a whole date is missing; the day after it is what follows.
            next = last + TimeDelta::days(1);
        }
        if next >= to {
            break;
        }
        starts.push(next);
    }
    starts
}

fn hour_start(time: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    let local_seconds = time.timestamp() + offset_s(time, zone);
    let start = time.timestamp() - local_seconds.rem_euclid(3600);
    DateTime::from_timestamp(start, 0).unwrap_or(time)
}

fn next_hour(start: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    let next = start + TimeDelta::hours(1);
    let aligned = hour_start(next, zone);
    // Where clocks jump by half an hour, the hour cannot begin before they did.
    if aligned > start && offset_s(aligned, zone) == offset_s(next, zone) { aligned } else { next }
}

fn offset_s(time: DateTime<Utc>, zone: Tz) -> i64 {
    i64::from(zone.offset_from_utc_datetime(&time.naive_utc()).fix().local_minus_utc())
}

/// The first moment of a date.
fn midnight(date: NaiveDate, zone: Tz) -> DateTime<Utc> {
    // Clocks jump by quarters of an hour at least, and by a day and a bit at most.
    const STEP: TimeDelta = TimeDelta::minutes(15);
    const MOST_STEPS: usize = 4 * 26;
    let mut local = date.and_time(NaiveTime::MIN);
    for _ in 0..MOST_STEPS {
        match zone.from_local_datetime(&local) {
            MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => return time.to_utc(),
            MappedLocalTime::None => local += STEP,
        }
    }
    date.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn bars(from: &str, to: &str, width: Width, zone: Tz) -> Vec<String> {
        let starts = starts(utc(from), utc(to), width, zone);
        starts.iter().map(|start| start.format("%m-%dT%H:%M").to_string()).collect()
    }

    #[test]
    fn the_width_fits_the_period() {
        let width = |days| Width::fitting(TimeDelta::days(days));
        assert_eq!((width(1), width(2), width(3)), (Width::Hour, Width::Hour, Width::Day));
        assert_eq!(
            (width(93), width(94), width(731), width(732)),
            (Width::Day, Width::Week, Width::Week, Width::Month)
        );
    }

    #[test]
    fn days_begin_at_local_midnight() {
        let (from, to) = ("2026-01-01T10:00:00Z", "2026-01-03T10:00:00Z");
        assert_eq!(bars(from, to, Width::Day, Tz::UTC), ["01-01T00:00", "01-02T00:00", "01-03T00:00"]);
        let berlin = ["12-31T23:00", "01-01T23:00", "01-02T23:00"];
        assert_eq!(bars(from, to, Width::Day, Tz::Europe__Berlin), berlin);
        let kathmandu = ["12-31T18:15", "01-01T18:15", "01-02T18:15"];
        assert_eq!(bars(from, to, Width::Day, Tz::Asia__Kathmandu), kathmandu);
        let until_midnight = bars("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", Width::Day, Tz::UTC);
        assert_eq!(until_midnight, ["01-01T00:00", "01-02T00:00"], "an end belongs to no bar");
    }

    #[test]
    fn days_are_as_long_as_clocks_make_them() {
        let spring =
            starts(utc("2026-03-28T12:00:00Z"), utc("2026-03-31T00:00:00Z"), Width::Day, Tz::Europe__Berlin);
        let lengths: Vec<i64> = spring.windows(2).map(|pair| (pair[1] - pair[0]).num_hours()).collect();
        assert_eq!(lengths, [24, 23, 24]);
        let autumn =
            starts(utc("2026-10-24T12:00:00Z"), utc("2026-10-27T00:00:00Z"), Width::Day, Tz::Europe__Berlin);
        let lengths: Vec<i64> = autumn.windows(2).map(|pair| (pair[1] - pair[0]).num_hours()).collect();
        assert_eq!(lengths, [24, 25, 24]);
    }

    #[test]
    fn hours_are_whole_hours_of_the_place() {
        let (from, to) = ("2026-10-25T00:30:00Z", "2026-10-25T03:00:00Z");
        let twice_two = ["10-25T00:00", "10-25T01:00", "10-25T02:00"];
        assert_eq!(
            bars(from, to, Width::Hour, Tz::Europe__Berlin),
            twice_two,
            "each of the two hours from 2 to 3"
        );
        let kolkata = ["10-25T00:30", "10-25T01:30", "10-25T02:30"];
        assert_eq!(bars(from, to, Width::Hour, Tz::Asia__Kolkata), kolkata);
        // On Lord Howe, clocks go from 02:00 to 02:30 and the short hour ends at 03:00.
        let lord_howe =
            bars("2026-10-03T14:30:00Z", "2026-10-03T17:30:00Z", Width::Hour, Tz::Australia__Lord_Howe);
        assert_eq!(lord_howe, ["10-03T14:30", "10-03T15:30", "10-03T16:00", "10-03T17:00"]);
    }

    #[test]
    fn dates_without_midnight_begin_when_they_can() {
        // In Cairo, clocks go from 00:00 to 01:00 on 24 April 2026.
        let cairo = bars("2026-04-23T12:00:00Z", "2026-04-25T12:00:00Z", Width::Day, Tz::Africa__Cairo);
        assert_eq!(cairo, ["04-22T22:00", "04-23T22:00", "04-24T21:00"]);
        // Samoa had no 30 December 2011.
        let apia = bars("2011-12-29T20:00:00Z", "2011-12-31T20:00:00Z", Width::Day, Tz::Pacific__Apia);
        assert_eq!(apia, ["12-29T10:00", "12-30T10:00", "12-31T10:00"]);
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let weeks = bars("2026-01-01T10:00:00Z", "2026-01-13T00:00:00Z", Width::Week, Tz::UTC);
        assert_eq!(weeks, ["12-29T00:00", "01-05T00:00", "01-12T00:00"]);
        let months = bars("2026-01-31T10:00:00Z", "2026-03-02T00:00:00Z", Width::Month, Tz::Europe__Berlin);
        assert_eq!(months, ["12-31T23:00", "01-31T23:00", "02-28T23:00"]);
    }

    #[test]
    fn buckets_of_every_zone_cover_a_year_in_order() {
        let (from, to) = (utc("2026-01-01T00:07:00Z"), utc("2027-01-01T00:00:00Z"));
        for zone in chrono_tz::TZ_VARIANTS {
            for width in [Width::Hour, Width::Day, Width::Week, Width::Month] {
                let starts = starts(from, to, width, zone);
                assert!(
                    starts[0] <= from && starts.windows(2).all(|pair| pair[0] < pair[1]),
                    "{zone} {width:?}"
                );
                assert!(*starts.last().unwrap() < to, "{zone} {width:?}");
            }
        }
    }
}
