//! Who is known: the enrolled people and their face templates, as a file or an HTTP answer.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A gallery that cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GalleryError {
    /// A vector is not the base64 of whole little-endian f32 numbers.
    #[error("template {index} of `{person}` is not the base64 of little-endian f32 numbers")]
    Encoding {
        /// The person's name.
        person: String,
        /// Index of the template within the person.
        index: usize,
    },
    /// A vector has another length than the gallery states.
    #[error("template {index} of `{person}` has {found} dimensions, the gallery says {expected}")]
    Dimension {
        /// The person's name.
        person: String,
        /// Index of the template within the person.
        index: usize,
        /// Length the gallery states.
        expected: usize,
        /// Length found.
        found: usize,
    },
}

/// One enrolled person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GalleryPerson {
    /// Stable id.
    pub id: String,
    /// The name to show.
    pub name: String,
    /// Base64 of L2-normalised little-endian f32 vectors, one per accepted photo.
    pub templates: Vec<String>,
}

/// Everyone enrolled, with the pack whose embedder made the templates.
///
/// ```
/// use vedette_events::{GalleryPerson, GallerySnapshot, encode_vector};
/// let gallery = GallerySnapshot {
///     pack: "opencv".into(),
///     dimension: 2,
///     persons: vec![GalleryPerson {
///         id: "ada".into(),
///         name: "Ada".into(),
///         templates: vec![encode_vector(&[0.6, 0.8])],
///     }],
/// };
/// assert_eq!(gallery.vectors()?, vec![vec![vec![0.6, 0.8]]]);
/// # Ok::<(), vedette_events::GalleryError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(description = "Everyone enrolled, with the pack whose embedder made the templates.")
)]
pub struct GallerySnapshot {
    /// Name of the pack whose embedder made the templates; vectors of different packs do not compare.
    pub pack: String,
    /// Length of every template.
    pub dimension: usize,
    /// The enrolled people.
    pub persons: Vec<GalleryPerson>,
}

impl GallerySnapshot {
    /// Every person's templates as numbers, in the order of `persons`.
    ///
    /// # Errors
    /// When a template is not base64 of f32 numbers or has another length than `dimension`.
    pub fn vectors(&self) -> Result<Vec<Vec<Vec<f32>>>, GalleryError> {
        self.persons.iter().map(|person| self.vectors_of(person)).collect()
    }

    /// One person's templates as numbers: of a million people, not everybody's at a time.
    ///
    /// # Errors
    /// When a template is not base64 of f32 numbers or has another length than `dimension`.
    pub fn vectors_of(&self, person: &GalleryPerson) -> Result<Vec<Vec<f32>>, GalleryError> {
        let decode = |(index, text): (usize, &String)| {
            let vector = decode_vector(text)
                .ok_or_else(|| GalleryError::Encoding { person: person.name.clone(), index })?;
            if vector.len() != self.dimension {
                return Err(GalleryError::Dimension {
                    person: person.name.clone(),
                    index,
                    expected: self.dimension,
                    found: vector.len(),
                });
            }
            Ok(vector)
        };
        person.templates.iter().enumerate().map(decode).collect()
    }
}

/// Base64 of the little-endian bytes of `vector`.
pub fn encode_vector(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// The numbers behind [`encode_vector`]; `None` if `text` is anything else or a number is not finite.
pub fn decode_vector(text: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    let vector: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    (rest.is_empty() && vector.iter().all(|value| value.is_finite())).then_some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_survive_the_wire() {
        let vector = vec![0.25, -1.5, f32::MIN_POSITIVE];
        assert_eq!(decode_vector(&encode_vector(&vector)), Some(vector));
    }

    #[test]
    fn broken_vectors_are_refused() {
        assert_eq!(decode_vector("not base64!"), None);
        assert_eq!(decode_vector("AAAA"), None, "three bytes are no f32");
        assert_eq!(decode_vector(&encode_vector(&[f32::NAN])), None);
    }

    #[test]
    fn a_wrong_dimension_names_the_person() {
        let gallery = GallerySnapshot {
            pack: "opencv".into(),
            dimension: 3,
            persons: vec![GalleryPerson {
                id: "1".into(),
                name: "Ada".into(),
                templates: vec![encode_vector(&[1.0, 0.0])],
            }],
        };
        let error = gallery.vectors().map_err(|error| error.to_string());
        assert_eq!(error, Err("template 0 of `Ada` has 2 dimensions, the gallery says 3".to_owned()));
    }
}
