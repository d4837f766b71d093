//! The assignment problem: which detection belongs to which track, so that the sum over all pairs is best
//! rather than each pair by itself. This is what keeps two people apart who cross.

/// The cost of a pair that must not be.
pub const FORBIDDEN: f32 = 1e6;

/// For each row its column, so that the sum of costs is least; rows whose every choice is forbidden get none.
/// `costs` holds the rows one after the other. Shortest augmenting paths with potentials, O(rows² · columns).
pub fn assign(costs: &[f32], rows: usize, columns: usize) -> Vec<Option<usize>> {
    if rows == 0 || columns == 0 {
        return vec![None; rows];
    }
    debug_assert_eq!(costs.len(), rows * columns);
    // Every row has a place of its own to stay alone in, at the price of a forbidden pair.
    let width = columns + rows;
    // In f64: beside the price of a forbidden pair, f32 would round the differences that matter away.
    let cost = |row: usize, column: usize| -> f64 {
        f64::from(if column < columns { costs[row * columns + column].min(FORBIDDEN) } else { FORBIDDEN })
    };
    // Index 0 stands for "none" in all of these; rows and columns count from 1.
    let mut row_potential = vec![0.0_f64; rows + 1];
    let mut column_potential = vec![0.0_f64; width + 1];
    let mut row_of_column = vec![0_usize; width + 1];
    let mut way = vec![0_usize; width + 1];
    for row in 1..=rows {
        row_of_column[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; width + 1];
        let mut visited = vec![false; width + 1];
        while row_of_column[column] != 0 {
            visited[column] = true;
            let from = row_of_column[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for to in 1..=width {
                if visited[to] {
                    continue;
                }
                let reduced = cost(from - 1, to - 1) - row_potential[from] - column_potential[to];
                if reduced < least[to] {
                    least[to] = reduced;
                    way[to] = column;
                }
                if least[to] < step {
                    step = least[to];
                    next = to;
                }
            }
            for to in 0..=width {
                if visited[to] {
                    row_potential[row_of_column[to]] += step;
                    column_potential[to] -= step;
                } else {
                    least[to] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of_column[column] = row_of_column[way[column]];
            column = way[column];
        }
    }
    let mut result = vec![None; rows];
    for (column, row) in row_of_column.iter().skip(1).take(columns).enumerate() {
        if *row != 0 && cost(row - 1, column) < f64::from(FORBIDDEN) {
            result[row - 1] = Some(column);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_counts_not_the_single_best_pair() {
        // The best single pair (row 0, column 0) would force row 1 into a far worse one.
        let costs = [0.1, 0.2, 0.15, 0.9];
        assert_eq!(assign(&costs, 2, 2), [Some(1), Some(0)]);
    }

    #[test]
    fn forbidden_pairs_stay_alone() {
        let costs = [FORBIDDEN, 0.5, FORBIDDEN, FORBIDDEN, FORBIDDEN, 0.2];
        // Rows 0 and 2 both want column 1; row 1 wants nobody.
        assert_eq!(assign(&costs, 3, 2), [None, None, Some(1)]);
    }

    #[test]
    fn agrees_with_trying_every_permutation() {
        let mut state = 7_u32;
        for _ in 0..50 {
            let costs: Vec<f32> = (0..16)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 16) as f32 / 65_536.0
                })
                .collect();
            let found: f32 = assign(&costs, 4, 4)
                .iter()
                .enumerate()
                .filter_map(|(row, at)| Some(costs[row * 4 + (*at)?]))
                .sum();
            assert!((found - least_sum(&costs, 0, [false; 4])).abs() < 1e-5);
        }
    }

    fn least_sum(costs: &[f32], row: usize, taken: [bool; 4]) -> f32 {
        if row == 4 {
            return 0.0;
        }
        let free = (0..4).filter(|column| !taken[*column]);
        free.map(|column| {
            let mut taken = taken;
            taken[column] = true;
            costs[row * 4 + column] + least_sum(costs, row + 1, taken)
        })
        .fold(f32::INFINITY, f32::min)
    }

    #[test]
    fn nothing_to_assign() {
        assert!(assign(&[], 0, 3).is_empty());
        assert_eq!(assign(&[], 2, 0), [None, None]);
    }
}
