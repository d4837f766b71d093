//! Sealing what lies in the database with the key of today: after a rotation, and what an earlier version kept unsealed.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, DatabaseConnection, EntityTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::{Keys, Place, SealError, key_id, sealed_bytes};
use crate::database;
use crate::entity::{alert_rules, cameras, detections, face_templates};
use crate::error::ApiError;

/// Rows of one transaction: others get their turn in between.
const PAGE: u64 = 500;

/// What was sealed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Photos' templates.
    pub templates: u64,
    /// Strangers' embeddings.
    pub strangers: u64,
    /// Cameras' sources.
    pub cameras: u64,
    /// Webhooks of alert rules.
    pub webhooks: u64,
}

/// Seals whatever is not sealed with the current key. Begun again, it goes on where it ended.
///
/// # Errors
/// When something does not open, or the database does not answer.
pub async fn reseal(db: &DatabaseConnection, keys: &Keys) -> Result<Resealed, ApiError> {
    use detections::Column as Detection;
    use face_templates::Column as Template;
    let (templates, strangers) = (face_templates::Entity, detections::Entity);
    Ok(Resealed {
        templates: vectors(db, keys, templates, (Template::Id, Template::Template), Place::Template).await?,
        strangers: vectors(db, keys, strangers, (Detection::EventId, Detection::Embedding), Place::Stranger)
            .await?,
        cameras: sources(db, keys).await?,
        webhooks: webhooks(db, keys).await?,
    })
}

/// Seals what an earlier version kept unsealed, and makes sure that our keys are those of this database.
///
/// # Errors
/// When they are not; the message says which key is missing.
pub async fn check(db: &DatabaseConnection, keys: &Keys) -> Result<(), ApiError> {
    sources(db, keys).await?;
    let any = face_templates::Entity::find()
        .select_only()
        .columns([face_templates::Column::Id, face_templates::Column::Template])
        .order_by_asc(face_templates::Column::Id)
        .limit(1)
        .into_tuple::<(Uuid, Vec<u8>)>()
        .one(db)
        .await?;
    match any {
        Some((_, template)) if is_unsealed(&template) => {
            let (entity, columns) =
                (face_templates::Entity, (face_templates::Column::Id, face_templates::Column::Template));
            vectors(db, keys, entity, columns, Place::Template).await?;
        }
        Some((id, template)) => drop(keys.open(Place::Template(id), &template)?),
        None => {}
    }
    Ok(())
}

/// A vector of four bytes a number; what is sealed has an odd length.
fn is_unsealed(stored: &[u8]) -> bool {
    stored.len().is_multiple_of(4)
}

/// Seals the vectors of a table, by its id and the column that holds them.
async fn vectors<E: EntityTrait>(
    db: &DatabaseConnection,
    keys: &Keys,
    _: E,
    (id, vector): (E::Column, E::Column),
    place: fn(Uuid) -> Place<'static>,
) -> Result<u64, ApiError> {
    let (mut resealed, mut after) = (0, Uuid::nil());
    loop {
        let rows: Vec<(Uuid, Vec<u8>)> = E::find()
            .select_only()
            .columns([id, vector])
            .filter(id.gt(after))
            .filter(vector.is_not_null())
            .order_by_asc(id)
            .limit(PAGE)
            .into_tuple()
            .all(db)
            .await?;
        let Some((last, _)) = rows.last() else { return Ok(resealed) };
        after = *last;
        let current = keys.current().id();
        let due: Vec<_> = rows
            .into_iter()
            .filter(|(_, stored)| is_unsealed(stored) || key_id(stored) != Some(current))
            .collect();
        if due.is_empty() {
            continue;
        }
        let transaction = database::begin_write(db).await?;
        for (row, stored) in due {
            let plain = if is_unsealed(&stored) { stored.clone() } else { keys.open(place(row), &stored)? };
            let sealed = keys.seal(place(row), &plain)?;
            let update = E::update_many().col_expr(vector, Expr::value(sealed));
            // Unless somebody has written it meanwhile, sealed already.
            let written = update.filter(id.eq(row)).filter(vector.eq(stored)).exec(&transaction).await?;
            resealed += written.rows_affected;
        }
        transaction.commit().await?;
    }
}

/// Seals the sources of cameras, of which there are few.
async fn sources(db: &DatabaseConnection, keys: &Keys) -> Result<u64, ApiError> {
    let current = keys.current().id();
    let mut resealed = 0;
    for camera in cameras::Entity::find().order_by_asc(cameras::Column::Id).all(db).await? {
        let place = Place::CameraUrl(&camera.id);
        let url = match sealed_bytes(&camera.stored_url) {
            None => camera.stored_url.clone(),
            Some(sealed) if key_id(&sealed) == Some(current) => {
                keys.open(place, &sealed)?;
                continue;
            }
            Some(sealed) => String::from_utf8(keys.open(place, &sealed)?).map_err(|_| SealError::Damaged)?,
        };
        let written = cameras::Entity::update_many()
            .col_expr(cameras::Column::StoredUrl, Expr::value(keys.seal_text(place, &url)?))
            .filter(cameras::Column::Id.eq(camera.id.as_str()))
            .filter(cameras::Column::StoredUrl.eq(camera.stored_url.as_str()))
            .exec(db)
            .await?;
        resealed += written.rows_affected;
    }
    Ok(resealed)
}

/// Seals URLs and secrets of webhooks, of which there are few, and none from before they were sealed.
async fn webhooks(db: &DatabaseConnection, keys: &Keys) -> Result<u64, ApiError> {
    use alert_rules::{Column, Entity};
    let current = keys.current().id();
    let mut resealed = 0;
    for rule in Entity::find().order_by_asc(Column::Id).all(db).await? {
        let place = Place::Webhook(rule.id);
        let Some(present) = rule.webhook else { continue };
        let webhook = keys.open_text(place, &present)?;
        if sealed_bytes(&present).as_deref().and_then(key_id) == Some(current) {
            continue;
        }
        let written = Entity::update_many()
            .col_expr(Column::Webhook, Expr::value(keys.seal_text(place, &webhook)?))
            .filter(Column::Id.eq(rule.id))
            .filter(Column::Webhook.eq(present))
            .exec(db)
            .await?;
        resealed += written.rows_affected;
    }
    Ok(resealed)
}
