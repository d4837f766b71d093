//! Who is enrolled: ids and names packed into pages that copies of a gallery share, and a hash table of ids in shards that
//! they share as well. A person keeps their slot for as long as they are enrolled; the slot of somebody removed is taken
//! by whoever comes next.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use super::rows::NONE;

/// People of a page: few enough that the page is quickly written anew when one of them changes.
const PAGE_PEOPLE: usize = 256;
/// Parts of the hash table, so that a change copies a small one.
const SHARDS: usize = 256;
/// The number of nobody: slots that are free.
const VACANT: u64 = u64::MAX;

/// Somebody enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person<'a> {
    /// Stable id, as the gallery's source gives it.
    pub id: &'a str,
    /// The name shown.
    pub name: &'a str,
}

/// What is kept of one person beside the text.
#[derive(Clone, Copy)]
struct Entry {
    /// Where the id ends and the name begins, and where the name ends, in the page's text.
    id_end: usize,
    end: usize,
    /// Grows with each enrolment.
    number: u64,
    /// The first of their rows; of a free slot, the next one that is free.
    first_row: u32,
}

#[derive(Clone, Default)]
struct Page {
    /// Ids and names, one after the other.
    text: String,
    entries: Vec<Entry>,
}

impl Page {
    fn start(&self, place: usize) -> usize {
        place.checked_sub(1).map_or(0, |before| self.entries[before].end)
    }

    fn person(&self, place: usize) -> Person<'_> {
        let entry = self.entries[place];
        Person { id: &self.text[self.start(place)..entry.id_end], name: &self.text[entry.id_end..entry.end] }
    }

    fn set_text(&mut self, place: usize, id: &str, name: &str) {
        let (start, end) = (self.start(place), self.entries[place].end);
        let longer = id.len() + name.len();
        self.text.replace_range(start..end, name);
        self.text.insert_str(start, id);
        self.entries[place].id_end = start + id.len();
        self.entries[place].end = start + longer;
        for entry in &mut self.entries[place + 1..] {
            entry.id_end = entry.id_end + longer - (end - start);
            entry.end = entry.end + longer - (end - start);
        }
        if self.entries.len() == PAGE_PEOPLE {
            self.text.shrink_to_fit();
        }
    }
}

/// Everybody enrolled, by slot and by id.
#[derive(Clone)]
pub(super) struct People {
    pages: Vec<Arc<Page>>,
    by_id: Vec<Arc<HashTable<u32>>>,
    hasher: RandomState,
    len: usize,
    /// The number of who comes next.
    next_number: u64,
    first_free: u32,
}

impl People {
    pub(super) fn new() -> Self {
        Self {
            pages: Vec::new(),
            by_id: vec![Arc::default(); SHARDS],
            hasher: RandomState::new(),
            len: 0,
            next_number: 0,
            first_free: NONE,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn slot_of(&self, id: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        self.by_id[shard(hash)].find(hash, |slot| self.person(*slot).id == id).copied()
    }

    pub(super) fn person(&self, slot: u32) -> Person<'_> {
        let (page, place) = locate(slot);
        self.pages[page].person(place)
    }

    /// Grows with each enrolment.
    pub(super) fn number(&self, slot: u32) -> u64 {
        let (page, place) = locate(slot);
        self.pages[page].entries[place].number
    }

    pub(super) fn first_row(&self, slot: u32) -> u32 {
        let (page, place) = locate(slot);
        self.pages[page].entries[place].first_row
    }

    /// Slots that are taken, in the order of enrolment.
    pub(super) fn in_order(&self) -> Vec<u32> {
        let entries = self.pages.iter().flat_map(|page| &page.entries).zip(0_u32..);
        let mut taken: Vec<(u64, u32)> = entries
            .filter(|(entry, _)| entry.number != VACANT)
            .map(|(entry, slot)| (entry.number, slot))
            .collect();
        taken.sort_unstable();
        taken.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Enrols somebody whose id is not there yet, without rows.
    pub(super) fn insert(&mut self, id: &str, name: &str) -> u32 {
        let slot = self.free_slot();
        let number = self.next_number;
        self.next_number += 1;
        self.len += 1;
        let (page, place) = self.page_mut(slot);
        page.set_text(place, id, name);
        (page.entries[place].number, page.entries[place].first_row) = (number, NONE);
        let hash = self.hasher.hash_one(id);
        let (pages, hasher) = (&self.pages, &self.hasher);
        let hash_of = |slot: &u32| {
            let (page, place) = locate(*slot);
            hasher.hash_one(pages[page].person(place).id)
        };
        Arc::make_mut(&mut self.by_id[shard(hash)]).insert_unique(hash, slot, hash_of);
        slot
    }

    /// Takes somebody out; their rows are the caller's business.
    pub(super) fn remove(&mut self, slot: u32) {
        let hash = self.hasher.hash_one(self.person(slot).id);
        if let Ok(entry) =
            Arc::make_mut(&mut self.by_id[shard(hash)]).find_entry(hash, |other| *other == slot)
        {
            entry.remove();
        }
        let next_free = std::mem::replace(&mut self.first_free, slot);
        let (page, place) = self.page_mut(slot);
        page.set_text(place, "", "");
        (page.entries[place].number, page.entries[place].first_row) = (VACANT, next_free);
        self.len -= 1;
    }

    pub(super) fn rename(&mut self, slot: u32, name: &str) {
        let id = self.person(slot).id.to_owned();
        let (page, place) = self.page_mut(slot);
        page.set_text(place, &id, name);
    }

    pub(super) fn set_first_row(&mut self, slot: u32, row: u32) {
        let (page, place) = self.page_mut(slot);
        page.entries[place].first_row = row;
    }

    /// A slot that is free, the last one given back first.
    fn free_slot(&mut self) -> u32 {
        if self.first_free != NONE {
            let slot = self.first_free;
            self.first_free = self.first_row(slot);
            return slot;
        }
        if self.pages.last().is_none_or(|page| page.entries.len() == PAGE_PEOPLE) {
            self.pages.push(Arc::default());
        }
        let page_number = self.pages.len() - 1;
        let page = Arc::make_mut(&mut self.pages[page_number]);
        let end = page.text.len();
        page.entries.push(Entry { id_end: end, end, number: VACANT, first_row: NONE });
        (page_number * PAGE_PEOPLE + page.entries.len() - 1) as u32
    }

    fn page_mut(&mut self, slot: u32) -> (&mut Page, usize) {
        let (page, place) = locate(slot);
        (Arc::make_mut(&mut self.pages[page]), place)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let of_page = |page: &Arc<Page>| {
            size_of::<Page>() + page.text.capacity() + size_of::<Entry>() * page.entries.capacity()
        };
        let pages: usize = self.pages.iter().map(of_page).sum();
        let pointers = size_of::<Arc<Page>>() * self.pages.capacity() + size_of::<usize>() * SHARDS;
        pages + pointers + self.by_id.iter().map(|shard| shard.allocation_size()).sum::<usize>()
    }
}

/// The page of a slot, and the place there.
fn locate(slot: u32) -> (usize, usize) {
    (slot as usize / PAGE_PEOPLE, slot as usize % PAGE_PEOPLE)
}

/// The shard of a hash. The table itself goes by the highest and the lowest bits.
fn shard(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}
