//! Embedding everybody anew from the stored photos, for another pack than the one they were enrolled with.
//!
//! Templates of different packs cannot be compared, so a pack is of use only once it has a template of every photo. The
//! new ones are stored beside the old ones: whoever serves the former pack goes on with it, and going back costs
//! nothing. A photo in which the new pack finds no usable face gets a row without a template, so that it is not looked at
//! at every start.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chrono::Utc;
use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait as _, IntoActiveModel as _,
    Order, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use vedette_models::ModelError;
use vedette_models::files::ModelStore;
use vedette_models::pack::{Pack, Packs};

use super::faces::photo_key;
use super::photo;
use super::template;
use crate::crypto::Keys;
use crate::database;
use crate::entity::face_templates::{Column, Entity, Model};
use crate::error::ApiError;
use crate::gallery;
use crate::storage::Storage;
use crate::vision::Vision;

/// How many photos are stored together.
const BATCH: u64 = 16;
/// How long it is waited before it is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// How often the log hears of it.
const TELL_INTERVAL: Duration = Duration::from_secs(5);

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    /// The pack that will be used afterwards.
    pub pack: String,
    /// Photos looked at.
    pub done: u64,
    /// How many of them the pack finds no usable face in.
    pub refused: u64,
    /// Photos there were to look at.
    pub total: u64,
}

/// What it takes.
pub(crate) struct Reembedding<'a> {
    pub(crate) db: &'a DatabaseConnection,
    pub(crate) storage: &'a Storage,
    pub(crate) keys: &'a Keys,
    /// Of the new pack.
    pub(crate) vision: &'a Vision,
}

/// What came of a photo: the template and its quality, or nothing if there is no usable face.
struct Renewed {
    former: Model,
    template: Option<(Vec<f32>, f32)>,
}

/// The pack to serve with while `wanted` is to be used: that one as soon as it has looked at every photo, until then the one
/// that has a template of the most.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn pack_to_serve(db: &DatabaseConnection, wanted: &str) -> Result<String, DbErr> {
    if remaining(db, wanted).await? == 0 {
        return Ok(wanted.to_owned());
    }
    let packs: Vec<(String, i64)> = Entity::find()
        .select_only()
        .column(Column::Pack)
        .column_as(Column::Id.count(), "templates")
        .filter(Column::Pack.ne(wanted))
        .filter(Column::Dimension.gt(0))
        .group_by(Column::Pack)
        .order_by(Expr::col(Alias::new("templates")), Order::Desc)
        .into_tuple()
        .all(db)
        .await?;
    let former = packs.into_iter().map(|(pack, _)| pack).find(|pack| is_at_hand(pack));
    Ok(former.unwrap_or_else(|| wanted.to_owned()))
}

/// Whether all files of a pack are on this machine.
fn is_at_hand(pack: &str) -> bool {
    let store = ModelStore::locate();
    let files_are_there = |pack: Pack| pack.files().all(|file| store.has(&pack, file));
    Packs::get(pack).is_ok_and(files_are_there)
}

/// How many photos a pack has not looked at.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn remaining(db: &impl ConnectionTrait, pack: &str) -> Result<u64, DbErr> {
    let photos = Expr::col(Column::PhotoPath).count_distinct();
    let counted: Option<i64> =
        missing(pack).select_only().column_as(photos, "photos").into_tuple().one(db).await?;
    Ok(counted.unwrap_or_default().unsigned_abs())
}

/// The rows of photos that a pack has not looked at.
fn missing(pack: &str) -> Select<Entity> {
    let other = Alias::new("of_the_pack");
    let of_the_pack = Query::select()
        .expr(Expr::val(1))
        .from_as(Entity, other.clone())
        .and_where(Expr::col((other.clone(), Column::PhotoPath)).equals((Entity, Column::PhotoPath)))
        .and_where(Expr::col((other, Column::Pack)).eq(pack))
        .take();
    Entity::find().filter(Column::PhotoPath.is_not_null()).filter(Expr::exists(of_the_pack).not())
}

impl Reembedding<'_> {
    /// Does it, however often that fails in between. `tell` hears how far it is.
    pub(crate) async fn run_to_the_end(&self, mut tell: impl FnMut(&Progress)) {
        loop {
            let mut told_at = Instant::now();
            let outcome = self
                .run(|progress| {
                    tell(progress);
                    if told_at.elapsed() >= TELL_INTERVAL {
                        told_at = Instant::now();
                        let Progress { pack, done, refused, total } = progress;
                        tracing::info!(pack, done, refused, total, "photos are embedded anew");
                    }
                })
                .await;
            match outcome {
                Ok(Progress { pack, done, refused, .. }) => {
                    tracing::info!(pack, done, refused, "all photos were embedded anew");
                    return;
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(
                        %error,
                        cause,
                        pack = self.vision.pack().name,
                        "photos cannot be embedded anew, so the former pack stays in use; it is tried again"
                    );
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Looks at all photos the pack has not looked at.
    ///
    /// # Errors
    /// When the models, the database or the storage fail. What was stored until then remains.
    pub(crate) async fn run(&self, mut tell: impl FnMut(&Progress)) -> Result<Progress, ApiError> {
        let pack = self.vision.pack().name.as_str();
        let total = remaining(self.db, pack).await?;
        let mut progress = Progress { pack: pack.to_owned(), total, ..Progress::default() };
        tell(&progress);
        let mut last = Uuid::nil();
        loop {
            let next = missing(pack).filter(Column::Id.gt(last)).order_by_asc(Column::Id).limit(BATCH);
            let mut rows = next.all(self.db).await?;
            let Some(row) = rows.last() else { break };
            last = row.id;
            // Of a photo with templates of several former packs there are several rows.
            let mut photos = HashSet::new();
            rows.retain(|row| photos.insert(row.photo_path.clone()));
            let mut renewed = Vec::with_capacity(rows.len());
            for row in rows {
                renewed.push(self.look_at(row).await?);
            }
            progress.done += renewed.len() as u64;
            progress.refused += renewed.iter().filter(|photo| photo.template.is_none()).count() as u64;
            self.store(renewed).await?;
            tell(&progress);
        }
        if progress.done > 0 {
            // Once, at the end: until then nobody serves this pack, and the former one's gallery need not be built again.
            gallery::count_change(self.db).await?;
        }
        Ok(progress)
    }

    async fn look_at(&self, former: Model) -> Result<Renewed, ApiError> {
        let refused = |former: Model, reason: &str| {
            tracing::warn!(
                person_id = %former.person_id,
                face_id = %former.id,
                pack = self.vision.pack().name,
                reason,
                "a photo is of no use to the pack; add another one of this person"
            );
            Ok(Renewed { former, template: None })
        };
        let Some(key) = photo_key(&former) else { return refused(former, "its place is not known") };
        let bytes = match self.storage.read(&key).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return refused(former, "the photo is gone"),
            Err(error) => return Err(error.into()),
        };
        // It was good enough once; what this pack makes of its quality is told by its template.
        let examined = self.vision.run(move |analyzer| photo::examine(analyzer, &bytes, 0.0)).await?;
        let examined = match examined {
            // It will make no more sense of this photo the next time; anything else may pass.
            Err(error @ ModelError::UnexpectedTensor { .. }) => return refused(former, &error.to_string()),
            examined => examined.map_err(ApiError::internal)?,
        };
        match examined.outcome {
            Ok(embedding) => {
                let quality = examined.quality.unwrap_or_default();
                Ok(Renewed { former, template: Some((embedding.as_slice().to_vec(), quality)) })
            }
            Err(refusal) => refused(former, &refusal.to_string()),
        }
    }

    /// Stores templates of photos that are still there.
    async fn store(&self, renewed: Vec<Renewed>) -> Result<(), ApiError> {
        let transaction = database::begin_write(self.db).await?;
        for Renewed { former, template } in renewed {
            // Held until the commit: a photo that is removed meanwhile takes the new row along.
            if Entity::find_by_id(former.id).lock_exclusive().one(&transaction).await?.is_none() {
                continue;
            }
            let id = Uuid::now_v7();
            let (vector, quality) = template.unwrap_or_default();
            let row = Model {
                id,
                pack: self.vision.pack().name.clone(),
                dimension: i32::try_from(vector.len()).map_err(ApiError::internal)?,
                template: template::seal(self.keys, id, &vector)?,
                quality,
                created_at: Utc::now(),
                // The same photo of the same person.
                ..former
            };
            let row = row.into_active_model();
            // Another instance may have been quicker.
            let unless_there = OnConflict::columns([Column::PhotoPath, Column::Pack]).do_nothing().to_owned();
            Entity::insert(row).on_conflict(unless_there).exec_without_returning(&transaction).await?;
        }
        Ok(transaction.commit().await?)
    }
}
