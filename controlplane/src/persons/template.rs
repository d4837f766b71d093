//! How a face template lies in the database: the only place that reads and writes that column.

use sea_orm::{ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;
use vedette_models::embed::Embedding;

use crate::entity::face_templates::{Column, Entity};

/// What a model pack made of a person's photos; damaged templates are left out.
pub(super) async fn of_person(
    db: &impl ConnectionTrait,
    person_id: Uuid,
    pack: &str,
) -> Result<Vec<Embedding>, DbErr> {
    let faces = Entity::find().filter(Column::PersonId.eq(person_id)).filter(Column::Pack.eq(pack));
    let faces = faces.all(db).await?;
    let vectors = faces.iter().filter_map(|face| from_stored(&face.template));
    Ok(vectors.filter_map(|vector| Embedding::from_vector(&vector)).collect())
}

/// The bytes to store: the numbers in little-endian order.
pub(crate) fn to_stored(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The vector behind stored bytes; `None` if they are damaged.
pub(crate) fn from_stored(stored: &[u8]) -> Option<Vec<f32>> {
    let (numbers, rest) = stored.as_chunks::<4>();
    let vector: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    (rest.is_empty() && vector.iter().all(|value| value.is_finite())).then_some(vector)
}

#[cfg(test)]
mod tests {
    use super::{from_stored, to_stored};

    #[test]
    fn a_template_survives_and_damage_is_seen() {
        let vector = vec![0.5, -0.25, 1.0];
        let stored = to_stored(&vector);
        assert_eq!(from_stored(&stored), Some(vector));
        assert_eq!(from_stored(&stored[1..]), None);
        assert_eq!(from_stored(&f32::NAN.to_le_bytes()), None);
    }
}
