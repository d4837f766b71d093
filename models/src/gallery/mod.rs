//! The gallery: who is enrolled, and whom a face resembles most. Similarity is the cosine of two embeddings;
//! a person is as similar as the best of their templates.

mod exact;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use exact::ExactIndex;
pub(crate) use exact::dot;

use crate::embed::normalised;

/// Somebody enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Stable id, as the gallery's source gives it.
    pub id: Arc<str>,
    /// The name shown.
    pub name: Arc<str>,
}

/// One answer of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match<'a> {
    /// Who.
    pub person: &'a Person,
    /// Cosine similarity of the person's best template, −1 to 1.
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

/// People and their templates, all of one model.
#[derive(Debug, Clone)]
pub struct Gallery {
    dimension: usize,
    persons: Vec<Person>,
    by_id: HashMap<Arc<str>, usize>,
    /// For each person, their rows in the index.
    rows: Vec<Range<usize>>,
    index: ExactIndex,
}

impl Gallery {
    /// An empty gallery for embeddings of the given length.
    pub fn new(dimension: usize) -> Self {
        Self {
            dimension,
            persons: Vec::new(),
            by_id: HashMap::new(),
            rows: Vec::new(),
            index: ExactIndex::new(dimension),
        }
    }

    /// How many numbers a template has.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// How many people there are.
    pub fn len(&self) -> usize {
        self.persons.len()
    }

    /// Whether nobody is enrolled.
    pub fn is_empty(&self) -> bool {
        self.persons.is_empty()
    }

    /// How many templates there are.
    pub fn template_count(&self) -> usize {
        self.index.len()
    }

    /// Everybody, in the order of enrolment.
    pub fn persons(&self) -> &[Person] {
        &self.persons
    }

    /// The person of that id.
    pub fn person(&self, id: &str) -> Option<&Person> {
        self.by_id.get(id).map(|index| &self.persons[*index])
    }

    /// Enrols a person with all their templates (which are normalised here). On an error nothing is added.
    pub fn add_person(
        &mut self,
        id: impl Into<Arc<str>>,
        name: impl Into<Arc<str>>,
        templates: &[Vec<f32>],
    ) -> Result<(), GalleryError> {
        let (id, name) = (id.into(), name.into());
        if self.by_id.contains_key(&id) {
            return Err(GalleryError::Duplicate { person_id: id.to_string() });
        }
        let mut rows = Vec::with_capacity(templates.len());
        for template in templates {
            if template.len() != self.dimension {
                return Err(GalleryError::Dimension {
                    person_id: id.to_string(),
                    expected: self.dimension,
                    actual: template.len(),
                });
            }
            let row = normalised(template);
            rows.push(row.ok_or_else(|| GalleryError::Unusable { person_id: id.to_string() })?);
        }
        let first_row = self.index.len();
        for row in &rows {
            self.index.push(row);
        }
        self.rows.push(first_row..self.index.len());
        self.by_id.insert(Arc::clone(&id), self.persons.len());
        self.persons.push(Person { id, name });
        Ok(())
    }

    /// The `k` people most similar to the query, best first; each person once. People without templates never
    /// match, and a query of another length matches nobody.
    pub fn best(&self, query: &[f32], k: usize) -> Vec<Match<'_>> {
        let Some(query) = self.comparable(query) else { return Vec::new() };
        let mut best: Vec<Match> = Vec::with_capacity(k.min(self.persons.len()));
        for (person, rows) in self.persons.iter().zip(&self.rows) {
            let Some(similarity) = self.index.best(rows.clone(), &query) else { continue };
            let at = best.partition_point(|found| found.similarity >= similarity);
            if at < k {
                best.truncate(k - 1);
                best.insert(at, Match { person, similarity });
            }
        }
        best
    }

    /// How similar the query is to one person; nothing for somebody who is not enrolled.
    pub fn similarity_to(&self, query: &[f32], person_id: &str) -> Option<f32> {
        let person = *self.by_id.get(person_id)?;
        self.index.best(self.rows[person].clone(), &self.comparable(query)?)
    }

    fn comparable(&self, query: &[f32]) -> Option<Box<[f32]>> {
        if query.len() == self.dimension { normalised(query) } else { None }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A vector whose cosine to the first axis is `cosine`, leaning towards another axis.
    fn leaning(dimension: usize, cosine: f32, axis: usize) -> Vec<f32> {
        let mut vector = vec![0.0; dimension];
        vector[0] = cosine;
        vector[axis] += (1.0 - cosine * cosine).sqrt();
        vector
    }

    #[test]
    fn best_ranks_people_by_their_best_template() {
        for dimension in [128, 512] {
            let mut gallery = Gallery::new(dimension);
            gallery
                .add_person("a", "Ada", &[leaning(dimension, 0.1, 1), leaning(dimension, 0.8, 2)])
                .unwrap();
            gallery.add_person("b", "Ben", &[leaning(dimension, 0.5, 3)]).unwrap();
            gallery.add_person("c", "Cleo", &[]).unwrap();
            gallery.add_person("d", "Dan", &[leaning(dimension, -0.5, 4)]).unwrap();
            let query = leaning(dimension, 1.0, 1);
            let found = gallery.best(&query, 2);
            let ids: Vec<&str> = found.iter().map(|found| &*found.person.id).collect();
            assert_eq!(ids, ["a", "b"]);
            assert!((found[0].similarity - 0.8).abs() < 1e-5 && (found[1].similarity - 0.5).abs() < 1e-5);
            assert_eq!(gallery.best(&query, 10).len(), 3);
            assert!(gallery.best(&query, 0).is_empty());
            assert!((gallery.similarity_to(&query, "d").unwrap() + 0.5).abs() < 1e-5);
            assert_eq!(gallery.similarity_to(&query, "c"), None);
            assert_eq!(gallery.similarity_to(&query, "nobody"), None);
        }
    }

    #[test]
    fn templates_and_queries_of_any_length_count_by_direction() {
        let mut gallery = Gallery::new(3);
        gallery.add_person("a", "Ada", &[vec![0.0, 20.0, 0.0]]).unwrap();
        assert!((gallery.best(&[0.0, 0.01, 0.0], 1)[0].similarity - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let mut gallery = Gallery::new(2);
        assert!(matches!(
            gallery.add_person("a", "Ada", &[vec![1.0, 0.0], vec![1.0]]),
            Err(GalleryError::Dimension { expected: 2, actual: 1, .. })
        ));
        for unusable in [vec![0.0, 0.0], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0]] {
            assert!(matches!(
                gallery.add_person("a", "Ada", &[unusable]),
                Err(GalleryError::Unusable { .. })
            ));
        }
        assert!(gallery.is_empty() && gallery.template_count() == 0);
        gallery.add_person("a", "Ada", &[vec![1.0, 0.0]]).unwrap();
        assert!(matches!(gallery.add_person("a", "Ada", &[]), Err(GalleryError::Duplicate { .. })));
        assert!(gallery.best(&[1.0], 1).is_empty());
        assert!(gallery.best(&[f32::NAN, 0.0], 1).is_empty());
        assert_eq!(gallery.person("a").map(|person| &*person.name), Some("Ada"));
    }
}
