//! Whether somebody is enrolled already: by mail address, by employee id, by face.
//!
//! The answer rests on nobody being enrolled meanwhile, in this process or in another one on the same database: from
//! the question to the commit, whoever makes somebody active holds [`Exclusive::Enrolment`].
//!
//! [`Exclusive::Enrolment`]: crate::database::Exclusive::Enrolment

use sea_orm::{ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, SqlErr};
use serde_json::json;
use uuid::Uuid;
use vedette_models::embed::Embedding;

use super::model::PersonFields;
use super::sample;
use crate::entity::persons;
use crate::error::ApiError;
use crate::state::State;

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

/// Fails if an active person has the face these `embeddings` show; `field` is what is to be blamed.
pub(super) async fn check_new_face(
    state: &State,
    field: &str,
    embeddings: &[&Embedding],
) -> Result<(), ApiError> {
    let Some(fused) = sample::fuse(embeddings) else { return Ok(()) };
    let gallery = state.gallery.current(&state.db).await?;
    let Some(best) = gallery.index.best(fused.as_slice(), 1).first().copied() else { return Ok(()) };
    if best.similarity < state.vision.rules().threshold {
        return Ok(());
    }
    let (person_id, similarity) = (best.person.id, best.similarity);
    let message = format!(
        "this face is enrolled already as person {person_id} (similarity {similarity:.2}); send force=true if it is \
         somebody else"
    );
    let detail = json!({
        "field": field,
        "message": message,
        "person_id": person_id,
        "name": best.person.name,
        "similarity": similarity,
    });
    Err(ApiError::duplicate(message).with_details([detail]))
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
