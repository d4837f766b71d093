//! Enrolling: photos in, a person with templates out, or nothing at all.
//!
//! Only when all photos have been judged is anything stored: the photos into a staging folder, then the rows, then
//! the photos into place, then the commit. Whatever fails on the way takes the rest back.

use chrono::Utc;
use sea_orm::{ActiveModelTrait as _, ConnectionTrait, DatabaseTransaction, Set};
use serde_json::json;
use uuid::Uuid;
use warp::filters::multipart::FormData;

use super::duplicates::{check_free, check_new_face, taken_meanwhile};
use super::model::{AddedFaces, FaceView, PersonFields, PersonView, Registered, RegistrationForm};
use super::submission::{Sample, Submission};
use super::template;
use crate::audit::{Action, Actor, Entry};
use crate::database::{self, Exclusive};
use crate::entity::{face_templates, persons};
use crate::error::ApiError;
use crate::state::State;
use crate::storage::{ObjectKey, Staging, StorageError};

/// Enrols a new person.
pub(super) async fn register(
    state: &State,
    actor: Actor,
    form: Option<FormData>,
) -> Result<Registered, ApiError> {
    let mut submission = Submission::receive(state, form).await?;
    let form = RegistrationForm::parse(std::mem::take(&mut submission.texts))?;
    if submission.verdicts.is_empty() {
        return Err(ApiError::validation("images", "send at least one photo"));
    }
    submission.refuse_other_persons(state);
    let needed = state.vision.rules().min_samples;
    if submission.samples.len() < needed {
        return Err(submission.too_few(needed));
    }
    to_its_end(enrol(state.clone(), actor, form, submission)).await
}

/// Runs `work` even if the client goes away meanwhile: dropped half-way, it would leave photos behind.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::spawn(work).await.map_err(ApiError::internal)?
}

async fn enrol(
    state: State,
    actor: Actor,
    form: RegistrationForm,
    mut submission: Submission,
) -> Result<Registered, ApiError> {
    // Those of this process wait here, where they hold no connection to the database.
    let _enrolling = state.gallery.enrolment().await;
    // Asked first without holding anyone off: most that will be refused are refused before anything is written,
    // and the gallery is built by the time others have to wait for it.
    refuse_known(&state, &state.db, &form, &submission.samples).await?;
    let staging = stage(&state, &mut submission.samples).await?;
    let transaction = database::begin_exclusive(&state.db, Exclusive::Enrolment).await?;
    refuse_known(&state, &transaction, &form, &submission.samples).await?;
    let person_id = Uuid::now_v7();
    let stored =
        store_person(&state, transaction, &actor, person_id, form.fields, staging, &submission.samples);
    let person = match stored.await {
        Ok(person) => person,
        Err(error) => {
            let storage = state.storage.clone();
            let remove = tokio::task::spawn_blocking(move || storage.remove_photos_of(person_id));
            if let Err(error) = remove.await.map_err(ApiError::internal)? {
                tracing::warn!(%error, "photos of a registration that failed stay until a later start");
            }
            return Err(error);
        }
    };
    state.gallery.changed();
    tracing::info!(person_id = %person.id, photos = submission.samples.len(), "person enrolled");
    let person = PersonView::new(person, submission.samples.len() as u64);
    Ok(Registered { person, samples: submission.verdicts })
}

/// Fails if somebody has the mail address, the employee id or, unless that is to be overlooked, the face.
async fn refuse_known(
    state: &State,
    db: &impl ConnectionTrait,
    form: &RegistrationForm,
    samples: &[Sample],
) -> Result<(), ApiError> {
    check_free(db, &form.fields, None).await?;
    if form.force {
        return Ok(());
    }
    let embeddings: Vec<_> = samples.iter().map(|sample| &sample.embedding).collect();
    check_new_face(state, "images", &embeddings).await
}

/// Adds photos to a person; at least one must be good.
pub(super) async fn add_faces(
    state: &State,
    actor: Actor,
    person_id: Uuid,
    form: Option<FormData>,
) -> Result<AddedFaces, ApiError> {
    let person = super::service::find(&state.db, person_id).await?;
    let mut submission = Submission::receive(state, form).await?;
    if let Some(name) = submission.texts.keys().next() {
        return Err(ApiError::validation(name.as_str(), "there is no such field; send `images`"));
    }
    if submission.verdicts.is_empty() {
        return Err(ApiError::validation("images", "send at least one photo"));
    }
    submission.refuse_unlike(state, &person).await?;
    if submission.samples.is_empty() {
        return Err(submission.too_few(1));
    }
    to_its_end(store_faces(state.clone(), actor, person_id, submission)).await
}

async fn store_person(
    state: &State,
    transaction: DatabaseTransaction,
    actor: &Actor,
    person_id: Uuid,
    fields: PersonFields,
    staging: Staging,
    samples: &[Sample],
) -> Result<persons::Model, ApiError> {
    let now = Utc::now();
    let person = persons::ActiveModel {
        id: Set(person_id),
        name: Set(fields.name),
        email: Set(fields.email),
        employee_id: Set(fields.employee_id),
        phone: Set(fields.phone),
        department: Set(fields.department),
        designation: Set(fields.designation),
        is_active: Set(true),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let person = person.insert(&transaction).await.map_err(taken_meanwhile)?;
    insert_templates(state, &transaction, person_id, samples).await?;
    let entry = Entry::new(Action::PersonRegistered, actor).about("person", person_id);
    entry.with(json!({ "photos": samples.len() })).write(&transaction).await?;
    publish_and_commit(state, transaction, staging, person_id, samples).await?;
    Ok(person)
}

async fn store_faces(
    state: State,
    actor: Actor,
    person_id: Uuid,
    mut submission: Submission,
) -> Result<AddedFaces, ApiError> {
    let staging = stage(&state, &mut submission.samples).await?;
    let transaction = database::begin_write(&state.db).await?;
    let faces = insert_templates(&state, &transaction, person_id, &submission.samples).await?;
    let entry = Entry::new(Action::FaceAdded, &actor).about("person", person_id);
    entry.with(json!({ "photos": faces.len() })).write(&transaction).await?;
    publish_and_commit(&state, transaction, staging, person_id, &submission.samples).await?;
    state.gallery.changed();
    Ok(AddedFaces { faces: faces.into_iter().map(FaceView::from).collect(), samples: submission.verdicts })
}

/// Moves the photos out of `samples` into a staging folder.
async fn stage(state: &State, samples: &mut [Sample]) -> Result<Staging, ApiError> {
    let storage = state.storage.clone();
    let take = |sample: &mut Sample| (sample.face_id, std::mem::take(&mut sample.jpeg));
    let photos: Vec<(Uuid, Vec<u8>)> = samples.iter_mut().map(take).collect();
    let write_all = move || {
        let staging = storage.stage()?;
        photos.iter().try_for_each(|(face_id, jpeg)| staging.add(*face_id, jpeg))?;
        Ok::<_, StorageError>(staging)
    };
    Ok(tokio::task::spawn_blocking(write_all).await.map_err(ApiError::internal)??)
}

async fn insert_templates(
    state: &State,
    transaction: &DatabaseTransaction,
    person_id: Uuid,
    samples: &[Sample],
) -> Result<Vec<face_templates::Model>, ApiError> {
    let mut faces = Vec::with_capacity(samples.len());
    for sample in samples {
        let vector = sample.embedding.as_slice();
        let row = face_templates::ActiveModel {
            id: Set(sample.face_id),
            person_id: Set(person_id),
            pack: Set(state.vision.pack().name.clone()),
            dimension: Set(i32::try_from(vector.len()).map_err(ApiError::internal)?),
            template: Set(template::seal(&state.keys, sample.face_id, vector)?),
            quality: Set(sample.quality),
            filename: Set(Some(sample.filename.clone()).filter(|filename| !filename.is_empty())),
            photo_path: Set(Some(ObjectKey::photo(person_id, sample.face_id).to_string())),
            created_at: Set(Utc::now()),
        };
        faces.push(row.insert(transaction).await?);
    }
    Ok(faces)
}

/// Moves the photos into place and commits; if the commit fails, the photos go.
async fn publish_and_commit(
    state: &State,
    transaction: DatabaseTransaction,
    staging: Staging,
    person_id: Uuid,
    samples: &[Sample],
) -> Result<(), ApiError> {
    let face_ids: Vec<Uuid> = samples.iter().map(|sample| sample.face_id).collect();
    let published = face_ids.clone();
    let publish = move || staging.publish(person_id, &published);
    tokio::task::spawn_blocking(publish).await.map_err(ApiError::internal)??;
    if let Err(error) = transaction.commit().await {
        let storage = state.storage.clone();
        let remove_all = move || {
            let mut keys = face_ids.into_iter().map(|face_id| ObjectKey::photo(person_id, face_id));
            keys.try_for_each(|key| storage.remove(&key))
        };
        if let Err(error) = tokio::task::spawn_blocking(remove_all).await.map_err(ApiError::internal)? {
            tracing::warn!(%error, "photos of a registration that failed stay until the next start");
        }
        return Err(error.into());
    }
    Ok(())
}
