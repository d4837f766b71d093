//! Weekly hours in a time zone: when somebody may be there, when a camera runs. Pure: no database, no clock.
//!
//! A moment is looked up by what clocks on the wall show then, which every moment has exactly one of, so that the
//! changes to and from summer time need no care: an hour that is left out never comes, one that comes twice counts
//! both times.

use std::fmt;

use chrono::{DateTime, Datelike as _, NaiveTime, TimeDelta, TimeZone as _, Timelike as _, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::{Object, Type};

/// Hours of one schedule.
const MAX_HOURS: usize = 50;
const MINUTES_A_DAY: u32 = 24 * 60;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Day {
    const WEEK: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    fn of(weekday: Weekday) -> Self {
        // Counted from Monday, below seven.
        Self::WEEK[weekday.num_days_from_monday() as usize % Self::WEEK.len()]
    }
}

/// Hours of some days, as they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hours {
    /// The days they begin on.
    #[schema(min_items = 1, max_items = 7)]
    days: Vec<Day>,
    #[schema(schema_with = time_schema)]
    from: String,
    /// Not part of it. Earlier than `from`, it is that of the next day.
    #[schema(schema_with = end_schema)]
    to: String,
}

/// Hours of a week, as they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WeeklySchedule, examples(json!({
    "timezone": "Europe/Berlin",
    "hours": [{ "days": ["monday", "tuesday", "wednesday", "thursday", "friday"], "from": "07:00", "to": "19:00" }]
})))]
pub(crate) struct WeeklySchedule {
    /// IANA name of the time zone whose days and hours are meant.
    #[schema(examples("Europe/Berlin"))]
    timezone: String,
    /// All other hours are out of hours; without any, all are.
    #[schema(max_items = 50)]
    hours: Vec<Hours>,
}

fn time_schema() -> Object {
    let time =
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("^([01][0-9]|2[0-3]):[0-5][0-9]$"));
    time.examples(["07:00"]).build()
}

fn end_schema() -> Object {
    let pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$";
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).examples(["19:00"]).build()
}

/// A schedule that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    zone: Tz,
    spans: Vec<Span>,
}

/// Minutes of a day; those from 1440 on are of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    day: Day,
    from: u32,
    to: u32,
}

impl Schedule {
    /// Whether `time` lies in one of its hours.
    pub(crate) fn covers(&self, time: DateTime<Utc>) -> bool {
        let local = time.with_timezone(&self.zone).naive_local();
        let minute = local.hour() * 60 + local.minute();
        let today = Day::of(local.weekday());
        let yesterday = local.checked_sub_signed(TimeDelta::days(1)).map(|local| Day::of(local.weekday()));
        self.spans.iter().any(|span| {
            let begun_yesterday = Some(span.day) == yesterday && minute + MINUTES_A_DAY < span.to;
            begun_yesterday || (span.day == today && (span.from..span.to).contains(&minute))
        })
    }
}

/// A moment as clocks on the wall of the schedule's time zone show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalMoment(DateTime<Tz>);

impl fmt::Display for LocalMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.format("%Y-%m-%d %H:%M"), self.0.timezone())
    }
}

impl Schedule {
    /// When the next of its hours begin, after a `time` that lies in none; nothing if there are none within a week or,
    /// where clocks are changed meanwhile, two.
    pub(crate) fn next_after(&self, time: DateTime<Utc>) -> Option<LocalMoment> {
        const DAYS: i64 = 15;
        let today = time.with_timezone(&self.zone).date_naive();
        let days = (0..DAYS).filter_map(|days| today.checked_add_signed(TimeDelta::days(days)));
        let beginnings = days.flat_map(|date| {
            let of_day = self.spans.iter().filter(move |span| span.day == Day::of(date.weekday()));
            of_day.filter_map(move |span| {
                let minute = NaiveTime::from_hms_opt(span.from / 60, span.from % 60, 0)?;
                self.zone.from_local_datetime(&date.and_time(minute)).earliest()
            })
        });
        beginnings.filter(|moment| *moment > time).min().map(LocalMoment)
    }
}

impl TryFrom<&WeeklySchedule> for Schedule {
    type Error = String;

    fn try_from(written: &WeeklySchedule) -> Result<Self, String> {
        let zone = written
            .timezone
            .parse()
            .map_err(|_| "timezone must be the IANA name of a time zone, such as Europe/Berlin".to_owned())?;
        if written.hours.len() > MAX_HOURS {
            return Err(format!("hours must not be more than {MAX_HOURS}"));
        }
        let mut spans = Vec::new();
        for hours in &written.hours {
            let (from, to) = (minute_of(&hours.from, "from")?, minute_of(&hours.to, "to")?);
            if !(1..=Day::WEEK.len()).contains(&hours.days.len()) {
                return Err("days must name one to seven days".to_owned());
            }
            if from == MINUTES_A_DAY || from == to {
                return Err("from must be before 24:00, and not the same as to".to_owned());
            }
            let to = if to < from { to + MINUTES_A_DAY } else { to };
            spans.extend(hours.days.iter().map(|day| Span { day: *day, from, to }));
        }
        Ok(Self { zone, spans })
    }
}

/// The minute of `HH:MM`.
fn minute_of(text: &str, name: &str) -> Result<u32, String> {
    let is_written_so = text.len() == 5
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 2 { byte == b':' } else { byte.is_ascii_digit() });
    let numbers = text.split_once(':').filter(|_| is_written_so);
    let numbers = numbers.and_then(|(hour, minute)| Some((hour.parse().ok()?, minute.parse().ok()?)));
    match numbers {
        Some((hour @ 0..24, minute @ 0..60)) => Ok(hour * 60 + minute),
        Some((24, 0)) => Ok(MINUTES_A_DAY),
        _ => Err(format!("{name} must be a time of day, such as 07:00")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde_json::json;

    fn schedule(timezone: &str, days: &[&str], from: &str, to: &str) -> Result<Schedule, String> {
        let hours = json!([{ "days": days, "from": from, "to": to }]);
        let written = json!({ "timezone": timezone, "hours": hours });
        let written: WeeklySchedule = serde_json::from_value(written).map_err(|error| error.to_string())?;
        Schedule::try_from(&written)
    }

    fn covers(schedule: &Schedule, time: &str) -> bool {
        schedule.covers(time.parse().unwrap())
    }

    #[test]
    fn hours_follow_the_clock_on_the_wall_through_the_year() {
        let office = schedule("Europe/Berlin", &["monday", "friday"], "08:00", "18:00").unwrap();
        // 2026-03-27 and 2026-03-30 lie before and after the change to summer time.
        for (first, last) in [
            ("2026-03-27T07:00:00Z", "2026-03-27T16:59:59Z"),
            ("2026-03-30T06:00:00Z", "2026-03-30T15:59:59Z"),
        ] {
            assert!(covers(&office, first) && covers(&office, last));
            let second = TimeDelta::seconds(1);
            assert!(!office.covers(first.parse::<DateTime<Utc>>().unwrap() - second));
            assert!(!office.covers(last.parse::<DateTime<Utc>>().unwrap() + second));
        }
        assert!(!covers(&office, "2026-03-31T10:00:00Z"), "a Tuesday");
    }

    #[test]
    fn an_hour_that_is_left_out_never_comes_and_one_that_comes_twice_counts_twice() {
        let night = schedule("Europe/Berlin", &["sunday"], "02:00", "03:00").unwrap();
        assert!(!covers(&night, "2026-03-29T00:59:59Z") && !covers(&night, "2026-03-29T01:00:00Z"));
        let times =
            ["2026-10-25T00:00:00Z", "2026-10-25T00:59:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:59:00Z"];
        assert!(times.iter().all(|time| covers(&night, time)));
        assert!(!covers(&night, "2026-10-24T23:59:59Z") && !covers(&night, "2026-10-25T02:00:00Z"));
    }

    #[test]
    fn hours_may_reach_into_the_next_day() {
        let guard = schedule("UTC", &["saturday"], "22:00", "06:00").unwrap();
        assert!(covers(&guard, "2026-01-03T22:00:00Z") && covers(&guard, "2026-01-04T05:59:59Z"));
        assert!(!covers(&guard, "2026-01-03T05:00:00Z"), "that is Friday's night");
        assert!(!covers(&guard, "2026-01-04T06:00:00Z") && !covers(&guard, "2026-01-04T22:00:00Z"));
        let whole = schedule("UTC", &["saturday"], "00:00", "24:00").unwrap();
        assert!(covers(&whole, "2026-01-03T23:59:59Z") && !covers(&whole, "2026-01-04T00:00:00Z"));
    }

    #[test]
    fn the_next_hours_are_found() {
        let next = |schedule: &Schedule, time: &str| {
            schedule.next_after(time.parse().unwrap()).map(|moment| moment.to_string())
        };
        let office = schedule("Europe/Berlin", &["monday", "friday"], "08:00", "18:00").unwrap();
        let monday = Some("2026-01-05 08:00 (Europe/Berlin)".to_owned());
        assert_eq!(next(&office, "2026-01-02T17:00:00Z"), monday);
        assert_eq!(next(&office, "2026-01-05T06:59:59Z"), monday);
        // 02:30 does not come on the day of the change to summer time.
        let night = schedule("Europe/Berlin", &["sunday"], "02:30", "02:45").unwrap();
        assert_eq!(next(&night, "2026-03-28T12:00:00Z").unwrap(), "2026-04-05 02:30 (Europe/Berlin)");
        let never: WeeklySchedule =
            serde_json::from_value(json!({ "timezone": "UTC", "hours": [] })).unwrap();
        assert_eq!(next(&Schedule::try_from(&never).unwrap(), "2026-01-05T06:59:59Z"), None);
    }

    #[test]
    fn a_calendars_first_moment_has_no_day_before() {
        let whole = schedule("UTC", &["monday"], "12:00", "11:00").unwrap();
        whole.covers(DateTime::<Utc>::MIN_UTC);
        whole.covers(DateTime::<Utc>::MAX_UTC);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (from, to) in
            [("8:00", "18:00"), ("08:00", "24:01"), ("24:00", "08:00"), ("08:00", "08:00"), ("+8:00", "9")]
        {
            assert!(schedule("UTC", &["monday"], from, to).is_err(), "{from} to {to}");
        }
        assert!(
            schedule("Mars/Olympus", &["monday"], "08:00", "09:00").unwrap_err().contains("Europe/Berlin")
        );
        assert!(schedule("UTC", &[], "08:00", "09:00").is_err());
        assert!(schedule("UTC", &["noon"], "08:00", "09:00").is_err());
    }
}
