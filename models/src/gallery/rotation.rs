//! A rotation that looks random and is always the same: signs, then a Hadamard transform, four times over. After it no
//! number of a vector stands out, whatever a network puts where, so that few bits of each tell much about the whole
//! (Ailon and Chazelle, *The fast Johnson–Lindenstrauss transform*, 2009). Angles and lengths stay as they are.

use std::sync::Arc;

/// Rounds after which even a vector with a single number is spread evenly.
const ROUNDS: usize = 4;
const SEED: u64 = 0x5eed_0f5a_11e9_a7e5;

/// A rotation of vectors of one length.
#[derive(Clone)]
pub(super) struct Rotation {
    dimension: usize,
    /// For each round, 1 or −1 for each number.
    signs: Arc<[f32]>,
}

impl Rotation {
    pub(super) fn new(dimension: usize) -> Self {
        let mut state = SEED;
        let sign = |_| if splitmix(&mut state) >> 63 == 0 { 1.0 } else { -1.0 };
        Self { dimension, signs: (0..ROUNDS * dimension).map(sign).collect() }
    }

    /// Rotates a vector of this length in place.
    pub(super) fn apply(&self, vector: &mut [f32]) {
        if self.dimension < 2 || vector.len() != self.dimension {
            return;
        }
        // A Hadamard transform takes a power of two. Where the length is none, it takes the front and the back in turn,
        // and both halves are mixed in between.
        let block = 1 << self.dimension.ilog2();
        let starts = [0, self.dimension - block].into_iter().cycle();
        for (signs, start) in self.signs.chunks_exact(self.dimension).zip(starts) {
            vector.iter_mut().zip(signs).for_each(|(value, sign)| *value *= sign);
            hadamard(&mut vector[start..start + block]);
            if block < self.dimension {
                let (left, right) = vector.split_at_mut(self.dimension / 2);
                mix(left, right, std::f32::consts::FRAC_1_SQRT_2);
            }
        }
    }
}

/// Sums and differences of two halves, scaled.
fn mix(left: &mut [f32], right: &mut [f32], scale: f32) {
    for (left, right) in left.iter_mut().zip(right) {
        (*left, *right) = (scale * (*left + *right), scale * (*left - *right));
    }
}

/// The Hadamard transform of a power of two of numbers, scaled to leave lengths as they are.
fn hadamard(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (left, right) = pair.split_at_mut(half);
            mix(left, right, 1.0);
        }
        half *= 2;
    }
    let scale = 1.0 / (values.len() as f32).sqrt();
    values.iter_mut().for_each(|value| *value *= scale);
}

/// The next number of Steele's SplitMix64.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_stay_and_nothing_stands_out() {
        for dimension in [1, 2, 3, 100, 127, 128, 512, 513] {
            let rotation = Rotation::new(dimension);
            let mut axis = vec![0.0; dimension];
            axis[dimension / 2] = 1.0;
            let mut other: Vec<f32> = (0..dimension).map(|index| (index as f32 * 0.7).sin()).collect();
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let (length, product) = (dot(&other, &other), dot(&axis, &other));
            rotation.apply(&mut axis);
            rotation.apply(&mut other);
            assert!((dot(&axis, &axis) - 1.0).abs() < 1e-5, "{dimension}");
            assert!((dot(&other, &other) - length).abs() < 1e-5 * length.max(1.0), "{dimension}");
            assert!((dot(&axis, &other) - product).abs() < 1e-4, "{dimension}");
            if dimension >= 100 {
                let greatest = axis.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
                assert!(greatest < 6.0 / (dimension as f32).sqrt(), "{dimension}: {greatest}");
            }
        }
    }
}
