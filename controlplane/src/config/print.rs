//! The settings as they are in effect, and which file or variable each comes from. No secret is shown.

use std::fmt::Write as _;
use std::path::Path;

use serde_yaml::{Mapping, Value};

use super::{BUILT_IN, Config, ConfigError, Environment, VARIABLES, layers, parse_layer};
use crate::cameras::SourceUrl;

/// Stands for what is not shown.
const HIDDEN: &str = "***";

/// The files' settings in the form of a file, then the variables as `.env` would hold them.
///
/// `is_of_process` says whether a variable is the process's own; others come from `.env`.
///
/// # Errors
/// When the settings do not hold.
pub fn describe(
    folder: Option<&Path>,
    environment: &Environment,
    is_of_process: impl Fn(&str) -> bool,
) -> Result<String, ConfigError> {
    let config = Config::load(folder, environment)?;
    let mut layers = layers(config.folder.as_deref(), config.stage)?;
    layers.insert(0, ("default".to_owned(), parse_layer("the built-in config.yaml", BUILT_IN)?));
    let mut text = String::new();
    let values: Vec<(&str, &Value)> = layers.iter().map(|(name, value)| (name.as_str(), value)).collect();
    write_section(&mut text, &values, 0);
    text.push_str("\n# environment\n");
    for variable in VARIABLES {
        let (value, origin) = match environment.get(variable.name) {
            Some(_) if variable.is_secret => (HIDDEN, origin(&is_of_process, variable.name)),
            Some(value) => (value, origin(&is_of_process, variable.name)),
            None if variable.default.is_empty() => {
                writes(&mut text, format_args!("# {} is not set\n", variable.name));
                continue;
            }
            None => (variable.default, "default"),
        };
        writes(&mut text, format_args!("{}={value}  # {origin}\n", variable.name));
    }
    Ok(text)
}

fn origin(is_of_process: &impl Fn(&str) -> bool, name: &str) -> &'static str {
    if is_of_process(name) { "environment" } else { ".env" }
}

/// Writes what the mappings of `layers` hold together; later ones win.
fn write_section(text: &mut String, layers: &[(&str, &Value)], depth: usize) {
    let mappings = layers.iter().filter_map(|(_, value)| value.as_mapping());
    let mut keys: Vec<&str> = Vec::new();
    for key in mappings.flat_map(Mapping::keys).filter_map(Value::as_str) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let indent = "  ".repeat(depth);
    for key in keys {
        let set: Vec<(&str, &Value)> =
            layers.iter().filter_map(|(name, value)| Some((*name, value.get(key)?))).collect();
        let Some((origin, value)) = set.last() else { continue };
        if value.is_mapping() {
            // What is no mapping, and all before it, was replaced as a whole.
            let first = set.iter().rposition(|(_, value)| !value.is_mapping()).map_or(0, |last| last + 1);
            writes(text, format_args!("{indent}{key}:\n"));
            write_section(text, &set[first..], depth + 1);
        } else {
            write_value(text, &indent, key, value, origin);
        }
    }
}

fn write_value(text: &mut String, indent: &str, key: &str, value: &Value, origin: &str) {
    let shown = serde_yaml::to_string(&without_credentials(value)).unwrap_or_else(|_| HIDDEN.to_owned());
    match value {
        Value::Sequence(items) if !items.is_empty() => {
            writes(text, format_args!("{indent}{key}:  # {origin}\n"));
            shown.lines().for_each(|line| writes(text, format_args!("{indent}  {line}\n")));
        }
        _ => writes(text, format_args!("{indent}{key}: {}  # {origin}\n", shown.trim_end())),
    }
}

/// Hides the credentials in the sources of cameras.
fn without_credentials(value: &Value) -> Value {
    let Value::Sequence(items) = value else { return value.clone() };
    let hide = |item: &Value| {
        let mut item = item.clone();
        if let Some(url) = item.get_mut("url") {
            let source = url.as_str().and_then(|url| url.parse::<SourceUrl>().ok());
            if url.is_string() {
                *url = source.map_or(HIDDEN.to_owned(), |source| source.redacted()).into();
            }
        }
        item
    };
    Value::Sequence(items.iter().map(hide).collect())
}

/// Adds to a text, which cannot fail.
fn writes(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(what);
}
