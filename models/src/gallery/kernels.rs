//! The loops a search spends its time in, over whole pages of rows. They are plain; the compiler makes several versions of
//! them, and the widest one this processor can run is chosen while running.

use multiversion::multiversion;

/// Rows whose codes lie interleaved, so that each has a lane of its own.
pub(super) const GROUP_ROWS: usize = 8;
/// Binary digits each number of a query has when compared with codes.
pub(super) const QUERY_DIGITS: usize = 4;

/// The dot product of the query with each of the rows, which lie one after the other. Nothing overflows as long as the
/// query keeps within [`super::encoding::query_limit`].
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx512vpopcntdq", "x86_64+avx2+popcnt"))]
pub(super) fn dot_products(query: &[i16], rows: &[i8], products: &mut [i32]) {
    for (row, product) in rows.chunks_exact(query.len().max(1)).zip(products) {
        *product = query.iter().zip(row).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
    }
}

/// How far the query leans to the side of each code, times the weight of the code's row.
///
/// `planes` holds the query's binary digits for each word of a code, lowest first, each digit standing for ±1 like a
/// code's bits; so a digit that differs takes two off `most`, which is reached if all are equal.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx512vpopcntdq", "x86_64+avx2+popcnt"))]
pub(super) fn weighted_agreements(
    planes: &[[u64; QUERY_DIGITS]],
    codes: &[[u64; GROUP_ROWS]],
    weights: &[[f32; GROUP_ROWS]],
    most: i32,
    agreements: &mut [[f32; GROUP_ROWS]],
) {
    let groups = codes.chunks_exact(planes.len().max(1)).zip(weights).zip(agreements);
    for ((words, weights), agreements) in groups {
        let mut differing = [[0_u64; GROUP_ROWS]; QUERY_DIGITS];
        for (words, planes) in words.iter().zip(planes) {
            for (differing, plane) in differing.iter_mut().zip(planes) {
                for (differing, word) in differing.iter_mut().zip(words) {
                    *differing += u64::from((word ^ plane).count_ones());
                }
            }
        }
        for lane in 0..GROUP_ROWS {
            let weigh = |(digit, differing): (usize, &[u64; GROUP_ROWS])| differing[lane] << digit;
            let differing: u64 = differing.iter().enumerate().map(weigh).sum();
            agreements[lane] = (most - 2 * differing as i32) as f32 * weights[lane];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_whole_blocks_and_rests() {
        for length in [1_i16, 15, 16, 17, 100, 512] {
            let query: Vec<i16> = (0..length).map(|index| 40 * index - 7000).collect();
            let rows: Vec<i8> = (0..3 * length).map(|index| (index % 251 - 125) as i8).collect();
            let mut products = [0; 3];
            dot_products(&query, &rows, &mut products);
            for (row, product) in rows.chunks(query.len()).zip(products) {
                let expected: i64 = query.iter().zip(row).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
                assert_eq!(i64::from(product), expected, "{length}");
            }
        }
    }

    #[test]
    fn agreement_is_a_dot_product_of_digits_and_signs() {
        // Two words of code: a query whose numbers are −15 or 15, all of one sign in each word.
        let planes = [[u64::MAX; QUERY_DIGITS], [0; QUERY_DIGITS]];
        let mut codes = [[0; GROUP_ROWS]; 2];
        (codes[0][0], codes[1][0]) = (u64::MAX, 0);
        (codes[0][1], codes[1][1]) = (0, u64::MAX);
        (codes[0][2], codes[1][2]) = (u64::MAX, u64::MAX);
        let mut agreements = [[0.0; GROUP_ROWS]];
        weighted_agreements(&planes, &codes, &[[0.5; GROUP_ROWS]], 15 * 128, &mut agreements);
        assert_eq!(agreements[0][..3], [15.0 * 64.0, -15.0 * 64.0, 0.0]);
    }
}
