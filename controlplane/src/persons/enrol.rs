//! Enrolling: photos in, a person with templates out, or nothing at all.
//!
//! Only when all photos have been judged is anything stored: the photos first, listed as to be removed unless their rows
//! come ([`discards`]), then the rows, by a transaction that takes the photos off the list. Whatever fails on the way
//! takes the rest back, and no transaction waits for the storage.

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
use crate::discards;
use crate::entity::{face_templates, persons};
use crate::error::ApiError;
use crate::state::State;
use crate::storage::{Care, ObjectKey, Picture};

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
    let person_id = Uuid::now_v7();
    let photos = take_photos(person_id, &mut submission.samples);
    let folder = ObjectKey::photos_of(person_id);
    let stored = async {
        write_photos(&state, std::slice::from_ref(&folder), photos).await?;
        let transaction = database::begin_exclusive(&state.db, Exclusive::Enrolment).await?;
        refuse_known(&state, &transaction, &form, &submission.samples).await?;
        let samples = &submission.samples;
        let person = store_person(&state, &transaction, &actor, person_id, form.fields, samples).await?;
        commit(&state, transaction, std::slice::from_ref(&folder)).await?;
        Ok::<_, ApiError>(person)
    };
    let person = match stored.await {
        Ok(person) => person,
        Err(error) => return Err(take_back(&state, vec![folder], error).await),
    };
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
    transaction: &DatabaseTransaction,
    actor: &Actor,
    person_id: Uuid,
    fields: PersonFields,
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
    let person = person.insert(transaction).await.map_err(taken_meanwhile)?;
    insert_templates(state, transaction, person_id, samples).await?;
    let entry = Entry::new(Action::PersonRegistered, actor).about("person", person_id);
    entry.with(json!({ "photos": samples.len() })).write(transaction).await?;
    Ok(person)
}

async fn store_faces(
    state: State,
    actor: Actor,
    person_id: Uuid,
    mut submission: Submission,
) -> Result<AddedFaces, ApiError> {
    let photos = take_photos(person_id, &mut submission.samples);
    let keys: Vec<ObjectKey> = photos.iter().map(|photo| photo.key.clone()).collect();
    let stored = async {
        write_photos(&state, &keys, photos).await?;
        let transaction = database::begin_write(&state.db).await?;
        let faces = insert_templates(&state, &transaction, person_id, &submission.samples).await?;
        let entry = Entry::new(Action::FaceAdded, &actor).about("person", person_id);
        entry.with(json!({ "photos": faces.len() })).write(&transaction).await?;
        commit(&state, transaction, &keys).await?;
        Ok::<_, ApiError>(faces)
    };
    let faces = match stored.await {
        Ok(faces) => faces,
        Err(error) => return Err(take_back(&state, keys, error).await),
    };
    Ok(AddedFaces { faces: faces.into_iter().map(FaceView::from).collect(), samples: submission.verdicts })
}

/// Moves the photos out of `samples`.
fn take_photos(person_id: Uuid, samples: &mut [Sample]) -> Vec<Picture> {
    let take = |sample: &mut Sample| Picture {
        key: ObjectKey::photo(person_id, sample.face_id),
        jpeg: std::mem::take(&mut sample.jpeg),
    };
    samples.iter_mut().map(take).collect()
}

/// Writes photos that are listed under `keys` until [`commit`].
async fn write_photos(state: &State, keys: &[ObjectKey], photos: Vec<Picture>) -> Result<(), ApiError> {
    discards::list(&state.db, keys, discards::UNLESS_ROWS_COME).await?;
    Ok(state.storage.write(photos, Care::Lasting).await?)
}

/// Commits the rows of photos listed under `keys`.
async fn commit(state: &State, transaction: DatabaseTransaction, keys: &[ObjectKey]) -> Result<(), ApiError> {
    if discards::unlist(&transaction, keys).await? < keys.len() as u64 {
        // Never seen by anybody: it takes an hour.
        return Err(ApiError::internal("the photos were removed before their rows came"));
    }
    Ok(state.gallery.commit(transaction).await?)
}

/// Removes photos whose rows do not come because of `error`.
async fn take_back(state: &State, keys: Vec<ObjectKey>, error: ApiError) -> ApiError {
    if let Err(error) = discards::remove(&state.db, &state.storage, keys).await {
        tracing::warn!(%error, "photos of a registration that failed are removed later");
    }
    error
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
