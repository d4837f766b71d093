//! The rows of all templates, in pages that copies of a gallery share until one of them changes a page. Rows are dense: the
//! last one moves to where one is removed, so that memory follows the number of templates down as well as up.

use std::sync::Arc;

use super::encoding::{Row, code_words};
use super::kernels::GROUP_ROWS;

/// Rows of a page: few enough to copy one quickly, many enough that a copy of a gallery of a million is a thousand pointers.
pub(super) const PAGE_ROWS: usize = 1024;
/// No row.
pub(super) const NONE: u32 = u32::MAX;

/// What is known of some neighbouring rows, each kind by itself.
#[derive(Clone, Default)]
pub(super) struct Page {
    high: Vec<i8>,
    low: Vec<i8>,
    /// For each group of rows and each word of a code, the rows' words.
    codes: Vec<[u64; GROUP_ROWS]>,
    code_weights: Vec<[f32; GROUP_ROWS]>,
    scales: Vec<f32>,
    /// The slots of the people the rows are templates of.
    owners: Vec<u32>,
    /// The owner's next row.
    next: Vec<u32>,
}

impl Page {
    /// High bytes of all rows.
    pub(super) fn high(&self) -> &[i8] {
        &self.high
    }

    /// Interleaved codes of all rows; in the last group some may be missing.
    pub(super) fn codes(&self) -> (&[[u64; GROUP_ROWS]], &[[f32; GROUP_ROWS]]) {
        (&self.codes, &self.code_weights)
    }

    pub(super) fn scales(&self) -> &[f32] {
        &self.scales
    }

    pub(super) fn owner(&self, place: usize) -> u32 {
        self.owners[place]
    }

    /// High and low bytes of a row.
    pub(super) fn bytes(&self, place: usize, dimension: usize) -> (&[i8], &[i8]) {
        let bytes = place * dimension..(place + 1) * dimension;
        (&self.high[bytes.clone()], &self.low[bytes])
    }

    fn row(&self, place: usize, dimension: usize) -> Row {
        let (group, lane) = (place / GROUP_ROWS, place % GROUP_ROWS);
        let words = code_words(dimension);
        let (high, low) = self.bytes(place, dimension);
        Row {
            high: high.into(),
            low: low.into(),
            code: self.codes[group * words..(group + 1) * words].iter().map(|lanes| lanes[lane]).collect(),
            scale: self.scales[place],
            code_weight: self.code_weights[group][lane],
        }
    }

    fn push(&mut self, row: &Row, owner: u32, next: u32) {
        let place = self.owners.len();
        if place.is_multiple_of(GROUP_ROWS) {
            self.codes.resize(self.codes.len() + row.code.len(), [0; GROUP_ROWS]);
            self.code_weights.push([0.0; GROUP_ROWS]);
        }
        self.high.extend_from_slice(&row.high);
        self.low.extend_from_slice(&row.low);
        self.scales.push(row.scale);
        self.owners.push(owner);
        self.next.push(next);
        self.set_code(place, row);
    }

    fn set(&mut self, place: usize, row: &Row, owner: u32, next: u32) {
        let bytes = place * row.high.len()..(place + 1) * row.high.len();
        self.high[bytes.clone()].copy_from_slice(&row.high);
        self.low[bytes].copy_from_slice(&row.low);
        (self.scales[place], self.owners[place], self.next[place]) = (row.scale, owner, next);
        self.set_code(place, row);
    }

    fn set_code(&mut self, place: usize, row: &Row) {
        let (group, lane) = (place / GROUP_ROWS, place % GROUP_ROWS);
        self.code_weights[group][lane] = row.code_weight;
        for (lanes, word) in self.codes[group * row.code.len()..].iter_mut().zip(&row.code) {
            lanes[lane] = *word;
        }
    }

    fn pop(&mut self, dimension: usize) {
        let left = self.owners.len().saturating_sub(1);
        self.high.truncate(left * dimension);
        self.low.truncate(left * dimension);
        self.codes.truncate(left.div_ceil(GROUP_ROWS) * code_words(dimension));
        self.code_weights.truncate(left.div_ceil(GROUP_ROWS));
        self.scales.truncate(left);
        self.owners.truncate(left);
        self.next.truncate(left);
    }

    fn memory_bytes(&self) -> usize {
        self.high.capacity()
            + self.low.capacity()
            + size_of::<[u64; GROUP_ROWS]>() * self.codes.capacity()
            + size_of::<[f32; GROUP_ROWS]>() * self.code_weights.capacity()
            + size_of::<f32>() * self.scales.capacity()
            + size_of::<u32>() * (self.owners.capacity() + self.next.capacity())
    }
}

/// A row that is now where another one was.
pub(super) struct Moved {
    pub(super) owner: u32,
    pub(super) from: u32,
    pub(super) to: u32,
}

/// All rows of a gallery.
#[derive(Clone)]
pub(super) struct Rows {
    dimension: usize,
    pages: Vec<Arc<Page>>,
    len: usize,
}

impl Rows {
    pub(super) fn new(dimension: usize) -> Self {
        Self { dimension, pages: Vec::new(), len: 0 }
    }

    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn pages(&self) -> &[Arc<Page>] {
        &self.pages
    }

    /// The page of a row, and its place there.
    pub(super) fn locate(&self, row: u32) -> (&Page, usize) {
        (&self.pages[row as usize / PAGE_ROWS], row as usize % PAGE_ROWS)
    }

    /// The row that follows in a chain.
    pub(super) fn next(&self, row: u32) -> u32 {
        let (page, place) = self.locate(row);
        page.next[place]
    }

    /// The rows of a chain that begins with `first`.
    pub(super) fn chain(&self, first: u32) -> impl Iterator<Item = u32> {
        let some = |row: u32| (row != NONE).then_some(row);
        std::iter::successors(some(first), move |row| some(self.next(*row)))
    }

    /// Whether the rows of a chain are these.
    pub(super) fn chain_equals(&self, first: u32, rows: &[Row]) -> bool {
        let kept = self.chain(first).map(|row| {
            let (page, place) = self.locate(row);
            page.row(place, self.dimension)
        });
        kept.eq(rows.iter().cloned())
    }

    /// Adds a row and says which it is.
    pub(super) fn push(&mut self, row: &Row, owner: u32, next: u32) -> u32 {
        if self.len.is_multiple_of(PAGE_ROWS) {
            self.pages.push(Arc::default());
        }
        if let Some(page) = self.pages.last_mut() {
            Arc::make_mut(page).push(row, owner, next);
        }
        self.len += 1;
        (self.len - 1) as u32
    }

    /// Takes a row out. The last one may have to move there: its chain is then to be mended.
    pub(super) fn remove(&mut self, row: u32) -> Option<Moved> {
        let last = self.len.checked_sub(1)? as u32;
        let (page, place) = self.locate(last);
        let (moving, owner, next) = (page.row(place, self.dimension), page.owners[place], page.next[place]);
        if let Some(page) = self.pages.last_mut() {
            Arc::make_mut(page).pop(self.dimension);
        }
        self.len -= 1;
        if self.len.is_multiple_of(PAGE_ROWS) {
            self.pages.pop();
        }
        if row == last {
            return None;
        }
        self.page_mut(row).set(row as usize % PAGE_ROWS, &moving, owner, next);
        Some(Moved { owner, from: last, to: row })
    }

    /// Makes another row follow in a chain.
    pub(super) fn set_next(&mut self, row: u32, next: u32) {
        self.page_mut(row).next[row as usize % PAGE_ROWS] = next;
    }

    fn page_mut(&mut self, row: u32) -> &mut Page {
        Arc::make_mut(&mut self.pages[row as usize / PAGE_ROWS])
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let pages = size_of::<Arc<Page>>() * self.pages.capacity() + size_of::<Page>() * self.pages.len();
        pages + self.pages.iter().map(|page| page.memory_bytes()).sum::<usize>()
    }
}
