//! Enrolling: photos in, a person with templates out, or nothing at all.
//!
//! Photos are examined one by one as they arrive, so that a request holds one original in memory however many
//! it sends. Only when all have been judged is anything stored: the photos into a staging folder, then the rows,
//! then the photos into place, then the commit. Whatever fails on the way takes the rest back.
//!
//! Whether a face is new rests on nobody enrolling it meanwhile, in this process or in another one on the same
//! database: from the question to the commit, enrolling is done by one at a time ([`Exclusive::Enrolment`]).

use std::collections::HashMap;

use chrono::Utc;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _,
    QueryFilter as _, Set, SqlErr,
};
use serde_json::json;
use uuid::Uuid;
use vedette_models::ModelError;
use vedette_models::analyzer::Analyzer;
use vedette_models::embed::Embedding;
use vedette_models::image::ImageError;
use warp::filters::multipart::FormData;

use super::model::{
    AddedFaces, FaceView, PersonFields, PersonView, Registered, RegistrationForm, SampleVerdict,
};
use super::photo;
use super::sample::{self, Refusal};
use super::template;
use crate::audit::{Action, Actor, Entry};
use crate::database::{self, Exclusive};
use crate::entity::{face_templates, persons};
use crate::error::ApiError;
use crate::state::State;
use crate::storage::{ObjectKey, Staging, StorageError};
use crate::upload::{Field, Upload, UploadLimits};
use crate::vision::VisionError;

/// Photos in one request; more only if the configuration asks for more.
const MAX_PHOTOS: usize = 20;
/// Size of one photo as it is sent.
const MAX_PHOTO_BYTES: usize = 20 * 1024 * 1024;

/// A photo that may become a template.
struct Sample {
    face_id: Uuid,
    index: usize,
    filename: String,
    quality: f32,
    embedding: Embedding,
    jpeg: Vec<u8>,
}

/// What was sent: the texts, the photos that can be used and a verdict about each.
struct Submission {
    texts: HashMap<String, String>,
    samples: Vec<Sample>,
    verdicts: Vec<SampleVerdict>,
}

/// Enrols a new person.
pub(super) async fn register(
    state: &State,
    actor: Actor,
    form: Option<FormData>,
) -> Result<Registered, ApiError> {
    let mut submission = receive(state, form).await?;
    let form = RegistrationForm::parse(std::mem::take(&mut submission.texts))?;
    if submission.verdicts.is_empty() {
        return Err(ApiError::validation("images", "send at least one photo"));
    }
    refuse_other_persons(state, &mut submission);
    let needed = state.vision.rules().min_samples;
    if submission.samples.len() < needed {
        return Err(too_few(&submission, needed));
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

/// Adds photos to a person; at least one must be good.
pub(super) async fn add_faces(
    state: &State,
    actor: Actor,
    person_id: Uuid,
    form: Option<FormData>,
) -> Result<AddedFaces, ApiError> {
    let person = super::service::find(&state.db, person_id).await?;
    let mut submission = receive(state, form).await?;
    if let Some(name) = submission.texts.keys().next() {
        return Err(ApiError::validation(name.as_str(), "there is no such field; send `images`"));
    }
    if submission.verdicts.is_empty() {
        return Err(ApiError::validation("images", "send at least one photo"));
    }
    refuse_unlike(state, &person, &mut submission).await?;
    if submission.samples.is_empty() {
        return Err(too_few(&submission, 1));
    }
    to_its_end(store_faces(state.clone(), actor, person_id, submission)).await
}

/// Reads the form and examines every photo in it.
async fn receive(state: &State, form: Option<FormData>) -> Result<Submission, ApiError> {
    let max_files = MAX_PHOTOS.max(state.vision.rules().min_samples);
    let limits = UploadLimits { file_fields: &["images"], max_files, max_file_bytes: MAX_PHOTO_BYTES };
    let mut upload = Upload::new(form, limits)?;
    let mut submission = Submission { texts: HashMap::new(), samples: Vec::new(), verdicts: Vec::new() };
    while let Some(field) = upload.next().await? {
        match field {
            Field::Text { name, value } => {
                submission.texts.insert(name, value);
            }
            Field::File { filename, bytes, .. } => {
                if let Err(error) = submission.examine(state, filename, bytes).await {
                    upload.drain().await;
                    return Err(error);
                }
            }
        }
    }
    Ok(submission)
}

impl Submission {
    async fn examine(&mut self, state: &State, filename: String, bytes: Vec<u8>) -> Result<(), ApiError> {
        let min_quality = state.vision.rules().min_quality;
        let work = move |analyzer: &Analyzer| {
            let examined = photo::examine(analyzer, &bytes, min_quality)?;
            let kept = examined.photo.filter(|_| examined.outcome.is_ok());
            let jpeg = kept.as_ref().map(photo::to_kept_jpeg).transpose();
            Ok::<_, ModelError>((examined.quality, examined.outcome, jpeg))
        };
        let (quality, outcome, jpeg) = state.vision.run(work).await?.map_err(VisionError::from)?;
        let jpeg: Option<Vec<u8>> = jpeg.map_err(|error: ImageError| ApiError::internal(error))?;

        let index = self.verdicts.len();
        let reason = outcome.as_ref().err().map(ToString::to_string);
        self.verdicts.push(SampleVerdict {
            index,
            filename: filename.clone(),
            accepted: outcome.is_ok(),
            quality,
            reason,
        });
        if let (Ok(embedding), Some(jpeg), Some(quality)) = (outcome, jpeg, quality) {
            let face_id = Uuid::now_v7();
            self.samples.push(Sample { face_id, index, filename, quality, embedding, jpeg });
        }
        Ok(())
    }

    /// Refuses the samples `verdicts` (one for each) says no to.
    fn refuse(&mut self, verdicts: Vec<Result<(), Refusal>>) {
        let mut verdicts = verdicts.into_iter();
        let listed = &mut self.verdicts;
        self.samples.retain(|sample| match verdicts.next() {
            Some(Err(refusal)) => {
                listed[sample.index].accepted = false;
                listed[sample.index].reason = Some(refusal.to_string());
                false
            }
            _ => true,
        });
    }
}

/// Refuses photos that do not show the person the others show.
fn refuse_other_persons(state: &State, submission: &mut Submission) {
    let embeddings: Vec<&Embedding> = submission.samples.iter().map(|sample| &sample.embedding).collect();
    let verdicts = sample::agree(&embeddings, state.vision.rules().threshold);
    submission.refuse(verdicts);
}

/// Refuses photos that do not show the person they are to be added to.
async fn refuse_unlike(
    state: &State,
    person: &persons::Model,
    submission: &mut Submission,
) -> Result<(), ApiError> {
    let templates: Vec<Embedding> = face_templates::Entity::find()
        .filter(face_templates::Column::PersonId.eq(person.id))
        .filter(face_templates::Column::Pack.eq(state.vision.pack().name.as_str()))
        .all(&state.db)
        .await?
        .iter()
        .filter_map(|face| template::from_stored(&face.template))
        .filter_map(|vector| Embedding::from_vector(&vector))
        .collect();
    if templates.is_empty() {
        refuse_other_persons(state, submission);
        return Ok(());
    }
    let judge = |sample: &Sample| {
        let similarities = templates.iter().map(|template| template.cosine(&sample.embedding));
        let similarity = similarities.fold(-1.0, f32::max);
        let is_alike = similarity >= state.vision.rules().threshold;
        if is_alike { Ok(()) } else { Err(Refusal::OtherPerson { similarity }) }
    };
    let verdicts = submission.samples.iter().map(judge).collect();
    submission.refuse(verdicts);
    Ok(())
}

fn too_few(submission: &Submission, needed: usize) -> ApiError {
    let (accepted, sent) = (submission.samples.len(), submission.verdicts.len());
    let message = format!(
        "{accepted} of {sent} photos can be used, {needed} {} needed; `details` says what is wrong with the others",
        if needed == 1 { "is" } else { "are" }
    );
    ApiError::face_detection(message).with_details(submission.verdicts.iter().map(|verdict| json!(verdict)))
}

/// Fails if somebody has the mail address, the employee id or, unless that is to be overlooked, the face.
async fn refuse_known(
    state: &State,
    db: &impl ConnectionTrait,
    form: &RegistrationForm,
    samples: &[Sample],
) -> Result<(), ApiError> {
    check_free(db, &form.fields, None).await?;
    if form.force { Ok(()) } else { check_new_face(state, samples).await }
}

/// Fails if another active person has the mail address or employee id.
pub(super) async fn check_free(
    db: &impl ConnectionTrait,
    fields: &PersonFields,
    except: Option<Uuid>,
) -> Result<(), ApiError> {
    let taken = [
        ("email", persons::Column::Email, fields.email.as_deref(), "the e-mail address"),
        ("employee_id", persons::Column::EmployeeId, fields.employee_id.as_deref(), "the employee id"),
    ];
    for (field, column, value, what) in taken {
        let Some(value) = value else { continue };
        let holder = persons::Entity::find()
            .filter(persons::Column::IsActive.eq(true))
            .filter(column.eq(value))
            .one(db)
            .await?
            .filter(|holder| Some(holder.id) != except);
        if let Some(holder) = holder {
            let message = format!("{what} is taken by person {}", holder.id);
            let detail = json!({ "field": field, "message": message, "person_id": holder.id });
            return Err(ApiError::duplicate(message).with_details([detail]));
        }
    }
    Ok(())
}

/// Fails if the face is enrolled already.
async fn check_new_face(state: &State, samples: &[Sample]) -> Result<(), ApiError> {
    let embeddings: Vec<&Embedding> = samples.iter().map(|sample| &sample.embedding).collect();
    let Some(fused) = sample::fuse(&embeddings) else { return Ok(()) };
    let gallery = state.gallery.current(&state.db).await?;
    let Some(best) = gallery.index.best(fused.as_slice(), 1).first().copied() else { return Ok(()) };
    if best.similarity < state.vision.rules().threshold {
        return Ok(());
    }
    let (person_id, similarity) = (&best.person.id, best.similarity);
    let message = format!(
        "this face is enrolled already as person {person_id} (similarity {similarity:.2}); send force=true if it is \
         somebody else"
    );
    let detail = json!({
        "field": "images",
        "message": message,
        "person_id": &**person_id,
        "name": &*best.person.name,
        "similarity": similarity,
    });
    Err(ApiError::duplicate(message).with_details([detail]))
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
            template: Set(template::to_stored(vector)),
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

/// The unique indexes have the last word: another instance may have been quicker.
pub(super) fn taken_meanwhile(error: DbErr) -> ApiError {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            ApiError::duplicate("the e-mail address or the employee id is taken").with_cause(error)
        }
        _ => error.into(),
    }
}
