//! What was measured, for people to read and for programs (`--json`).

use std::fmt;

use serde::Serialize;
use vedette_models::evaluation::identification::Searches;
use vedette_models::evaluation::rate::trials_for;
use vedette_models::evaluation::verification::RocPoint;
use vedette_models::evaluation::{
    EqualError, Identification, OperatingPoint, Protocol, Rate, SearchPoint, Verification,
};

use super::photos::Intake;

/// What the intervals do not tell.
pub(in crate::cli) const CAVEAT: &str = "in brackets: 95 % confidence (Wilson), which takes trials for independent; \
                                         photos of one person are not, so the true intervals are wider";
/// False-accept rates that are asked for, as in the field's tables.
const FALSE_ACCEPT_RATES: [f64; 4] = [0.1, 0.01, 0.001, 0.0001];
/// False-positive rates that are asked for.
const FALSE_POSITIVE_RATES: [f64; 3] = [0.1, 0.01, 0.001];

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) pack: String,
    /// The one in effect.
    pub(super) threshold: f32,
    /// With a usable photo; unknown for a table of pairs.
    pub(super) people: Option<usize>,
    pub(super) photos: Intake,
    /// FTE: the share of photos without a usable face.
    pub(super) failure_to_enrol: Rate,
    pub(super) verification: VerificationReport,
    /// Not for a table of pairs, which does not say who is who.
    pub(super) identification: Option<IdentificationReport>,
    pub(super) caveat: &'static str,
}

/// What there is at a rate that was asked for.
#[derive(Debug, Serialize)]
pub(super) struct Wanted<Point> {
    pub(super) rate: f64,
    /// Nothing if there are fewer trials than needed.
    pub(super) measured: Option<Point>,
    pub(super) needed_trials: usize,
}

fn wanted<Point>(rates: &[f64], measure: impl Fn(f64) -> Option<Point>) -> Vec<Wanted<Point>> {
    let ask =
        |rate: &f64| Wanted { rate: *rate, measured: measure(*rate), needed_trials: trials_for(*rate, 1) };
    rates.iter().map(ask).collect()
}

/// One photo against another.
#[derive(Debug, Serialize)]
pub(super) struct VerificationReport {
    pub(super) genuine_pairs: usize,
    pub(super) impostor_pairs: usize,
    pub(super) at_false_accept_rate: Vec<Wanted<OperatingPoint>>,
    pub(super) equal_error: EqualError,
    pub(super) at_threshold: OperatingPoint,
    pub(super) roc: Vec<RocPoint>,
}

impl VerificationReport {
    pub(super) fn new(measured: &Verification, threshold: f32) -> Self {
        Self {
            genuine_pairs: measured.genuine_pairs(),
            impostor_pairs: measured.impostor_pairs(),
            at_false_accept_rate: wanted(&FALSE_ACCEPT_RATES, |rate| measured.at_far(rate)),
            equal_error: measured.equal_error(),
            at_threshold: measured.at(threshold),
            roc: measured.roc(),
        }
    }
}

/// A photo against a gallery.
#[derive(Debug, Serialize)]
pub(super) struct IdentificationReport {
    pub(super) searches: Searches,
    /// Photos of a person that were enrolled, at most.
    pub(super) templates_per_person: usize,
    pub(super) margin: f32,
    pub(super) at_false_positive_rate: Vec<Wanted<SearchPoint>>,
    pub(super) at_threshold: SearchPoint,
}

impl IdentificationReport {
    pub(super) fn new(measured: &Identification, protocol: &Protocol, threshold: f32) -> Self {
        Self {
            searches: *measured.searches(),
            templates_per_person: protocol.templates_per_person,
            margin: protocol.margin,
            at_false_positive_rate: wanted(&FALSE_POSITIVE_RATES, |rate| measured.at_fpir(rate)),
            at_threshold: measured.at(threshold),
        }
    }
}

/// A rate as it is told: percent with its interval, and a mark if another set of photos may well give half or double.
pub(in crate::cli) fn told(rate: &Rate) -> String {
    // Small rates are what matters; large ones are not known to a thousandth.
    let decimals = if rate.value < 0.01 { 3 } else { 1 };
    let percent = |share: f64| format!("{:.decimals$}", 100.0 * share);
    let interval = format!("({} to {})", percent(rate.low), percent(rate.high));
    format!("{} % {interval}", percent(rate.value))
}

/// The same for an error rate, with a mark if few errors were counted.
pub(in crate::cli) fn told_error(rate: &Rate) -> String {
    let mark = if rate.is_rough() { " *" } else { "" };
    format!("{}{mark}", told(rate))
}

/// A line of a table of searches.
pub(in crate::cli) fn told_search(name: &str, point: &SearchPoint) -> String {
    format!(
        "  {name:<14}{:<28}{:<28}{:<28}{:.4}",
        told_error(&point.false_positive_rate),
        told_error(&point.false_negative_rate),
        told_error(&point.misidentification_rate),
        point.threshold
    )
}

/// The heading of a table of searches.
pub(in crate::cli) fn search_heading() -> String {
    format!("  {:<14}{:<28}{:<28}{:<28}threshold", "", "FPIR", "FNIR", "of it somebody else")
}

/// What stands below every table.
pub(in crate::cli) fn footnotes() -> String {
    format!("{CAVEAT}\n* fewer than 30 errors: another set of photos may well give half or double\n")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let photos = &self.photos;
        let people = self.people.map_or_else(String::new, |people| format!(" of {people} people"));
        writeln!(f, "pack {}: {} usable photos{people}", self.pack, photos.usable)?;
        writeln!(
            f,
            "failure to enrol: {} of {} photos, {}",
            photos.failures_to_enrol(),
            photos.read,
            told(&self.failure_to_enrol)
        )?;
        if let Some(left_out) = photos.pairs_left_out {
            writeln!(f, "pairs left out for want of a usable photo: {left_out}")?;
        }
        writeln!(f, "\n{}", self.verification)?;
        match &self.identification {
            Some(identification) => writeln!(f, "{identification}")?,
            None => writeln!(
                f,
                "Who is it (1:N): not measurable from pairs; take a folder with one folder of photos per person\n"
            )?,
        }
        f.write_str(&footnotes())
    }
}

impl fmt::Display for VerificationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { genuine_pairs, impostor_pairs, .. } = self;
        writeln!(f, "Same person (1:1): {genuine_pairs} pairs of one person, {impostor_pairs} of two")?;
        writeln!(f, "  {:<14}{:<28}{:<28}threshold", "", "FAR", "TAR")?;
        let line = |name: &str, point: &OperatingPoint| {
            let (far, tar) = (told_error(&point.false_accept_rate), told(&point.true_accept_rate));
            format!("  {name:<14}{far:<28}{tar:<28}{:.4}", point.threshold)
        };
        for Wanted { rate, measured, needed_trials } in &self.at_false_accept_rate {
            let name = format!("FAR {rate}");
            match measured {
                Some(point) => writeln!(f, "{}", line(&name, point))?,
                None => writeln!(
                    f,
                    "  {name:<14}not measurable: it takes {needed_trials} pairs of two people or more"
                )?,
            }
        }
        writeln!(f, "{}", line("in effect", &self.at_threshold))?;
        let EqualError { rate, threshold } = &self.equal_error;
        writeln!(f, "  {:<14}{:<56}{threshold:.4}", "EER", told_error(rate))
    }
}

impl fmt::Display for IdentificationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Searches { folds, least_gallery_people: least, most_gallery_people: most, .. } = self.searches;
        let Searches { mated, mated_photos, non_mated, .. } = self.searches;
        let people = if least == most { most.to_string() } else { format!("{least} to {most}") };
        writeln!(
            f,
            "Who is it (1:N): galleries of {people} people with up to {} photos each, {folds} rounds; margin {}",
            self.templates_per_person, self.margin
        )?;
        writeln!(
            f,
            "  {mated} searches for people enrolled ({mated_photos} different photos), {non_mated} for strangers"
        )?;
        writeln!(f, "{}", search_heading())?;
        for Wanted { rate, measured, needed_trials } in &self.at_false_positive_rate {
            let name = format!("FPIR {rate}");
            match measured {
                Some(point) => writeln!(f, "{}", told_search(&name, point))?,
                None => {
                    writeln!(f, "  {name:<14}not measurable: it takes {needed_trials} usable photos or more")?
                }
            }
        }
        writeln!(f, "{}", told_search("in effect", &self.at_threshold))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn rates_are_told_with_their_interval_and_a_mark_if_rough() {
        assert_eq!(told(&Rate::of(5, 10)), "50.0 % (23.7 to 76.3)");
        assert_eq!(told_error(&Rate::of(0, 1000)), "0.000 % (0.000 to 0.383) *");
        assert_eq!(told_error(&Rate::of(30, 1000)), "3.0 % (2.1 to 4.3)");
    }

    #[test]
    fn what_cannot_be_measured_is_told_with_what_it_takes() {
        let measured = Verification::of_pairs(vec![0.9, 0.8], vec![0.1; 10]);
        let report = VerificationReport::new(&measured.unwrap(), 0.5).to_string();
        let lines: Vec<&str> = report.lines().collect();
        assert!(lines[2].contains("FAR 0.1") && lines[2].contains("100.0 % (34.2 to 100.0)"), "{report}");
        assert!(lines[3].contains("not measurable: it takes 100 pairs"), "{report}");
        assert!(lines[5].contains("not measurable: it takes 10000 pairs"), "{report}");
        assert!(lines[6].contains("in effect") && lines[6].ends_with("0.5000"), "{report}");
        assert!(lines[7].contains("EER") && lines[7].ends_with("0.8000"), "{report}");
    }
}
