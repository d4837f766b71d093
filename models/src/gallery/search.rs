//! The search. A small gallery is searched exactly: all high bytes are compared, and the low ones of whoever may be among
//! the best. In a large one the codes of all rows are compared, and the bytes only where the estimate leaves a chance
//! worth mentioning: how large that is does not depend on how many rows there are, nor on how they lie.

use super::encoding::{CodeQuery, Query};
use super::kernels::{GROUP_ROWS, dot_products, weighted_agreements};
use super::people::People;
use super::rows::{PAGE_ROWS, Page, Rows};

/// Up to so many templates every row is compared.
pub(super) const EXACT_ROWS: usize = 8192;
/// Standard deviations of an estimate's error that are allowed for: a row that belongs to the answer is missed once in
/// several hundred times.
const ALLOWED_DEVIATIONS: f32 = 3.0;

/// So many rows of a page at most are looked at first, to know sooner what the others must have.
const FIRST_LOOKS: usize = 8;

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
    if k == 0 {
        return best.found;
    }
    if rows.len() <= EXACT_ROWS {
        rows.pages().iter().for_each(|page| search_all(page, query, &mut best));
    } else {
        let code_query = CodeQuery::new(query);
        rows.pages().iter().for_each(|page| search_likely(page, query, &code_query, &mut best));
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
    let mut bounds = [[f32::NEG_INFINITY; GROUP_ROWS]; PAGE_ROWS / GROUP_ROWS];
    let scaled = products.iter().zip(page.scales());
    for (bound, (product, scale)) in bounds.as_flattened_mut().iter_mut().zip(scaled) {
        *bound = query.similarity_bound(*product, *scale);
    }
    let groups = page.scales().len().div_ceil(GROUP_ROWS);
    look_closer(page, query, &bounds[..groups], best, |similarity| similarity);
}

fn search_likely(page: &Page, query: &Query, code_query: &CodeQuery, best: &mut Best) {
    let mut agreements = [[f32::NEG_INFINITY; GROUP_ROWS]; PAGE_ROWS / GROUP_ROWS];
    let (codes, weights) = page.codes();
    let most = code_query.most_agreement();
    weighted_agreements(&code_query.planes, codes, weights, most, &mut agreements);
    let least = |similarity| code_query.least_agreement(similarity, ALLOWED_DEVIATIONS);
    look_closer(page, query, &agreements[..weights.len()], best, least);
}

/// Compares the rows whose promise is not below what `least` makes of the similarity a row must have to change anything.
fn look_closer(
    page: &Page,
    query: &Query,
    promises: &[[f32; GROUP_ROWS]],
    best: &mut Best,
    least: impl Fn(f32) -> f32,
) {
    let mut greatest = [f32::NEG_INFINITY; PAGE_ROWS / GROUP_ROWS];
    for (greatest, promises) in greatest.iter_mut().zip(promises) {
        *greatest = promises.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    }
    let mut first_looks = greatest;
    for _ in 0..best.most.min(FIRST_LOOKS) {
        let most_promising = first_looks.iter_mut().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
        let Some((group, promise)) = most_promising.filter(|(_, promise)| **promise >= least(best.least()))
        else {
            break;
        };
        let lane =
            promises.get(group).and_then(|promises| promises.iter().position(|other| other == promise));
        *promise = f32::NEG_INFINITY;
        lane.into_iter().for_each(|lane| offer(page, group * GROUP_ROWS + lane, query, best));
    }
    let mut least_promise = least(best.least());
    for (group, promises) in promises.iter().enumerate() {
        if greatest[group] < least_promise {
            continue;
        }
        for (lane, promise) in promises.iter().enumerate() {
            if *promise >= least_promise {
                offer(page, group * GROUP_ROWS + lane, query, best);
                least_promise = least(best.least());
            }
        }
    }
}

/// Compares a row, if there is one at that place.
fn offer(page: &Page, place: usize, query: &Query, best: &mut Best) {
    if place >= page.scales().len() {
        return;
    }
    let least = best.least();
    if let Some(similarity) = compare(page, place, query, least).filter(|similarity| *similarity >= least) {
        best.offer(similarity, page.owner(place));
    }
}
