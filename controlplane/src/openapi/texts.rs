//! Schemas of what people type: one line, around which blanks do not count; where it may be empty, that means none.

use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::{Object, SchemaType, Type};

const LINE: &str = r"^[ \t\r\n]*[^\x00-\x1f\x7f-\x9f]*[ \t\r\n]*$";
const FILLED_LINE: &str = r"^[ \t\r\n]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*[ \t\r\n]*$";
/// As `email.rs` has it.
const EMAIL: &str = r"^[ \t\r\n]*([^\s\x00-\x1f\x7f-\x9f@]+@[^\s\x00-\x1f\x7f-\x9f@.]+(\.[^\s\x00-\x1f\x7f-\x9f@.]+)*)?[ \t\r\n]*$";
const MAX_EMAIL_CHARS: usize = 254;

/// A line of at most `MAX` characters.
pub(crate) fn line<const MAX: usize>() -> Object {
    text(Type::String, LINE, MAX)
}

/// The same, where `null` means none, too.
pub(crate) fn line_or_null<const MAX: usize>() -> Object {
    text(SchemaType::from_iter([Type::String, Type::Null]), LINE, MAX)
}

/// A line with something in it.
pub(crate) fn filled_line<const MAX: usize>() -> Object {
    text(Type::String, FILLED_LINE, MAX)
}

/// The same, where `null` is as good as nothing.
pub(crate) fn filled_line_or_null<const MAX: usize>() -> Object {
    text(SchemaType::from_iter([Type::String, Type::Null]), FILLED_LINE, MAX)
}

/// A mail address.
pub(crate) fn email() -> Object {
    text(Type::String, EMAIL, MAX_EMAIL_CHARS)
}

/// The same, where `null` means none, too.
pub(crate) fn email_or_null() -> Object {
    text(SchemaType::from_iter([Type::String, Type::Null]), EMAIL, MAX_EMAIL_CHARS)
}

fn text(schema_type: impl Into<SchemaType>, pattern: &str, max_chars: usize) -> Object {
    let text = ObjectBuilder::new().schema_type(schema_type).pattern(Some(pattern));
    text.max_length(Some(max_chars)).build()
}
