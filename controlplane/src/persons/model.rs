//! People as clients send and see them.

use std::collections::HashMap;
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::submission::MAX_PHOTOS;
use crate::email;
use crate::entity::{face_templates, persons};
use crate::error::{ApiError, FieldError};
use crate::filters::present;
use crate::openapi::{files, form, text, texts};

/// A person as the API answers it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Person, examples(json!({
    "id": "01920000-0000-7000-8000-000000000003", "name": "Ada Lovelace", "email": "ada@example.org",
    "employee_id": "E-17", "phone": null, "department": "Analysis", "designation": null, "is_active": true,
    "created_at": "2026-01-01T12:00:00Z", "updated_at": "2026-01-01T12:00:00Z", "face_count": 3
})))]
pub(crate) struct PersonView {
    pub(crate) id: Uuid,
    name: String,
    #[schema(required)]
    email: Option<String>,
    #[schema(required)]
    employee_id: Option<String>,
    #[schema(required)]
    phone: Option<String>,
    #[schema(required)]
    department: Option<String>,
    #[schema(required)]
    designation: Option<String>,
    /// Whether the person is in the gallery.
    is_active: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    face_count: u64,
}

impl PersonView {
    /// A person with so many templates.
    pub(crate) fn new(person: persons::Model, face_count: u64) -> Self {
        Self {
            id: person.id,
            name: person.name,
            email: person.email,
            employee_id: person.employee_id,
            phone: person.phone,
            department: person.department,
            designation: person.designation,
            is_active: person.is_active,
            created_at: person.created_at,
            updated_at: person.updated_at,
            face_count,
        }
    }
}

/// One person with everything about them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PersonDetails {
    #[serde(flatten)]
    pub(crate) person: PersonView,
    pub(crate) faces: Vec<FaceView>,
    /// By any camera.
    #[schema(required)]
    pub(crate) last_seen: Option<DateTime<Utc>>,
    pub(crate) detection_count: u64,
}

/// An accepted photo as the API answers it; never the template.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Face, examples(json!({
    "id": "01920000-0000-7000-8000-000000000004", "filename": "ada.jpg", "quality": 0.86, "pack": "opencv",
    "created_at": "2026-01-01T12:00:00Z",
    "url": "/api/persons/01920000-0000-7000-8000-000000000003/faces/01920000-0000-7000-8000-000000000004"
})))]
pub(crate) struct FaceView {
    id: Uuid,
    /// As it was sent.
    #[schema(required)]
    filename: Option<String>,
    #[schema(minimum = 0, maximum = 1)]
    quality: f32,
    /// The models its template was made with.
    pack: String,
    created_at: DateTime<Utc>,
    url: String,
}

impl From<face_templates::Model> for FaceView {
    fn from(face: face_templates::Model) -> Self {
        Self {
            id: face.id,
            filename: face.filename,
            quality: face.quality,
            pack: face.pack,
            created_at: face.created_at,
            url: format!("/api/persons/{}/faces/{}", face.person_id, face.id),
        }
    }
}

/// What became of one photo that was sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Sample, examples(json!({ "index": 0, "filename": "ada.jpg", "accepted": true, "quality": 0.86 })))]
pub(crate) struct SampleVerdict {
    /// Place among the photos of the request, from 0.
    pub(crate) index: usize,
    pub(crate) filename: String,
    pub(crate) accepted: bool,
    /// `null` when no single face could be judged.
    #[schema(required, minimum = 0, maximum = 1)]
    pub(crate) quality: Option<f32>,
    /// Why it was not accepted, and what would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Answer of a registration.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RegisteredPerson)]
pub(crate) struct Registered {
    #[serde(flatten)]
    pub(crate) person: PersonView,
    pub(crate) samples: Vec<SampleVerdict>,
}

/// Answer when photos were added.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AddedFaces {
    pub(crate) faces: Vec<FaceView>,
    pub(crate) samples: Vec<SampleVerdict>,
}

/// What [`RegistrationForm::parse`] takes for a yes or a no.
fn force_schema() -> Object {
    let words = ["true", "1", "yes", "on", "false", "0", "no", "off", ""];
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// The form of `POST /api/persons/register`, for the API's description; [`RegistrationForm`] is what is made
/// of it.
pub(crate) enum RegistrationUpload {}

impl ToSchema for RegistrationUpload {}

impl PartialSchema for RegistrationUpload {
    fn schema() -> RefOr<Schema> {
        form([
            ("name", true, text("Name to show.", texts::filled_line::<200>())),
            ("email", false, text("Mail address, of nobody else.", texts::email())),
            ("employee_id", false, text("Number or name, of nobody else.", texts::line::<64>())),
            ("phone", false, text("Telephone number.", texts::line::<40>())),
            ("department", false, text("Where the person works.", texts::line::<120>())),
            ("designation", false, text("As what.", texts::line::<120>())),
            ("force", false, text("Enrol although the face seems to be enrolled already.", force_schema())),
            (
                "images",
                true,
                files("Photos (JPEG, PNG, WebP) of one face each; as a rule three or more.", MAX_PHOTOS),
            ),
        ])
    }
}

/// The form of `POST /api/persons/{id}/faces`.
pub(crate) enum FacesUpload {}

impl ToSchema for FacesUpload {}

impl PartialSchema for FacesUpload {
    fn schema() -> RefOr<Schema> {
        form([("images", true, files("Photos (JPEG, PNG, WebP) of one face each.", MAX_PHOTOS))])
    }
}

/// The descriptive fields of a person, checked and in their stored form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PersonFields {
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) employee_id: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) department: Option<String>,
    pub(crate) designation: Option<String>,
}

/// The text fields of `POST /api/persons/register`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RegistrationForm {
    pub(crate) fields: PersonFields,
    /// Enrol although the face is enrolled already.
    pub(crate) force: bool,
}

impl RegistrationForm {
    /// Checks the text fields of a form; all that is wrong is said at once.
    pub(crate) fn parse(mut texts: HashMap<String, String>) -> Result<Self, ApiError> {
        let mut wrong = Vec::new();
        let mut take = |name: &str| texts.remove(name);
        let mut fields = PersonFields {
            name: take("name").unwrap_or_default(),
            email: take("email"),
            employee_id: take("employee_id"),
            phone: take("phone"),
            department: take("department"),
            designation: take("designation"),
        };
        let force = match take("force").as_deref() {
            Some("true" | "1" | "yes" | "on") => true,
            None | Some("" | "false" | "0" | "no" | "off") => false,
            Some(_) => {
                wrong.push(FieldError::new("force", "must be true or false"));
                false
            }
        };
        let unknown = texts.into_keys().map(|name| {
            let known = "name, email, employee_id, phone, department, designation, force, images";
            FieldError::new(name, format!("there is no such field; there are {known}"))
        });
        wrong.extend(unknown);
        fields.normalise();
        wrong.extend(fields.check());
        if wrong.is_empty() { Ok(Self { fields, force }) } else { Err(ApiError::validations(wrong)) }
    }
}

impl PersonFields {
    /// Without surrounding blanks, nothing instead of an empty text, mail addresses in lower case.
    fn normalise(&mut self) {
        self.name = self.name.trim().to_owned();
        self.email = self.email.take().map(|email| email.to_lowercase());
        for field in [
            &mut self.email,
            &mut self.employee_id,
            &mut self.phone,
            &mut self.department,
            &mut self.designation,
        ] {
            *field = field.take().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        }
    }

    /// Everything that does not hold.
    fn check(&self) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        if self.name.is_empty() {
            wrong.push(FieldError::new("name", "must not be empty"));
        }
        let texts = [
            ("name", Some(&self.name), 200),
            ("email", self.email.as_ref(), 254),
            ("employee_id", self.employee_id.as_ref(), 64),
            ("phone", self.phone.as_ref(), 40),
            ("department", self.department.as_ref(), 120),
            ("designation", self.designation.as_ref(), 120),
        ];
        for (name, text, max_chars) in texts {
            let Some(text) = text else { continue };
            if text.chars().count() > max_chars {
                wrong.push(FieldError::new(name, format!("must have at most {max_chars} characters")));
            } else if text.chars().any(char::is_control) {
                wrong.push(FieldError::new(name, "must be one line of text"));
            }
        }
        if self.email.as_deref().is_some_and(|email| !email::is_address(email)) {
            wrong.push(FieldError::new("email", "must be an address such as ada@example.org"));
        }
        wrong
    }
}

/// Body of `PUT /api/persons/{id}`: what is absent stays, `null` clears.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "department": "Analysis", "phone": null })))]
pub(crate) struct PersonChange {
    #[schema(schema_with = texts::filled_line_or_null::<200>)]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = texts::email_or_null)]
    email: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = texts::line_or_null::<64>)]
    employee_id: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = texts::line_or_null::<40>)]
    phone: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = texts::line_or_null::<120>)]
    department: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = texts::line_or_null::<120>)]
    designation: Option<Option<String>>,
    /// Whether the person is in the gallery.
    pub(crate) is_active: Option<bool>,
}

impl PersonChange {
    /// Names of the fields it is about.
    pub(crate) fn named_fields(&self) -> Vec<&'static str> {
        let fields = [
            ("name", self.name.is_some()),
            ("email", self.email.is_some()),
            ("employee_id", self.employee_id.is_some()),
            ("phone", self.phone.is_some()),
            ("department", self.department.is_some()),
            ("designation", self.designation.is_some()),
            ("is_active", self.is_active.is_some()),
        ];
        fields.into_iter().filter(|(_, is_named)| *is_named).map(|(name, _)| name).collect()
    }

    /// The fields of `person` after this change, checked.
    pub(crate) fn apply_to(self, person: &persons::Model) -> Result<PersonFields, ApiError> {
        let mut fields = PersonFields {
            name: self.name.unwrap_or_else(|| person.name.clone()),
            email: self.email.unwrap_or_else(|| person.email.clone()),
            employee_id: self.employee_id.unwrap_or_else(|| person.employee_id.clone()),
            phone: self.phone.unwrap_or_else(|| person.phone.clone()),
            department: self.department.unwrap_or_else(|| person.department.clone()),
            designation: self.designation.unwrap_or_else(|| person.designation.clone()),
        };
        fields.normalise();
        let wrong = fields.check();
        if wrong.is_empty() { Ok(fields) } else { Err(ApiError::validations(wrong)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn parse(texts: &[(&str, &str)]) -> Result<RegistrationForm, ApiError> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        RegistrationForm::parse(texts.iter().map(own).collect())
    }

    #[test]
    fn fields_are_stored_in_one_form() {
        let form =
            parse(&[("name", " Ada "), ("email", " Ada@Example.org"), ("phone", " "), ("force", "true")]);
        let form = form.unwrap();
        assert_eq!(form.fields.name, "Ada");
        assert_eq!(form.fields.email.as_deref(), Some("ada@example.org"));
        assert_eq!(form.fields.phone, None);
        assert!(form.force);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let texts = [("email", "ada@"), ("employee", "7"), ("force", "maybe"), ("phone", "1\n2")];
        let error = parse(&texts).unwrap_err();
        for field in ["name:", "email:", "employee:", "force:", "phone:"] {
            assert!(error.message().contains(field), "{field} {}", error.message());
        }
        assert!(parse(&[("name", &"x".repeat(201))]).is_err());
    }

    #[test]
    fn a_change_tells_null_from_absent() {
        let person = persons::Model {
            id: Uuid::nil(),
            name: "Ada".into(),
            email: Some("ada@example.org".into()),
            employee_id: Some("7".into()),
            phone: None,
            department: None,
            designation: None,
            is_active: true,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        };
        let change: PersonChange = serde_json::from_str(r#"{"email":null,"phone":"1"}"#).unwrap();
        let fields = change.apply_to(&person).unwrap();
        assert_eq!((fields.email, fields.employee_id), (None, Some("7".into())));
        assert_eq!(fields.phone.as_deref(), Some("1"));
        let change: PersonChange = serde_json::from_str(r#"{"name":" "}"#).unwrap();
        assert!(change.apply_to(&person).is_err());
        assert!(serde_json::from_str::<PersonChange>(r#"{"nome":"x"}"#).is_err());
    }
}
