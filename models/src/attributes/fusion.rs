//! One age and one gender for a track: a single crop is off by years, and a gender that changes from frame to frame is worth
//! nothing to whoever reads the events.

use super::Attributes;

/// What the poorest crop weighs, so that a track with nothing better still has its values.
const LEAST_WEIGHT: f64 = 0.01;

/// The crops of a track so far: means weighted by the crops' quality.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FusedAttributes {
    weight: f64,
    age_years: f64,
    female_probability: f64,
}

impl FusedAttributes {
    /// Takes a crop of that quality, 0 to 1, into account.
    pub fn add(&mut self, crop: &Attributes, quality: f32) {
        let quality = if quality.is_finite() { f64::from(quality) } else { 0.0 };
        let weight = quality.clamp(LEAST_WEIGHT, 1.0);
        self.weight += weight;
        let share = weight / self.weight;
        self.age_years += share * (f64::from(crop.age_years) - self.age_years);
        self.female_probability += share * (f64::from(crop.female_probability) - self.female_probability);
    }

    /// What the crops say together; nothing before the first one.
    pub fn mean(&self) -> Option<Attributes> {
        (self.weight > 0.0).then_some(Attributes {
            age_years: self.age_years as f32,
            female_probability: self.female_probability as f32,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fused(crops: &[(f32, f32, f32)]) -> Option<Attributes> {
        let mut fused = FusedAttributes::default();
        for (age_years, female_probability, quality) in crops.iter().copied() {
            fused.add(&Attributes { age_years, female_probability }, quality);
        }
        fused.mean()
    }

    #[test]
    fn good_crops_count_for_more() {
        let mean = fused(&[(30.0, 0.9, 0.9), (60.0, 0.1, 0.3)]).unwrap();
        assert!((mean.age_years - 37.5).abs() < 1e-4, "{mean:?}");
        assert!((mean.female_probability - 0.7).abs() < 1e-6, "{mean:?}");
    }

    #[test]
    fn order_does_not_matter() {
        let one = fused(&[(20.0, 0.2, 0.5), (50.0, 0.4, 0.8), (41.0, 0.9, 0.7)]).unwrap();
        let other = fused(&[(41.0, 0.9, 0.7), (50.0, 0.4, 0.8), (20.0, 0.2, 0.5)]).unwrap();
        assert!((one.age_years - other.age_years).abs() < 1e-4);
        assert!((one.female_probability - other.female_probability).abs() < 1e-6);
    }

    #[test]
    fn poor_crops_count_where_there_is_nothing_better() {
        assert_eq!(fused(&[]), None);
        for quality in [0.0, -1.0, f32::NAN] {
            assert_eq!(fused(&[(33.0, 0.25, quality)]).unwrap().age_years, 33.0, "{quality}");
            let with_good = fused(&[(33.0, 0.25, quality), (50.0, 0.25, 1.0)]).unwrap();
            assert!(with_good.age_years > 49.0, "{quality}: {with_good:?}");
        }
    }
}
