//! How templates and queries are kept. A template becomes 16-bit numbers, split into a high and a low byte, and a code of
//! its signs. The high bytes tell the similarity to about a thousandth, both to about a millionth, and the code,
//! an eighth of the former's size, tells which rows need no closer look (Gao and Long, *RaBitQ*, SIGMOD 2024).

use super::kernels::QUERY_DIGITS;
use super::rotation::Rotation;

/// The greatest number a row has: its high byte, rounded, still is an `i8`.
const ROW_LIMIT: f32 = 32_639.0;
/// What a high byte counts for in comparison with a low one.
const HIGH_WEIGHT: i64 = 256;
/// The step between the sixteen numbers of a query compared with codes, in standard deviations: the best one for
/// normally distributed numbers (Max, *Quantizing for minimum distortion*, 1960).
const DIGIT_STEP: f32 = 0.335;
/// Standard deviation of an estimate from a code, times the square root of the dimension: of the code, √(π/2 − 1), and of
/// the query's digits, together.
const ESTIMATE_DEVIATION: f32 = 0.77;

/// The greatest number a query may have, so that its dot product with bytes fits 32 bits.
pub(super) fn query_limit(dimension: usize) -> f32 {
    let limit = i32::MAX as usize / (128 * dimension.max(1));
    limit.min(i16::MAX as usize) as f32
}

/// Words a code takes.
pub(super) fn code_words(dimension: usize) -> usize {
    dimension.div_ceil(64)
}

/// A template, ready to be kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) high: Box<[i8]>,
    pub(super) low: Box<[i8]>,
    pub(super) code: Box<[u64]>,
    /// Makes a number of `256 * high + low` one of a vector of length one.
    pub(super) scale: f32,
    /// Makes an agreement of the code an estimate: one over the sum of the numbers' sizes.
    pub(super) code_weight: f32,
}

impl Row {
    /// A row of a vector of length one.
    pub(super) fn new(rotation: &Rotation, mut unit: Box<[f32]>) -> Self {
        rotation.apply(&mut unit);
        let (whole, scale) = quantised(&unit, ROW_LIMIT);
        let high: Box<[i8]> = whole.iter().map(|number| ((i32::from(*number) + 128) >> 8) as i8).collect();
        let low =
            whole.iter().zip(&high).map(|(number, high)| (i32::from(*number) - 256 * i32::from(*high)) as i8);
        let sizes: f32 = unit.iter().map(|value| value.abs()).sum();
        Self {
            low: low.collect(),
            high,
            code: bits(&unit, |value| *value >= 0.0).collect(),
            scale,
            code_weight: 1.0 / sizes,
        }
    }
}

/// A query.
pub(super) struct Query {
    unit: Box<[f32]>,
    pub(super) whole: Box<[i16]>,
    scale: f32,
}

impl Query {
    /// A query of a vector of length one.
    pub(super) fn new(rotation: &Rotation, mut unit: Box<[f32]>) -> Self {
        rotation.apply(&mut unit);
        let (whole, scale) = quantised(&unit, query_limit(unit.len()));
        Self { unit, whole, scale }
    }

    /// The greatest similarity a row may have whose high bytes have that dot product with the query.
    pub(super) fn similarity_bound(&self, high_product: i32, row_scale: f32) -> f32 {
        // No low byte is further from nought than 128, and by Cauchy and Schwarz the query, of length one, makes of
        // them no more than their length. The thousandth more is for rounding.
        let lowest = 1.001 * 128.0 * (self.whole.len() as f32).sqrt();
        row_scale * (HIGH_WEIGHT as f32 * self.scale * high_product as f32 + lowest)
    }

    /// The similarity to a row by the dot products of its high and its low bytes.
    pub(super) fn similarity(&self, high_product: i32, low_product: i32, row_scale: f32) -> f32 {
        let product = HIGH_WEIGHT * i64::from(high_product) + i64::from(low_product);
        let similarity = product as f64 * f64::from(self.scale) * f64::from(row_scale);
        similarity.clamp(-1.0, 1.0) as f32
    }
}

/// A query as it is compared with codes.
pub(super) struct CodeQuery {
    dimension: usize,
    /// For each word of a code, the digits of the query's numbers.
    pub(super) planes: Box<[[u64; QUERY_DIGITS]]>,
    /// Makes a weighted agreement a similarity.
    agreement_scale: f32,
}

impl CodeQuery {
    pub(super) fn new(query: &Query) -> Self {
        let dimension = query.unit.len();
        let levels = (1_i32 << QUERY_DIGITS) as f32;
        let step = DIGIT_STEP / (dimension as f32).sqrt();
        let digits = |value: &f32| (value / step + levels / 2.0).floor().clamp(0.0, levels - 1.0) as u8;
        let digits: Box<[u8]> = query.unit.iter().map(digits).collect();
        let mut planes = vec![[0; QUERY_DIGITS]; code_words(dimension)].into_boxed_slice();
        for digit in 0..QUERY_DIGITS {
            for (planes, word) in planes.iter_mut().zip(bits(&digits, |digits| digits >> digit & 1 == 1)) {
                planes[digit] = word;
            }
        }
        // The sixteen numbers are a little shorter than what they stand for, which would make all estimates small.
        let stands_for = |digits: u8| 2.0 * f32::from(digits) - (levels - 1.0);
        let product: f32 =
            query.unit.iter().zip(&digits).map(|(value, digits)| value * stands_for(*digits)).sum();
        Self { dimension, planes, agreement_scale: 1.0 / product }
    }

    /// The agreement of equal digits and signs.
    pub(super) fn most_agreement(&self) -> i32 {
        (self.dimension << QUERY_DIGITS) as i32 - self.dimension as i32
    }

    /// The least weighted agreement of a row that may be as similar as `similarity`, with so many standard deviations
    /// allowed for.
    pub(super) fn least_agreement(&self, similarity: f32, deviations: f32) -> f32 {
        let deviation = ESTIMATE_DEVIATION / (self.dimension as f32).sqrt();
        (similarity - deviations * deviation) / self.agreement_scale
    }
}

/// Whole numbers in the proportions of a vector, the greatest of size `limit`, and what makes them a vector of length
/// one: by that, not by what they were rounded from, so that a vector is as similar to itself as can be.
fn quantised(vector: &[f32], limit: f32) -> (Box<[i16]>, f32) {
    let greatest = vector.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
    let factor = limit / greatest.max(f32::MIN_POSITIVE);
    // Rounded by cutting off, because `round` is a call for each number where the processor is taken for an old one.
    let round = |number: f32| (number + 0.5_f32.copysign(number)) as i16;
    let whole: Box<[i16]> = vector.iter().map(|value| round(value * factor)).collect();
    let squares: i64 = whole.iter().map(|number| i64::from(*number) * i64::from(*number)).sum();
    (whole, (1.0 / (squares.max(1) as f64).sqrt()) as f32)
}

/// A bit for each of the values, in words of 64.
fn bits<T>(values: &[T], is_set: impl Fn(&T) -> bool) -> impl Iterator<Item = u64> {
    values.chunks(64).map(move |values| {
        values.iter().enumerate().fold(0, |word, (place, value)| word | u64::from(is_set(value)) << place)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::kernels::{GROUP_ROWS, dot_products, weighted_agreements};
    use super::*;
    use crate::embed::normalised;

    fn similarity(query: &Query, row: &Row) -> f32 {
        let (mut high, mut low) = ([0], [0]);
        dot_products(&query.whole, &row.high, &mut high);
        dot_products(&query.whole, &row.low, &mut low);
        assert!(query.similarity(high[0], low[0], row.scale) <= query.similarity_bound(high[0], row.scale));
        query.similarity(high[0], low[0], row.scale)
    }

    /// A vector without any pattern, of length one.
    fn vector(dimension: usize, seed: u32) -> Box<[f32]> {
        let mut state = 2 * seed + 1;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        // The first numbers of neighbouring seeds are neighbours, too.
        for _ in 0..10 {
            next();
        }
        normalised(&(0..dimension).map(|_| next() + next() + 0.05).collect::<Vec<f32>>()).unwrap()
    }

    #[test]
    fn similarities_are_exact_to_a_hundred_thousandth() {
        for dimension in [1, 3, 100, 128, 512, 1024, 4096] {
            let rotation = Rotation::new(dimension);
            for seed in 1..20 {
                let (a, b) = (vector(dimension, 0), vector(dimension, seed));
                let exact: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let query = Query::new(&rotation, a);
                let found = similarity(&query, &Row::new(&rotation, b));
                assert!((f64::from(found) - exact).abs() < 2e-5, "{dimension}: {found} for {exact}");
            }
            let (query, row) = (vector(dimension, 0), vector(dimension, 0));
            let found = similarity(&Query::new(&rotation, query), &Row::new(&rotation, row));
            assert!((found - 1.0).abs() < 1e-6, "{dimension}: {found}");
        }
    }

    #[test]
    fn estimates_from_codes_scatter_as_they_are_said_to() {
        for dimension in [100, 128, 512] {
            let rotation = Rotation::new(dimension);
            let (mut bias, mut squares) = (0.0, 0.0);
            for seed in 1..=400_u32 {
                let (a, b) = (vector(dimension, 2 * seed), vector(dimension, 2 * seed + 1));
                let exact: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
                let row = Row::new(&rotation, b);
                let query = CodeQuery::new(&Query::new(&rotation, a));
                let mut codes = vec![[0; GROUP_ROWS]; row.code.len()];
                codes.iter_mut().zip(&row.code).for_each(|(lanes, word)| lanes[0] = *word);
                let mut agreements = [[0.0; GROUP_ROWS]];
                let weights = [[row.code_weight; GROUP_ROWS]];
                let most = query.most_agreement();
                weighted_agreements(&query.planes, &codes, &weights, most, &mut agreements);
                let error = agreements[0][0] * query.agreement_scale - exact;
                // What is left of the query beside the row is what is guessed.
                let error = error * (dimension as f32).sqrt() / (1.0 - exact * exact).sqrt();
                bias += error / 400.0;
                squares += error * error / 400.0;
            }
            assert!(bias.abs() < 0.15, "{dimension}: {bias}");
            let deviation = squares.sqrt();
            assert!((0.6..ESTIMATE_DEVIATION * 1.1).contains(&deviation), "{dimension}: {deviation}");
        }
    }
}
