//! Reading `multipart/form-data` with limits: one file in memory at a time, and a clear answer when one is too large.

use std::convert::Infallible;

use futures_util::StreamExt as _;
use thiserror::Error;
use warp::filters::multipart::{FormData, Part};
use warp::{Buf as _, Filter};

use crate::error::ApiError;

/// A text field holds a name or an address.
const MAX_TEXT_BYTES: usize = 4 * 1024;
/// Parts that are no files; far more than any form here has.
const MAX_TEXT_FIELDS: usize = 50;

/// What one request may hold.
#[derive(Clone, Copy, Debug)]
pub struct UploadLimits {
    /// The field (or fields) that carry files; every other one is text.
    pub file_fields: &'static [&'static str],
    /// Files in all.
    pub max_files: usize,
    /// Size of one file.
    pub max_file_bytes: usize,
}

/// A form that cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UploadError {
    /// The body is of another kind.
    #[error("send the fields as multipart/form-data")]
    NotMultipart,
    /// The body breaks off or is not what its header says.
    #[error("the multipart body is damaged or incomplete: {0}")]
    Damaged(String),
    /// One file is over the limit.
    #[error("`{filename}` is larger than {max_mib} MiB; send a smaller picture")]
    FileTooLarge {
        /// The file, as the client named it.
        filename: String,
        /// The limit.
        max_mib: usize,
    },
    /// There are too many files.
    #[error("more than {max} files in one request; send fewer")]
    TooManyFiles {
        /// The limit.
        max: usize,
    },
    /// A text field is over the limit, or there are too many of them.
    #[error("the field `{0}` is too long, or there are too many fields")]
    TextTooLarge(String),
    /// A text field is not UTF-8.
    #[error("the field `{0}` is not UTF-8 text")]
    NotText(String),
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        let message = error.to_string();
        match error {
            UploadError::NotMultipart => Self::unsupported_media(message),
            UploadError::Damaged(_) => Self::file_processing(message),
            UploadError::FileTooLarge { .. }
            | UploadError::TooManyFiles { .. }
            | UploadError::TextTooLarge(_) => Self::too_large(message),
            UploadError::NotText(field) => Self::validation(field, "must be UTF-8 text"),
        }
    }
}

/// One part of a form.
#[derive(Debug, PartialEq, Eq)]
pub enum Field {
    /// A text field.
    Text {
        /// Its name.
        name: String,
        /// Its value, without surrounding blanks.
        value: String,
    },
    /// A file.
    File {
        /// The field's name.
        name: String,
        /// The file's name as the client gave it, shortened; only ever shown, never used as a path.
        filename: String,
        /// The content.
        bytes: Vec<u8>,
    },
}

/// A form being read.
pub struct Upload {
    form: FormData,
    limits: UploadLimits,
    files: usize,
    texts: usize,
}

/// Extracts the form of a request; `None` when its body is something else.
pub fn multipart() -> impl Filter<Extract = (Option<FormData>,), Error = Infallible> + Clone {
    warp::multipart::form().max_length(None).map(Some).or(warp::any().map(|| None)).unify()
}

impl Upload {
    /// Starts reading `form`, as extracted by [`multipart`].
    ///
    /// # Errors
    /// When the body is no form.
    pub fn new(form: Option<FormData>, limits: UploadLimits) -> Result<Self, UploadError> {
        let form = form.ok_or(UploadError::NotMultipart)?;
        Ok(Self { form, limits, files: 0, texts: 0 })
    }

    /// The next field, or `None` at the end of the form.
    ///
    /// # Errors
    /// When the form is damaged or over a limit.
    pub async fn next(&mut self) -> Result<Option<Field>, UploadError> {
        let Some(part) = self.form.next().await else { return Ok(None) };
        let mut part = part.map_err(damaged)?;
        let name = part.name().to_owned();
        if self.limits.file_fields.contains(&name.as_str()) {
            self.read_file(name, &mut part).await.map(Some)
        } else {
            self.read_text(name, &mut part).await.map(Some)
        }
    }

    async fn read_file(&mut self, name: String, part: &mut Part) -> Result<Field, UploadError> {
        let filename = shown_filename(part.filename().unwrap_or_default());
        self.files += 1;
        if self.files > self.limits.max_files {
            return Err(UploadError::TooManyFiles { max: self.limits.max_files });
        }
        match read_limited(part, self.limits.max_file_bytes).await? {
            Some(bytes) => Ok(Field::File { name, filename, bytes }),
            None => {
                let max_mib = self.limits.max_file_bytes / (1024 * 1024);
                Err(UploadError::FileTooLarge { filename, max_mib })
            }
        }
    }

    async fn read_text(&mut self, name: String, part: &mut Part) -> Result<Field, UploadError> {
        self.texts += 1;
        let bytes = read_limited(part, MAX_TEXT_BYTES).await?;
        let Some(bytes) = bytes.filter(|_| self.texts <= MAX_TEXT_FIELDS) else {
            return Err(UploadError::TextTooLarge(name));
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Field::Text { name, value: text.trim().to_owned() }),
            Err(_) => Err(UploadError::NotText(name)),
        }
    }
}

/// The content of a part; `None` when it is longer than `max_bytes`.
async fn read_limited(part: &mut Part, max_bytes: usize) -> Result<Option<Vec<u8>>, UploadError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.data().await {
        let mut chunk = chunk.map_err(damaged)?;
        if bytes.len() + chunk.remaining() > max_bytes {
            return Ok(None);
        }
        while chunk.has_remaining() {
            let piece = chunk.chunk();
            bytes.extend_from_slice(piece);
            let length = piece.len();
            chunk.advance(length);
        }
    }
    Ok(Some(bytes))
}

fn damaged(error: warp::Error) -> UploadError {
    UploadError::Damaged(error.to_string())
}

/// A name fit for an answer: the last part of the path some clients send, without control characters, shortened.
fn shown_filename(filename: &str) -> String {
    const MAX_CHARS: usize = 120;
    let last_part = filename.rsplit(['/', '\\']).next().unwrap_or_default();
    last_part.chars().filter(|character| !character.is_control()).take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    const LIMITS: UploadLimits = UploadLimits { file_fields: &["image"], max_files: 2, max_file_bytes: 8 };

    fn body(parts: &[(&str, Option<&str>, &str)]) -> String {
        let mut body = String::new();
        for (name, filename, content) in parts {
            let filename = filename.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
            body += &format!(
                "--X\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n{content}\r\n"
            );
        }
        body + "--X--\r\n"
    }

    /// Sends a body through [`multipart`] as a server would, and reads it to its end or first error.
    async fn read(content_type: &str, body: String) -> Result<Vec<Field>, UploadError> {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let route = multipart().then(move |form| {
            let sender = sender.clone();
            async move {
                sender.send(read_all(form).await).await.unwrap();
                warp::http::StatusCode::OK
            }
        });
        let request = warp::http::Request::post("/").header("content-type", content_type).body(body).unwrap();
        TowerToHyperService::new(warp::service(route)).call(request).await.unwrap();
        receiver.recv().await.unwrap()
    }

    async fn read_all(form: Option<FormData>) -> Result<Vec<Field>, UploadError> {
        let mut upload = Upload::new(form, LIMITS)?;
        let mut fields = Vec::new();
        while let Some(field) = upload.next().await? {
            fields.push(field);
        }
        Ok(fields)
    }

    async fn read_parts(parts: &[(&str, Option<&str>, &str)]) -> Result<Vec<Field>, UploadError> {
        read("multipart/form-data; boundary=X", body(parts)).await
    }

    #[tokio::test]
    async fn texts_and_files_are_told_apart_by_the_fields_name() {
        let fields =
            read_parts(&[("name", None, " Ada "), ("image", Some("C:\\a\\b.jpg"), "12345678")]).await;
        let expected = [
            Field::Text { name: "name".into(), value: "Ada".into() },
            Field::File { name: "image".into(), filename: "b.jpg".into(), bytes: b"12345678".to_vec() },
        ];
        assert_eq!(fields.unwrap(), expected);
    }

    #[tokio::test]
    async fn limits_are_named() {
        let file = |content| ("image", Some("a.jpg"), content);
        let error = read_parts(&[file("123456789")]).await.unwrap_err();
        assert!(matches!(error, UploadError::FileTooLarge { .. }), "{error}");
        let error = read_parts(&[file("1"), file("2"), file("3")]).await.unwrap_err();
        assert_eq!(error, UploadError::TooManyFiles { max: 2 });
        let error = read_parts(&[("name", None, &"x".repeat(MAX_TEXT_BYTES + 1))]).await.unwrap_err();
        assert_eq!(error, UploadError::TextTooLarge("name".into()));
        let many = vec![("name", None, "x"); MAX_TEXT_FIELDS + 1];
        assert_eq!(read_parts(&many).await.unwrap_err(), UploadError::TextTooLarge("name".into()));
    }

    #[tokio::test]
    async fn other_bodies_and_broken_ones_are_refused() {
        assert_eq!(read("application/json", "{}".into()).await.unwrap_err(), UploadError::NotMultipart);
        let cut_off = body(&[("name", None, "Ada")]).replace("--X--", "");
        let error = read("multipart/form-data; boundary=X", cut_off).await.unwrap_err();
        assert!(matches!(error, UploadError::Damaged(_)), "{error}");
    }
}
