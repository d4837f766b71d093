//! Takes passwords out of any text before it reaches a log, a status or a person.
//!
//! Camera URLs carry credentials in three places: before the host (`rtsp://admin:secret@10.0.0.7/`), in the query
//! (`?user=admin&pwd=secret`) and, with some recorders, in the path (`/user=admin&password=secret&channel=1.sdp`).
//! All three are masked. In doubt more is masked than needed.

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// Parts of a key that say its value is a secret or half of one.
const SECRET_WORDS: [&str; 9] = ["pass", "pwd", "pw", "token", "secret", "auth", "key", "user", "login"];

/// `text` with everything masked that looks like a credential.
///
/// ```
/// use vedette_pipelines::redact::redact;
/// assert_eq!(redact("rtsp://admin:p%40ss@10.0.0.7/live?pwd=x&ch=1"), "rtsp://***@10.0.0.7/live?pwd=***&ch=1");
/// ```
pub fn redact(text: &str) -> String {
    mask_pairs(&mask_userinfo(text))
}

/// Masks `user:password` in every `scheme://user:password@host`, also where a raw `/` or `@` stands in the password.
fn mask_userinfo(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://").map(|position| position + 3) {
        let (before, url) = rest.split_at(start);
        masked.push_str(before);
        let end = url.find(|c: char| c.is_whitespace() || "\"'<>`".contains(c)).unwrap_or(url.len());
        // A `://` inside the URL starts another one, which is masked in the next round.
        let end = url[..end].find("://").unwrap_or(end);
        if let Some(at) = url[..end].rfind('@') {
            masked.push_str(MASK);
            rest = &url[at..];
        } else {
            rest = url;
        }
    }
    masked.push_str(rest);
    masked
}

/// Masks the value of every `key=value` whose key looks like one of a secret.
fn mask_pairs(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(equals) = rest.find('=') {
        let (before, from_equals) = rest.split_at(equals);
        masked.push_str(before);
        masked.push('=');
        rest = &from_equals[1..];
        if is_secret_key(before) {
            let end =
                rest.find(|c: char| c.is_whitespace() || "&;\"'<>`)/".contains(c)).unwrap_or(rest.len());
            if end > 0 {
                masked.push_str(MASK);
            }
            rest = &rest[end..];
        }
    }
    masked.push_str(rest);
    masked
}

/// Whether the word that ends `text` names a secret.
fn is_secret_key(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let start = text
        .rfind(|c| !is_part(c))
        .map_or(0, |position| position + text[position..].chars().next().map_or(0, char::len_utf8));
    let key = text[start..].to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_before_the_host_are_masked() {
        assert_eq!(redact("rtsp://admin:secret@10.0.0.7:554/live"), "rtsp://***@10.0.0.7:554/live");
        assert_eq!(redact("rtsp://admin@10.0.0.7/"), "rtsp://***@10.0.0.7/");
        assert_eq!(redact("rtsp://a:b/c@d@10.0.0.7/x"), "rtsp://***@10.0.0.7/x");
        assert_eq!(
            redact("failed: \"http://a:b@cam/\" and http://c:d@cam2/"),
            "failed: \"http://***@cam/\" and http://***@cam2/"
        );
    }

    #[test]
    fn credentials_in_query_and_path_are_masked() {
        assert_eq!(
            redact("http://cam/mjpg?user=admin&PWD=x&fps=5"),
            "http://cam/mjpg?user=***&PWD=***&fps=5"
        );
        assert_eq!(
            redact("rtsp://cam/user=admin&password=abc&channel=1.sdp"),
            "rtsp://cam/user=***&password=***&channel=1.sdp"
        );
        assert_eq!(redact("http://cam/?access_token=abc"), "http://cam/?access_token=***");
    }

    #[test]
    fn other_text_is_left_alone() {
        for text in ["", "no such file", "rtsp://10.0.0.7/live?channel=1", "a = b", "größe=3 ü=4", "http://"]
        {
            assert_eq!(redact(text), text);
        }
    }
}
