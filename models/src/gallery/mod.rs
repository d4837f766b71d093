//! The gallery: who is enrolled, and whom a face resembles most. Similarity is the cosine of two embeddings;
//! a person is as similar as the best of their templates.
//!
//! A million templates fit one process. Copies of a gallery share all pages that do not differ, so that a changed gallery
//! is a copy with a few pages of its own, made while others go on searching the one before.

mod encoding;
mod kernels;
mod people;
mod rotation;
mod rows;
mod search;

use encoding::{Query, Row};
use people::People;
pub use people::Person;
use rotation::Rotation;
use rows::{Moved, NONE, Rows};

use crate::embed::normalised;

/// One answer of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match<'a> {
    /// Who.
    pub person: Person<'a>,
    /// Cosine similarity of the person's best template, −1 to 1, to about 0.00001.
    pub similarity: f32,
}

/// Why a person cannot be enrolled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GalleryError {
    /// A template of another model.
    #[error(
        "a template of person {person_id} has {actual} numbers, but this gallery's model makes {expected}: \
         enrol the person again with this model"
    )]
    Dimension {
        /// Whose template.
        person_id: String,
        /// What the gallery takes.
        expected: usize,
        /// What came.
        actual: usize,
    },
    /// A template without a direction.
    #[error("a template of person {person_id} is all zeros or not made of numbers: enrol the person again")]
    Unusable {
        /// Whose template.
        person_id: String,
    },
    /// The same id twice.
    #[error("person {person_id} is in the gallery already: give all templates of a person at once")]
    Duplicate {
        /// Whose id.
        person_id: String,
    },
}

/// People and their templates, all of one model. A clone shares memory with the original for all that stays the same in both.
#[derive(Clone)]
pub struct Gallery {
    rotation: Rotation,
    people: People,
    rows: Rows,
}

/// Templates are personal data: a debug print must not carry them into a log.
impl std::fmt::Debug for Gallery {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Gallery({} people, {} templates)", self.len(), self.template_count())
    }
}

impl Gallery {
    /// An empty gallery for embeddings of the given length.
    pub fn new(dimension: usize) -> Self {
        Self { rotation: Rotation::new(dimension), people: People::new(), rows: Rows::new(dimension) }
    }

    /// How many numbers a template has.
    pub fn dimension(&self) -> usize {
        self.rows.dimension()
    }

    /// How many people there are.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether nobody is enrolled.
    pub fn is_empty(&self) -> bool {
        self.people.len() == 0
    }

    /// How many templates there are.
    pub fn template_count(&self) -> usize {
        self.rows.len()
    }

    /// Everybody, in the order of enrolment.
    pub fn persons(&self) -> Vec<Person<'_>> {
        self.people.in_order().into_iter().map(|slot| self.people.person(slot)).collect()
    }

    /// The person of that id.
    pub fn person(&self, id: &str) -> Option<Person<'_>> {
        self.people.slot_of(id).map(|slot| self.people.person(slot))
    }

    /// A small number that is this person's for as long as they are enrolled, and may be somebody else's afterwards. In a
    /// gallery nobody was removed from, it counts people in the order of enrolment, from 0.
    pub fn place_of(&self, id: &str) -> Option<usize> {
        self.people.slot_of(id).map(|slot| slot as usize)
    }

    /// Enrols a person with all their templates (which are normalised here). On an error nothing is added.
    pub fn add_person(
        &mut self,
        id: impl AsRef<str>,
        name: impl AsRef<str>,
        templates: &[Vec<f32>],
    ) -> Result<(), GalleryError> {
        let (id, name) = (id.as_ref(), name.as_ref());
        if self.people.slot_of(id).is_some() {
            return Err(GalleryError::Duplicate { person_id: id.to_string() });
        }
        let rows = self.encoded(id, templates)?;
        let slot = self.people.insert(id, name);
        self.add_rows(slot, &rows);
        Ok(())
    }

    /// Gives a person this name and these templates instead of those they have, or enrols them if they are not yet. Says
    /// whether that made a difference. They keep their place in the order of enrolment. On an error nothing changes.
    pub fn replace_person(
        &mut self,
        id: impl AsRef<str>,
        name: impl AsRef<str>,
        templates: &[Vec<f32>],
    ) -> Result<bool, GalleryError> {
        let (id, name) = (id.as_ref(), name.as_ref());
        let Some(slot) = self.people.slot_of(id) else {
            return self.add_person(id, name, templates).map(|()| true);
        };
        let rows = self.encoded(id, templates)?;
        // What stays the same is not written, because writing would copy pages that others share.
        let is_renamed = self.people.person(slot).name != name;
        if is_renamed {
            self.people.rename(slot, name);
        }
        if self.rows.chain_equals(self.people.first_row(slot), &rows) {
            return Ok(is_renamed);
        }
        self.remove_rows(slot);
        self.add_rows(slot, &rows);
        Ok(true)
    }

    /// Takes a person out with all their templates; false if they were not there.
    pub fn remove_person(&mut self, id: &str) -> bool {
        let Some(slot) = self.people.slot_of(id) else { return false };
        self.remove_rows(slot);
        self.people.remove(slot);
        true
    }

    /// The `k` people most similar to the query, best first; each person once. People without templates never
    /// match, and a query of another length matches nobody.
    ///
    /// Among more than 8192 templates, somebody who belongs to the answer may be missed once in several hundred times.
    pub fn best(&self, query: &[f32], k: usize) -> Vec<Match<'_>> {
        let Some(query) = self.comparable(query) else { return Vec::new() };
        search::best(&self.rows, &self.people, &query, k)
            .into_iter()
            .map(|found| Match { person: self.people.person(found.slot), similarity: found.similarity })
            .collect()
    }

    /// How similar the query is to one person; nothing for somebody who is not enrolled.
    pub fn similarity_to(&self, query: &[f32], person_id: &str) -> Option<f32> {
        let slot = self.people.slot_of(person_id)?;
        let query = self.comparable(query)?;
        let rows = self.rows.chain(self.people.first_row(slot)).map(|row| self.rows.locate(row));
        rows.map(|(page, place)| search::similarity(page, place, &query)).reduce(f32::max)
    }

    /// Bytes allocated for people and templates, whether or not other galleries share them.
    pub fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes() + self.people.memory_bytes()
    }

    fn comparable(&self, query: &[f32]) -> Option<Query> {
        let unit = if query.len() == self.dimension() { normalised(query) } else { None };
        unit.map(|unit| Query::new(&self.rotation, unit))
    }

    fn encoded(&self, id: &str, templates: &[Vec<f32>]) -> Result<Vec<Row>, GalleryError> {
        let encode = |template: &Vec<f32>| {
            if template.len() != self.dimension() {
                return Err(GalleryError::Dimension {
                    person_id: id.to_string(),
                    expected: self.dimension(),
                    actual: template.len(),
                });
            }
            let unit =
                normalised(template).ok_or_else(|| GalleryError::Unusable { person_id: id.to_string() })?;
            Ok(Row::new(&self.rotation, unit))
        };
        templates.iter().map(encode).collect()
    }

    /// Adds rows to a person without any.
    fn add_rows(&mut self, slot: u32, rows: &[Row]) {
        // From the last to the first, because each has to know which one follows.
        let first = rows.iter().rev().fold(NONE, |next, row| self.rows.push(row, slot, next));
        if first != NONE {
            self.people.set_first_row(slot, first);
        }
    }

    fn remove_rows(&mut self, slot: u32) {
        let mut rows: Vec<u32> = self.rows.chain(self.people.first_row(slot)).collect();
        // From the end, so that the row that moves into a gap is never one that is to go.
        rows.sort_unstable();
        for row in rows.into_iter().rev() {
            if let Some(moved) = self.rows.remove(row) {
                self.mend_chain(&moved);
            }
        }
        self.people.set_first_row(slot, NONE);
    }

    /// Leads the chain of a row that moved to where it is now.
    fn mend_chain(&mut self, moved: &Moved) {
        let first = self.people.first_row(moved.owner);
        if first == moved.from {
            self.people.set_first_row(moved.owner, moved.to);
            return;
        }
        // Which row leads there, looked for before the chain has to pass the gap.
        let before = self.rows.chain(first).find(|row| self.rows.next(*row) == moved.from);
        if let Some(before) = before {
            self.rows.set_next(before, moved.to);
        }
    }
}

#[cfg(test)]
mod tests;
