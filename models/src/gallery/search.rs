//! The search. A small gallery is searched exactly: all high bytes are compared, and the low ones of whoever may be among
//! the best. In a large one the codes of all rows are compared, and the bytes only where the estimate leaves a chance
//! worth mentioning: how large that is does not depend on how many rows there are, nor on how they lie.

use super::encoding::Query;
use super::kernels::{GROUP_ROWS, dot_products, weighted_agreements};
use super::people::People;
use super::rows::{PAGE_ROWS, Page, Rows};

/// Up to so many templates every row is compared.
pub(super) const EXACT_ROWS: usize = 8192;
/// Standard deviations of an estimate's error that are allowed for: a row that belongs to the answer is missed once in
/// several hundred times.
const ALLOWED_DEVIATIONS: f32 = 3.0;

/// Somebody found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub(super) similarity: f32,
    /// Of people as similar as each other, who was enrolled first comes first.
    number: u64,
    pub(super) slot: u32,
}

impl Found {
    fn is_before(&self, other: &Self) -> bool {
        self.similarity > other.similarity
            || (self.similarity == other.similarity && self.number < other.number)
    }
}

/// The best people so far, each once, best first.
struct Best<'a> {
    people: &'a People,
    most: usize,
    found: Vec<Found>,
}

impl Best<'_> {
    /// What a row must have to change anything.
    fn least(&self) -> f32 {
        let last = self.found.len().checked_sub(1).filter(|_| self.found.len() >= self.most);
        last.map_or(f32::NEG_INFINITY, |last| self.found[last].similarity)
    }

    fn offer(&mut self, similarity: f32, slot: u32) {
        let offered = Found { similarity, number: self.people.number(slot), slot };
        if let Some(place) = self.found.iter().position(|found| found.slot == slot) {
            if !offered.is_before(&self.found[place]) {
                return;
            }
            self.found.remove(place);
        }
        let place = self.found.partition_point(|found| found.is_before(&offered));
        if place < self.most {
            self.found.truncate(self.most - 1);
            self.found.insert(place, offered);
        }
    }
}

/// The `k` people most similar to the query, best first.
pub(super) fn best(rows: &Rows, people: &People, query: &Query, k: usize) -> Vec<Found> {
    let mut best = Best { people, most: k, found: Vec::new() };
    if k > 0 {
        let search = if rows.len() <= EXACT_ROWS { search_all } else { search_likely };
        rows.pages().iter().for_each(|page| search(page, query, &mut best));
    }
    best.found
}

/// The similarity of one row.
pub(super) fn similarity(page: &Page, place: usize, query: &Query) -> f32 {
    compare(page, place, query, f32::NEG_INFINITY).unwrap_or(f32::NEG_INFINITY)
}

/// The similarity of a row, unless its high bytes already say that it is less than `least`.
fn compare(page: &Page, place: usize, query: &Query, least: f32) -> Option<f32> {
    let (high, low) = page.bytes(place, query.whole.len());
    let mut products = [0; 2];
    let [high_product, low_product] = &mut products;
    dot_products(&query.whole, high, std::slice::from_mut(high_product));
    if query.similarity_bound(*high_product, page.scales()[place]) < least {
        return None;
    }
    dot_products(&query.whole, low, std::slice::from_mut(low_product));
    Some(query.similarity(*high_product, *low_product, page.scales()[place]))
}

fn search_all(page: &Page, query: &Query, best: &mut Best) {
    let mut products = [0; PAGE_ROWS];
    dot_products(&query.whole, page.high(), &mut products);
    let mut least = best.least();
    for (place, (product, scale)) in products.iter().zip(page.scales()).enumerate() {
        if query.similarity_bound(*product, *scale) >= least {
            offer(page, place, query, best);
            least = best.least();
        }
    }
}

fn search_likely(page: &Page, query: &Query, best: &mut Best) {
    let mut agreements = [[0.0; GROUP_ROWS]; PAGE_ROWS / GROUP_ROWS];
    let (codes, weights) = page.codes();
    weighted_agreements(&query.planes, codes, weights, query.most_agreement(), &mut agreements);
    let least_agreement = |best: &Best| query.least_agreement(best.least(), ALLOWED_DEVIATIONS);
    let mut least = least_agreement(best);
    for (group, agreements) in agreements.iter().take(weights.len()).enumerate() {
        if agreements.iter().all(|agreement| *agreement < least) {
            continue;
        }
        for (lane, agreement) in agreements.iter().enumerate() {
            let place = group * GROUP_ROWS + lane;
            if *agreement >= least && place < page.scales().len() {
                offer(page, place, query, best);
                least = least_agreement(best);
            }
        }
    }
}

fn offer(page: &Page, place: usize, query: &Query, best: &mut Best) {
    let least = best.least();
    if let Some(similarity) = compare(page, place, query, least).filter(|similarity| *similarity >= least) {
        best.offer(similarity, page.owner(place));
    }
}
