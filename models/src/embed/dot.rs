//! The dot product, in loops the compiler turns into vector instructions.

/// Numbers a dot product adds up side by side; the compiler keeps them in vector registers.
const LANES: usize = 16;

/// The dot product of two vectors; what one has more than the other counts nothing.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    let mut lanes = [0.0_f32; LANES];
    let (blocks_a, blocks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = blocks_a.remainder().iter().zip(blocks_b.remainder()).map(|(a, b)| a * b).sum();
    for (block_a, block_b) in blocks_a.zip(blocks_b) {
        for lane in 0..LANES {
            lanes[lane] += block_a[lane] * block_b[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_product_of_whole_blocks_and_rests() {
        for length in [0, 1, 15, 16, 17, 128, 512] {
            let a: Vec<f32> = (0..length).map(|index| index as f32 / 100.0).collect();
            let b: Vec<f32> = (0..length).map(|index| 1.0 - index as f32 / 300.0).collect();
            let plain: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dot(&a, &b)) - plain).abs() < 1e-2 * plain.abs().max(1e-3), "{length}");
        }
    }
}
