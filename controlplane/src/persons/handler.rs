//! HTTP side of people.

use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;
use warp::Reply;
use warp::filters::multipart::FormData;
use warp::http::StatusCode;
use warp::reply::{json, with_status};

use super::model::{
    AddedFaces, FaceView, FacesUpload, PersonChange, PersonDetails, PersonView, Registered,
    RegistrationUpload,
};
use super::service::PersonFilter;
use super::{enrol, erasure, faces, service};
use crate::audit::Actor;
use crate::auth::{CurrentUser, Role};
use crate::error::{ApiError, ErrorBody};
use crate::filters::{Page, PageQuery, PageRequest};
use crate::openapi::PICTURE_TYPES;
use crate::picture::{self, Jpeg};
use crate::state::State;

/// Query of `PUT /api/persons/{id}`.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct UpdateQuery {
    /// Make the person active although the face is enrolled already.
    #[serde(default)]
    force: bool,
}

/// Query of `DELETE /api/persons/{id}`.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQuery {
    /// For good, with everything about them.
    #[serde(default)]
    erase: bool,
}

/// Enrol a person
///
/// Each photo has to show one face, sharp, large and turned to the camera; `samples` says of every one
/// whether it was accepted and, if not, why. Nothing is stored unless enough are. Photos are kept without
/// their metadata.
#[utoipa::path(
    post,
    path = "/api/persons/register",
    request_body(
        content = RegistrationUpload,
        content_type = "multipart/form-data",
        encoding(("images" = (content_type = PICTURE_TYPES))),
    ),
    responses(
        (status = 201, description = "The person is enrolled.", body = Registered),
        (
            status = 409,
            description = "The e-mail address, the employee id or the face is enrolled already; `details` \
                           holds `person_id` and, for a face, `similarity`.",
            body = ErrorBody,
        ),
        (
            status = 422,
            description = "A field does not hold, or too few photos can be used: `details` holds what \
                           became of each (FaceDetectionException).",
            body = ErrorBody,
        ),
    ),
    security(("token" = ["operator"]))
)]
pub(super) async fn register(
    state: State,
    user: CurrentUser,
    form: Option<FormData>,
) -> Result<impl Reply, ApiError> {
    let registered = enrol::register(&state, Actor::from(&user), form).await?;
    Ok(with_status(json(&registered), StatusCode::CREATED))
}

/// List people
#[utoipa::path(
    get,
    path = "/api/persons",
    params(PersonFilter, PageQuery),
    responses((
        status = 200,
        description = "One page, by name unless `sort` says otherwise.",
        body = Page<PersonView>,
    )),
    security(("token" = ["viewer"]))
)]
pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    filter: PersonFilter,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::list(&state.db, filter, page).await?))
}

/// See a person
#[utoipa::path(
    get,
    path = "/api/persons/{id}",
    params(("id" = Uuid, Path, description = "The person.")),
    responses((
        status = 200,
        description = "The person with photos, and when they were seen last.",
        body = PersonDetails,
    )),
    security(("token" = ["viewer"]))
)]
pub(super) async fn get(id: Uuid, state: State, _user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(json(&service::details(&state.db, id).await?))
}

/// Change a person
///
/// What is not sent stays, `null` clears. `is_active: false` takes the person out of the gallery, `true` puts
/// them back, unless somebody else has been enrolled with the same face meanwhile.
#[utoipa::path(
    put,
    path = "/api/persons/{id}",
    params(("id" = Uuid, Path, description = "The person."), UpdateQuery),
    request_body = PersonChange,
    responses(
        (status = 200, description = "The person as they are now.", body = PersonDetails),
        (
            status = 409,
            description = "The e-mail address, the employee id or, of who becomes active again, the face is \
                           somebody else's; `details` holds `person_id` and, for a face, `similarity`.",
            body = ErrorBody,
        ),
    ),
    security(("token" = ["operator"]))
)]
pub(super) async fn update(
    id: Uuid,
    state: State,
    user: CurrentUser,
    query: UpdateQuery,
    change: PersonChange,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::update(&state, &Actor::from(&user), id, change, query.force).await?))
}

/// Remove a person
///
/// They are inactive and out of the gallery at once. With `erase=true`, for which the role `admin` is needed,
/// everything about them is gone for good: templates, photos, detections with their snapshots, visits.
#[utoipa::path(
    delete,
    path = "/api/persons/{id}",
    params(("id" = Uuid, Path, description = "The person."), DeleteQuery),
    responses((status = 204, description = "Removed.")),
    security(("token" = ["operator"]))
)]
pub(super) async fn delete(
    id: Uuid,
    state: State,
    user: CurrentUser,
    query: DeleteQuery,
) -> Result<impl Reply, ApiError> {
    let actor = Actor::from(&user);
    if !query.erase {
        service::deactivate(&state, &actor, id).await?;
    } else if user.role < Role::Admin {
        return Err(ApiError::authorization("erasing someone for good needs the role admin"));
    } else {
        erasure::erase(&state, &actor, id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// List a person's photos
#[utoipa::path(
    get,
    path = "/api/persons/{id}/faces",
    params(("id" = Uuid, Path, description = "The person.")),
    responses((status = 200, description = "All of them, the oldest first.", body = Vec<FaceView>)),
    security(("token" = ["viewer"]))
)]
pub(super) async fn list_faces(id: Uuid, state: State, _user: CurrentUser) -> Result<impl Reply, ApiError> {
    service::find(&state.db, id).await?;
    Ok(json(&faces::list(&state.db, id).await?))
}

/// Add photos of a person
///
/// They have to show the person who is enrolled. At least one has to be accepted.
#[utoipa::path(
    post,
    path = "/api/persons/{id}/faces",
    params(("id" = Uuid, Path, description = "The person.")),
    request_body(
        content = FacesUpload,
        content_type = "multipart/form-data",
        encoding(("images" = (content_type = PICTURE_TYPES))),
    ),
    responses(
        (status = 201, description = "What was added, and what became of each photo.", body = AddedFaces),
        (
            status = 422,
            description = "No photo can be used: `details` holds what became of each (FaceDetectionException).",
            body = ErrorBody,
        ),
    ),
    security(("token" = ["operator"]))
)]
pub(super) async fn add_faces(
    id: Uuid,
    state: State,
    user: CurrentUser,
    form: Option<FormData>,
) -> Result<impl Reply, ApiError> {
    let added = enrol::add_faces(&state, Actor::from(&user), id, form).await?;
    Ok(with_status(json(&added), StatusCode::CREATED))
}

/// See a photo
#[utoipa::path(
    get,
    path = "/api/persons/{id}/faces/{face_id}",
    params(("id" = Uuid, Path, description = "The person."), ("face_id" = Uuid, Path, description = "The photo.")),
    responses((status = 200, description = "The photo.", body = Jpeg, content_type = "image/jpeg")),
    security(("token" = ["viewer"]))
)]
pub(super) async fn get_face(
    id: Uuid,
    face_id: Uuid,
    state: State,
    _user: CurrentUser,
) -> Result<impl Reply, ApiError> {
    Ok(picture::reply(faces::photo(&state, id, face_id).await?))
}

/// Remove a photo
#[utoipa::path(
    delete,
    path = "/api/persons/{id}/faces/{face_id}",
    params(("id" = Uuid, Path, description = "The person."), ("face_id" = Uuid, Path, description = "The photo.")),
    responses((status = 204, description = "The photo and its template are gone.")),
    security(("token" = ["operator"]))
)]
pub(super) async fn delete_face(
    id: Uuid,
    face_id: Uuid,
    state: State,
    user: CurrentUser,
) -> Result<impl Reply, ApiError> {
    faces::delete(&state, &Actor::from(&user), id, face_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
