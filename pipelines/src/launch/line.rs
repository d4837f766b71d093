//! A camera's pipeline as a line for a terminal: the words `gst-launch-1.0` takes, quoted for its own parser and then
//! for a POSIX shell.

use std::fmt::Write as _;

use super::filling::Filling;
use super::{LaunchError, Template};

/// The words that build a pipeline: the template's, with each element's values after its name. `show` says what to
/// write of a value.
///
/// # Errors
/// When the template has no element that a value is for.
pub(super) fn words(
    template: Template,
    fillings: &[Filling],
    show: impl Fn(&Filling) -> String,
) -> Result<Vec<String>, LaunchError> {
    let mut left: Vec<&Filling> = fillings.iter().collect();
    let mut words = Vec::new();
    let description = template.description();
    let is_filled_anew = |word: &str, own: &[Filling]| {
        // What the template says first would only be overruled.
        own.iter().any(|filling| word.starts_with(&format!("{}=", filling.property)))
    };
    for element in description.split_inclusive(" ! ") {
        let (element, link) = element.strip_suffix(" ! ").map_or((element, None), |text| (text, Some("!")));
        let name = element.split_whitespace().find_map(|word| word.strip_prefix("name="));
        let own: Vec<Filling> =
            left.extract_if(.., |filling| Some(filling.element) == name).cloned().collect();
        words
            .extend(element.split_whitespace().filter(|word| !is_filled_anew(word, &own)).map(str::to_owned));
        words
            .extend(own.iter().map(|filling| format!("{}={}", filling.property, for_parser(&show(filling)))));
        words.extend(link.map(str::to_owned));
    }
    match left.first() {
        Some(filling) => Err(LaunchError::NoElement { template: template.name(), element: filling.element }),
        None => Ok(words),
    }
}

/// Words as a shell takes them, on one line.
pub(super) fn for_shell(words: &[String]) -> String {
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// A value as GStreamer's parser reads it back: out of one argument of `gst-launch-1.0`, which puts a backslash before
/// spaces until it sees the first double quote.
fn for_parser(value: &str) -> String {
    let mut escaped = String::new();
    let mut after_quote = false;
    for character in deserialisable(value).chars() {
        if matches!(character, '\\' | '"' | '\'') || (character == ' ' && after_quote) {
            escaped.push('\\');
        }
        after_quote |= character == '"';
        escaped.push(character);
    }
    escaped
}

/// A text that GStreamer reads as `value`. Few are not read as they are: those with quotes around them, none at all,
/// the word that stands for no text, and characters the parser takes for space between words.
fn deserialisable(value: &str) -> String {
    let is_quoted = value.starts_with('"') && value.ends_with('"');
    let has_space = value.contains(|character: char| character.is_whitespace() && character != ' ');
    let has_control = value.contains(char::is_control);
    if !is_quoted && !has_space && !has_control && !matches!(value, "" | "NULL") {
        return value.to_owned();
    }
    let mut quoted = "\"".to_owned();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() {
            quoted.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(quoted, "\\{byte:03o}");
        }
    }
    quoted.push('"');
    quoted
}

/// A word in single quotes, if the shell would not take it as it is.
fn shell_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:,=@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) || word == "!" {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use gst::prelude::*;

    use super::*;

    /// Texts that mean something to a shell or to GStreamer.
    const TEXTS: [&str; 22] = [
        "/plain/path.mp4",
        "/a b/c  d.mp4",
        " /leading and trailing ",
        r#"/a "quoted" name.mp4"#,
        r#"" quoted all ""#,
        "/it's.mp4",
        "/a ! fakesink name=x.mp4",
        "/$(touch x) `id` $HOME.mp4",
        r"/back\slash \ and \\ two.mp4",
        r#"/a\"b c\" d.mp4"#,
        "NULL",
        "",
        "\"",
        "\"\"",
        "'",
        "tab\tand\nnew line",
        "naïve ファイル\u{a0}.mp4",
        "semi;colon,comma=equals(paren)[x]{y}",
        "# no comment",
        "a & b | c > d < e * ?",
        "-dash ~tilde",
        "50%,0%,100%,100%;0%,0%,1%,1%",
    ];

    /// What `gst-launch-1.0` makes of these arguments.
    fn parsed(arguments: &[&str]) -> gst::Element {
        gst::parse::launchv(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    #[test]
    fn gstreamer_reads_every_text_back() {
        gst::init().unwrap();
        for text in TEXTS {
            let word = format!("location={}", for_parser(text));
            let pipeline = parsed(&["filesrc", "name=source", &word, "!", "fakesink", "name=sink"]);
            let source = pipeline.downcast_ref::<gst::Pipeline>().unwrap().by_name("source").unwrap();
            let location = source.property::<Option<String>>("location").unwrap_or_default();
            assert_eq!(location, text, "{word}");
        }
    }

    #[test]
    fn a_shell_reads_every_word_back() {
        let words: Vec<String> = TEXTS.iter().map(|text| for_parser(text)).collect();
        let script = format!("for word in {}; do printf '%s\\0' \"$word\"; done", for_shell(&words));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let expected: String = words.iter().map(|word| format!("{word}\0")).collect();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}
