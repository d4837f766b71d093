//! Schemas of `multipart/form-data`, which is read part by part and has no Rust type to derive them from.

use utoipa::openapi::schema::{AdditionalProperties, Array, KnownFormat, Object, SchemaFormat, Type};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema};

/// Kinds of files that hold a picture.
pub(crate) const PICTURE_TYPES: &str = "image/jpeg, image/png, image/webp";

/// A field of a form: its name, whether it has to be there, what it takes.
pub(crate) type FormField = (&'static str, bool, Schema);

/// A form of these fields and no other.
pub(crate) fn form(fields: impl IntoIterator<Item = FormField>) -> RefOr<Schema> {
    let no_other = Some(AdditionalProperties::FreeForm(false));
    let mut form = ObjectBuilder::new().schema_type(Type::Object).additional_properties(no_other);
    for (name, is_needed, schema) in fields {
        form = form.property(name, schema);
        if is_needed {
            form = form.required(name);
        }
    }
    RefOr::T(Schema::Object(form.build()))
}

/// A field of text.
pub(crate) fn text(description: &str, mut schema: Object) -> Schema {
    schema.description = Some(description.to_owned());
    Schema::Object(schema)
}

/// A file.
fn file(description: &str) -> Object {
    let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
    let file = ObjectBuilder::new().schema_type(Type::String).format(Some(format));
    file.description(Some(description)).build()
}

/// One file, or one or more of them under the same name.
pub(crate) fn files(description: &str, max: usize) -> Schema {
    if max == 1 {
        return Schema::Object(file(description));
    }
    let files: Array =
        ArrayBuilder::new().items(file(description)).min_items(Some(1)).max_items(Some(max)).build();
    Schema::Array(files)
}
