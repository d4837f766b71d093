//! A rotation that looks random and is always the same: pairs of numbers are turned by some angle, and a Hadamard transform
//! spreads them, three times over. After it no number of a vector stands out, whatever a network puts where, so that few
//! bits of each tell much about the whole (Ailon and Chazelle, *The fast Johnson–Lindenstrauss transform*, 2009). Angles
//! between vectors and their lengths stay as they are.

use std::f32::consts::TAU;
use std::sync::Arc;

/// Rounds after which even a vector with a single number is spread evenly.
const ROUNDS: usize = 3;
const SEED: u64 = 0x5eed_0f5a_11e9_a7e5;

/// A rotation of vectors of one length.
#[derive(Clone)]
pub(super) struct Rotation {
    dimension: usize,
    /// For each round and each pair, cosine and sine of the angle. Signs would spread vectors as well, but leave one with
    /// few different numbers such a one, whose rounding errors do not cancel out.
    turns: Arc<[(f32, f32)]>,
}

impl Rotation {
    pub(super) fn new(dimension: usize) -> Self {
        let mut state = SEED;
        let turn = |_| {
            let angle = TAU * (splitmix(&mut state) >> 40) as f32 / (1 << 24) as f32;
            (angle.cos(), angle.sin())
        };
        Self { dimension, turns: (0..ROUNDS * (dimension / 2)).map(turn).collect() }
    }

    /// Rotates a vector of this length in place.
    pub(super) fn apply(&self, vector: &mut [f32]) {
        if self.dimension < 2 || vector.len() != self.dimension {
            return;
        }
        // A Hadamard transform takes a power of two: where the length is none, it takes the front and the back in turn.
        let block = 1 << self.dimension.ilog2();
        let starts = [0, self.dimension - block].into_iter().cycle();
        for (turns, start) in self.turns.chunks_exact(self.dimension / 2).zip(starts) {
            let (left, right) = vector.split_at_mut(self.dimension / 2);
            for ((left, right), (cosine, sine)) in left.iter_mut().zip(right).zip(turns) {
                (*left, *right) = (cosine * *left - sine * *right, sine * *left + cosine * *right);
            }
            hadamard(&mut vector[start..start + block]);
        }
    }
}

/// The Hadamard transform of a power of two of numbers, scaled to leave lengths as they are.
fn hadamard(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (left, right) = pair.split_at_mut(half);
            for (left, right) in left.iter_mut().zip(right) {
                (*left, *right) = (*left + *right, *left - *right);
            }
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
