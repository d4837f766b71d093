//! A share that was counted, with what the count says about the true one.

use serde::Serialize;

/// Of a normal distribution, 95 % lie within so many standard deviations.
const STANDARD_DEVIATIONS: f64 = 1.959_963_984_540_054;
/// Errors from which a rate is known to within about a third (G. Doddington's rule of 30).
const ERRORS_FOR_CONFIDENCE: f64 = 30.0;

/// A share of trials, with its 95 % confidence interval by E. B. Wilson (1927), which holds for small counts and for 0 and 1.
///
/// The interval takes trials for independent. Photos of one person are not, so the true interval is wider.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// The share, 0 to 1; 0 without trials.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// How many trials the interval rests on.
    pub trials: usize,
}

impl Rate {
    /// `count` of `trials`.
    pub fn of(count: usize, trials: usize) -> Self {
        Self::estimated(count as f64 / trials.max(1) as f64, trials)
    }

    /// A share that is no plain count, such as one over trials that partly repeat each other, as if it had been counted in
    /// `trials` independent ones.
    pub fn estimated(value: f64, trials: usize) -> Self {
        if trials == 0 {
            return Self { value: 0.0, low: 0.0, high: 1.0, trials };
        }
        let (n, z2) = (trials as f64, STANDARD_DEVIATIONS * STANDARD_DEVIATIONS);
        let centre = value + z2 / (2.0 * n);
        let reach = STANDARD_DEVIATIONS * (value * (1.0 - value) / n + z2 / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z2 / n;
        // Rounding must not leave the measured share outside of its own interval.
        let low = ((centre - reach) / scale).clamp(0.0, value);
        let high = ((centre + reach) / scale).clamp(value, 1.0);
        Self { value, low, high, trials }
    }

    /// Whether so few errors were counted that another set of photos may well give half or double the rate.
    pub fn is_rough(&self) -> bool {
        self.value * (self.trials as f64) < ERRORS_FOR_CONFIDENCE
    }
}

/// How many errors a rate allows in `trials`; nothing if not even one, for then the trials cannot tell that rate.
pub(super) fn allowed_errors(rate: f64, trials: usize) -> Option<usize> {
    // A rate written in decimals must not lose an error to the last bit.
    let allowed = (rate * trials as f64 + 1e-9).floor();
    (allowed >= 1.0).then_some((allowed as usize).min(trials))
}

/// The least trials in which `rate` allows `errors`.
pub fn trials_for(rate: f64, errors: usize) -> usize {
    (errors as f64 / rate - 1e-9).ceil() as usize
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn assert_interval(rate: Rate, low: f64, high: f64) {
        assert!((rate.low - low).abs() < 5e-4 && (rate.high - high).abs() < 5e-4, "{rate:?}");
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        assert_interval(Rate::of(5, 10), 0.2366, 0.7634);
        assert_interval(Rate::of(0, 10), 0.0, 0.2775);
        assert_interval(Rate::of(10, 10), 0.7225, 1.0);
        assert_interval(Rate::of(1, 100), 0.0018, 0.0545);
        assert_eq!(Rate::of(0, 0), Rate { value: 0.0, low: 0.0, high: 1.0, trials: 0 });
    }

    #[test]
    fn the_share_lies_within_its_interval() {
        for trials in [1, 2, 3, 7, 30, 1000, 123_456_789] {
            for count in [0, 1, trials / 3, trials / 2, trials] {
                let Rate { value, low, high, .. } = Rate::of(count, trials);
                assert!(0.0 <= low && low <= value && value <= high && high <= 1.0, "{count} of {trials}");
                assert!(low < high, "nothing is certain: {count} of {trials}");
            }
        }
    }

    #[test]
    fn a_rate_needs_trials_that_can_show_it() {
        assert_eq!(allowed_errors(0.01, 99), None);
        assert_eq!(allowed_errors(0.01, 100), Some(1));
        assert_eq!(allowed_errors(0.29, 100), Some(29), "0.29 · 100 is 28.999… in binary");
        assert_eq!(allowed_errors(1.0, 7), Some(7));
        assert_eq!(allowed_errors(0.5, 0), None);
        assert_eq!((trials_for(0.01, 1), trials_for(0.01, 3), trials_for(0.03, 3)), (100, 300, 100));
        for rate in [0.1, 0.07, 0.01, 0.003, 0.001, 0.0001] {
            let needed = trials_for(rate, 1);
            assert_eq!(allowed_errors(rate, needed), Some(1), "{rate}");
            assert_eq!(allowed_errors(rate, needed - 1), None, "{rate}");
        }
    }

    #[test]
    fn few_errors_make_a_rough_rate() {
        assert!(Rate::of(29, 3000).is_rough());
        assert!(!Rate::of(30, 3000).is_rough());
        assert!(Rate::of(0, 1_000_000).is_rough());
    }
}
