//! How a face template lies in the database: sealed, bound to its row, the only place that reads and writes such columns.

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;
use vedette_models::embed::Embedding;

use crate::crypto::{Keys, Place, SealError};
use crate::entity::face_templates::{Column, Entity};
use crate::entity::persons;
use crate::error::ApiError;

/// What a model pack made of a person's photos; damaged templates are left out.
pub(super) async fn of_person(
    db: &impl ConnectionTrait,
    keys: &Keys,
    person_id: Uuid,
    pack: &str,
) -> Result<Vec<Embedding>, ApiError> {
    let faces = Entity::find().filter(Column::PersonId.eq(person_id)).filter(Column::Pack.eq(pack));
    let mut embeddings = Vec::new();
    for face in faces.all(db).await? {
        match open(keys, face.id, &face.template) {
            Ok(vector) => embeddings.extend(Embedding::from_vector(&vector)),
            Err(SealError::Damaged) => {}
            Err(error @ SealError::UnknownKey(_)) => return Err(error.into()),
        }
    }
    Ok(embeddings)
}

/// What a model pack made of the photos of everybody who is to be recognised, by person; damaged templates are left out.
///
/// # Errors
/// When the database does not answer, or a key is not at hand.
pub(crate) async fn of_everybody(
    db: &impl ConnectionTrait,
    keys: &Keys,
    pack: &str,
) -> Result<Vec<Vec<Embedding>>, ApiError> {
    let ids: Vec<Uuid> = persons::Entity::find()
        .select_only()
        .column(persons::Column::Id)
        .filter(persons::Column::IsActive.eq(true))
        .order_by_asc(persons::Column::Id)
        .into_tuple()
        .all(db)
        .await?;
    let mut people = Vec::with_capacity(ids.len());
    for id in ids {
        people.push(of_person(db, keys, id, pack).await?);
    }
    Ok(people)
}

/// What to store of a photo's template.
pub(crate) fn seal(keys: &Keys, face_id: Uuid, vector: &[f32]) -> Result<Vec<u8>, SealError> {
    keys.seal(Place::Template(face_id), &to_bytes(vector))
}

/// What to store of a stranger's embedding.
pub(crate) fn seal_stranger(keys: &Keys, event_id: Uuid, vector: &[f32]) -> Result<Vec<u8>, SealError> {
    keys.seal(Place::Stranger(event_id), &to_bytes(vector))
}

/// The template of a photo.
///
/// # Errors
/// When its key is not at hand, or it is damaged.
pub(crate) fn open(keys: &Keys, face_id: Uuid, stored: &[u8]) -> Result<Vec<f32>, SealError> {
    from_bytes(&keys.open(Place::Template(face_id), stored)?).ok_or(SealError::Damaged)
}

/// The numbers in little-endian order.
fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn from_bytes(bytes: &[u8]) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    let vector: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    (rest.is_empty() && vector.iter().all(|value| value.is_finite())).then_some(vector)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_template_survives_and_damage_is_seen() {
        let keys = Keys::given(&"ab".repeat(32).into(), &[]).unwrap();
        let face_id = Uuid::from_u128(1);
        let vector = vec![0.5, -0.25, 1.0];
        let stored = seal(&keys, face_id, &vector).unwrap();
        assert_eq!(open(&keys, face_id, &stored).unwrap(), vector);
        let not_a_vector = keys.seal(Place::Template(face_id), &f32::NAN.to_le_bytes()).unwrap();
        assert_eq!(open(&keys, face_id, &not_a_vector), Err(SealError::Damaged));
    }
}
