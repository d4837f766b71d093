//! The ROC as a picture (SVG): TAR over a logarithmic FAR, for the strict end is where systems differ.

use std::fmt::Write as _;

use vedette_models::evaluation::verification::RocPoint;

use super::report::VerificationReport;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 520.0;
/// The area with the curve, in pixels from the left upper corner.
const LEFT: f64 = 80.0;
const RIGHT: f64 = WIDTH - 30.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = HEIGHT - 70.0;
/// Parts of the TAR axis.
const TAR_STEPS: u32 = 10;

/// Where things are on the picture.
struct Scale {
    /// The axis of the FAR goes from ten to this power to 1.
    least_exponent: i32,
}

impl Scale {
    /// One that shows a single false accept of so many pairs.
    fn of(impostor_pairs: usize) -> Self {
        let exponent = (impostor_pairs.max(10) as f64).log10().ceil();
        Self { least_exponent: -(exponent as i32) }
    }

    /// A rate of 0 has no place on a logarithmic axis; it is drawn at the left edge.
    fn x(&self, false_accept_rate: f64) -> f64 {
        let least = f64::from(self.least_exponent);
        let exponent = if false_accept_rate > 0.0 { false_accept_rate.log10().max(least) } else { least };
        RIGHT + (RIGHT - LEFT) * exponent / -least
    }

    fn y(true_accept_rate: f64) -> f64 {
        BOTTOM + (TOP - BOTTOM) * true_accept_rate
    }
}

/// The picture.
pub(super) fn roc(pack: &str, report: &VerificationReport) -> String {
    let scale = Scale::of(report.impostor_pairs);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"14\" fill=\"#222\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    write_text(
        &mut svg,
        LEFT,
        30.0,
        "start",
        &format!("<tspan font-size=\"18\">ROC of {}</tspan>", escaped(pack)),
    );
    let pairs = format!(
        "{} pairs of one person, {} of two; the circle is the threshold in effect, {:.3}",
        report.genuine_pairs, report.impostor_pairs, report.at_threshold.threshold
    );
    write_text(&mut svg, LEFT, 52.0, "start", &pairs);
    write_axes(&mut svg, &scale);
    write_curve(&mut svg, &scale, &report.roc);
    let (far, tar) =
        (report.at_threshold.false_accept_rate.value, report.at_threshold.true_accept_rate.value);
    write_line(
        &mut svg,
        &format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"6\" fill=\"none\" stroke=\"#b3261e\" stroke-width=\"2\"/>",
            scale.x(far),
            Scale::y(tar)
        ),
    );
    svg.push_str("</svg>\n");
    svg
}

fn write_axes(svg: &mut String, scale: &Scale) {
    for exponent in scale.least_exponent..=0 {
        let x = scale.x(10_f64.powi(exponent));
        write_grid_line(svg, (x, TOP), (x, BOTTOM));
        let label = if exponent == 0 {
            "1".to_owned()
        } else {
            format!("10<tspan dy=\"-6\" font-size=\"10\">−{}</tspan>", exponent.unsigned_abs())
        };
        write_text(svg, x, BOTTOM + 24.0, "middle", &label);
    }
    for step in 0..=TAR_STEPS {
        let share = f64::from(step) / f64::from(TAR_STEPS);
        let y = Scale::y(share);
        write_grid_line(svg, (LEFT, y), (RIGHT, y));
        write_text(svg, LEFT - 10.0, y + 5.0, "end", &format!("{share:.1}"));
    }
    write_text(
        svg,
        (LEFT + RIGHT) / 2.0,
        HEIGHT - 18.0,
        "middle",
        "false-accept rate (FAR), 0 at the left edge",
    );
    let middle = (TOP + BOTTOM) / 2.0;
    write_line(
        svg,
        &format!(
            "<text transform=\"translate(26 {middle}) rotate(-90)\" text-anchor=\"middle\">true-accept rate (TAR)</text>"
        ),
    );
}

/// In steps, as it was counted: what lies between two false accepts was not measured.
fn write_curve(svg: &mut String, scale: &Scale, roc: &[RocPoint]) {
    let mut path = String::new();
    for point in roc {
        let (x, y) = (scale.x(point.false_accept_rate), Scale::y(point.true_accept_rate));
        let step = if path.is_empty() { format!("M{x:.1} {y:.1}") } else { format!("H{x:.1}V{y:.1}") };
        path.push_str(&step);
    }
    write_line(svg, &format!("<path d=\"{path}\" fill=\"none\" stroke=\"#1f5fbf\" stroke-width=\"2\"/>"));
}

fn write_grid_line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let line = format!("<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#ccc\"/>");
    write_line(svg, &line);
}

/// `content` is markup.
fn write_text(svg: &mut String, x: f64, y: f64, anchor: &str, content: &str) {
    write_line(svg, &format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{content}</text>"));
}

fn write_line(svg: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "{line}");
}

/// A pack may be a folder of any name.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use vedette_models::evaluation::Verification;

    use super::*;

    #[test]
    fn the_curve_goes_in_steps_from_the_strict_end_to_the_upper_right() {
        let measured = Verification::of_pairs(vec![0.9, 0.5], vec![0.6; 10]).unwrap();
        let svg = roc("a<b", &VerificationReport::new(&measured, 0.55));
        // Half of the genuine pairs without a false accept, then all impostors at once.
        let (middle, top) = ((TOP + BOTTOM) / 2.0, TOP);
        assert!(svg.contains(&format!("d=\"M{LEFT:.1} {middle:.1}H{RIGHT:.1}V{top:.1}\"")), "{svg}");
        assert!(svg.contains(&format!("cx=\"{RIGHT:.1}\" cy=\"{middle:.1}\"")), "{svg}");
        assert!(svg.contains("ROC of a&lt;b") && svg.contains("(FAR)") && svg.contains("(TAR)"), "{svg}");
    }

    #[test]
    fn the_axis_reaches_a_single_false_accept() {
        for (pairs, exponent) in [(1, -1), (10, -1), (11, -2), (1000, -3), (3_000_000, -7)] {
            let scale = Scale::of(pairs);
            assert_eq!(scale.least_exponent, exponent, "{pairs}");
            assert!((scale.x(1.0) - RIGHT).abs() < 1e-9 && (scale.x(0.0) - LEFT).abs() < 1e-9);
            assert!(scale.x(1.0 / pairs as f64) >= LEFT);
        }
    }
}
