//! HTTP side of looking at pictures.

use warp::Reply;
use warp::filters::multipart::FormData;

use super::model::{DetectAnswer, DetectUpload, VerifyAnswer, VerifyUpload};
use super::service;
use crate::auth::CurrentUser;
use crate::error::{ApiError, ErrorBody};
use crate::openapi::PICTURE_TYPES;
use crate::state::State;
use crate::upload::{Field, Upload, UploadLimits};

/// Size of one picture as it is sent.
const MAX_PICTURE_BYTES: usize = 20 * 1024 * 1024;

/// Find and name the faces of a picture
#[utoipa::path(
    post,
    path = "/api/detect",
    request_body(
        content = DetectUpload,
        content_type = "multipart/form-data",
        encoding(("image" = (content_type = PICTURE_TYPES))),
    ),
    responses((
        status = 200,
        description = "The faces; `person` is `null` for strangers.",
        body = DetectAnswer,
    )),
    security(("token" = ["viewer"]))
)]
pub(super) async fn detect(
    state: State,
    _user: CurrentUser,
    form: Option<FormData>,
) -> Result<impl Reply, ApiError> {
    let [image] = read_pictures(form, &["image"]).await?;
    Ok(warp::reply::json(&service::detect(&state, image).await?))
}

/// Compare the faces of two pictures
///
/// Each has to show one face; of several, the largest counts.
#[utoipa::path(
    post,
    path = "/api/verify",
    request_body(
        content = VerifyUpload,
        content_type = "multipart/form-data",
        encoding(("image_a" = (content_type = PICTURE_TYPES)), ("image_b" = (content_type = PICTURE_TYPES))),
    ),
    responses(
        (status = 200, description = "How similar they are.", body = VerifyAnswer),
        (
            status = 422,
            description = "A field does not hold, or a picture shows no face (FaceDetectionException).",
            body = ErrorBody,
        ),
    ),
    security(("token" = ["viewer"]))
)]
pub(super) async fn verify(
    state: State,
    _user: CurrentUser,
    form: Option<FormData>,
) -> Result<impl Reply, ApiError> {
    let [image_a, image_b] = read_pictures(form, &["image_a", "image_b"]).await?;
    Ok(warp::reply::json(&service::verify(&state, image_a, image_b).await?))
}

/// The files of a form that holds exactly one in each of `names`.
async fn read_pictures<const N: usize>(
    form: Option<FormData>,
    names: &'static [&'static str; N],
) -> Result<[Vec<u8>; N], ApiError> {
    let limits = UploadLimits { file_fields: names, max_files: N, max_file_bytes: MAX_PICTURE_BYTES };
    let mut upload = Upload::new(form, limits)?;
    let mut pictures = [const { None }; N];
    while let Some(field) = upload.next().await? {
        match field {
            Field::File { name, bytes, .. } => {
                let slots = names.iter().zip(&mut pictures);
                if let Some((_, slot)) = slots.into_iter().find(|(wanted, _)| **wanted == name) {
                    *slot = Some(bytes);
                }
            }
            Field::Text { name, .. } => {
                let message = format!("there is no such field; send {}", names.join(" and "));
                return Err(ApiError::validation(name, message));
            }
        }
    }
    let missing = names.iter().zip(&pictures).find(|(_, picture)| picture.is_none());
    if let Some((name, _)) = missing {
        return Err(ApiError::validation(*name, "send a picture"));
    }
    Ok(pictures.map(Option::unwrap_or_default))
}
