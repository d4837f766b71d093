//! The gallery as it is now, built from the database when it changed and kept until it changes again.
//!
//! Two signals say that it changed. A service that enrols or removes someone commits by [`LiveGallery::commit`], which
//! wakes every waiting worker at once. For changes another instance made on the same database, waiters look once a
//! second at how many changes there were.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::Instant;
use uuid::Uuid;
use vedette_events::{GalleryPerson, GallerySnapshot, encode_vector};
use vedette_models::gallery::Gallery;

use crate::crypto::{Keys, SealError};
use crate::entity::gallery_changes::{self, Column};
use crate::entity::{face_templates, persons};
use crate::error::ApiError;
use crate::persons::template;

/// How often waiters look for changes made by other instances.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The gallery at one moment.
#[derive(Debug)]
pub struct BuiltGallery {
    changes: i64,
    /// Strong validator of `body`.
    pub etag: String,
    /// The [`GallerySnapshot`] as JSON.
    pub body: Bytes,
    /// The same people, searchable.
    pub index: Gallery,
}

/// Keeps the gallery of one pack up to date.
#[derive(Debug)]
pub struct LiveGallery {
    pack: String,
    dimension: usize,
    keys: Arc<Keys>,
    /// Wakes those who wait.
    change: watch::Sender<()>,
    built: Mutex<Option<Arc<BuiltGallery>>>,
    enrolment: Mutex<()>,
}

impl LiveGallery {
    /// A gallery of the templates `pack` made, each of `dimension` numbers.
    pub fn new(pack: String, dimension: usize, keys: Arc<Keys>) -> Self {
        Self {
            pack,
            dimension,
            keys,
            change: watch::Sender::new(()),
            built: Mutex::new(None),
            enrolment: Mutex::new(()),
        }
    }

    /// To be held from asking whether a face is known until the commit that makes it known.
    pub async fn enrolment(&self) -> MutexGuard<'_, ()> {
        self.enrolment.lock().await
    }

    /// Commits a transaction in which someone was enrolled, changed or removed.
    ///
    /// # Errors
    /// When the database does not answer: nothing was changed.
    pub async fn commit(&self, transaction: DatabaseTransaction) -> Result<(), DbErr> {
        // Last, because everybody who changes the gallery meets here.
        count_change(&transaction).await?;
        transaction.commit().await?;
        self.change.send_replace(());
        Ok(())
    }

    /// The gallery as it is now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn current(&self, db: &DatabaseConnection) -> Result<Arc<BuiltGallery>, ApiError> {
        // The lock is held while building: a second caller waits for the result instead of building it too.
        let mut built = self.built.lock().await;
        // Read before the tables: a change that arrives in between is seen as new by the next caller.
        let row = gallery_changes::Entity::find_by_id(gallery_changes::ROW).one(db).await?;
        let changes = row.map_or(0, |row| row.changes);
        if let Some(built) = built.as_ref().filter(|built| built.changes == changes) {
            return Ok(Arc::clone(built));
        }
        let fresh = Arc::new(self.build(db, changes).await?);
        *built = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// The gallery as soon as it is another than those `is_known` says yes to, or as it is when `wait` has passed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn wait_for_other_than(
        &self,
        db: &DatabaseConnection,
        is_known: impl Fn(&str) -> bool,
        wait: Duration,
    ) -> Result<Arc<BuiltGallery>, ApiError> {
        let deadline = Instant::now() + wait;
        let mut change = self.change.subscribe();
        loop {
            let gallery = self.current(db).await?;
            if !is_known(&gallery.etag) || Instant::now() >= deadline {
                return Ok(gallery);
            }
            let next_look = deadline.min(Instant::now() + POLL_INTERVAL);
            // Either way it is time to look; the sender lives as long as `self`, so waiting cannot fail.
            let _ = tokio::time::timeout_at(next_look, change.changed()).await;
        }
    }

    async fn build(&self, db: &DatabaseConnection, changes: i64) -> Result<BuiltGallery, ApiError> {
        let persons: Vec<(Uuid, String)> = persons::Entity::find()
            .select_only()
            .columns([persons::Column::Id, persons::Column::Name])
            .filter(persons::Column::IsActive.eq(true))
            .order_by_asc(persons::Column::Id)
            .into_tuple()
            .all(db)
            .await?;
        let templates: Vec<(Uuid, Uuid, Vec<u8>)> = face_templates::Entity::find()
            .select_only()
            .columns([
                face_templates::Column::Id,
                face_templates::Column::PersonId,
                face_templates::Column::Template,
            ])
            .filter(face_templates::Column::Pack.eq(self.pack.as_str()))
            .filter(face_templates::Column::Dimension.gt(0))
            .order_by_asc(face_templates::Column::Id)
            .into_tuple()
            .all(db)
            .await?;
        let (pack, dimension, keys) = (self.pack.clone(), self.dimension, Arc::clone(&self.keys));
        let assemble = move || assemble(pack, dimension, persons, templates, &keys);
        let (index, body) = tokio::task::spawn_blocking(assemble).await.map_err(ApiError::internal)??;
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
        Ok(BuiltGallery { changes, etag, body, index })
    }
}

/// Lets every instance see, when it looks next, that the gallery changed.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn count_change(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    gallery_changes::Entity::update_many()
        .col_expr(Column::Changes, Expr::col(Column::Changes).add(1))
        .filter(Column::Id.eq(gallery_changes::ROW))
        .exec(db)
        .await
        .map(drop)
}

/// Puts people and templates together. A template that cannot be read is left out and said so: one broken row
/// must not make everyone a stranger.
fn assemble(
    pack: String,
    dimension: usize,
    persons: Vec<(Uuid, String)>,
    templates: Vec<(Uuid, Uuid, Vec<u8>)>,
    keys: &Keys,
) -> Result<(Gallery, Bytes), ApiError> {
    let mut vectors_of: HashMap<Uuid, Vec<Vec<f32>>> = HashMap::with_capacity(persons.len());
    for (face_id, person_id, stored) in templates {
        match template::open(keys, face_id, &stored) {
            Ok(vector) if vector.len() == dimension => vectors_of.entry(person_id).or_default().push(vector),
            // Nothing is wrong with the rows: whoever has the last gallery keeps it until the key is here.
            Err(error @ SealError::UnknownKey(_)) => return Err(error.into()),
            Ok(_) | Err(SealError::Damaged) => {
                tracing::error!(%person_id, "a face template in the database is damaged; add the photo again")
            }
        }
    }
    let mut index = Gallery::new(dimension);
    let mut listed = Vec::with_capacity(persons.len());
    for (id, name) in persons {
        let Some(vectors) = vectors_of.remove(&id) else { continue };
        if let Err(error) = index.add_person(id.to_string(), name.as_str(), &vectors) {
            tracing::error!(%error, "a person is left out of the gallery");
            continue;
        }
        let templates = vectors.iter().map(|vector| encode_vector(vector)).collect();
        listed.push(GalleryPerson { id: id.to_string(), name, templates });
    }
    let snapshot = GallerySnapshot { pack, dimension, persons: listed };
    let body = serde_json::to_vec(&snapshot).map_err(ApiError::internal)?;
    Ok((index, body.into()))
}
