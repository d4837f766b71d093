//! Mail addresses, of accounts and of enrolled people.

/// Catches slips of the pen; whether mail arrives, only sending it would tell.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((mailbox, domain)) = text.rsplit_once('@') else { return false };
    let is_odd = |character: char| character.is_whitespace() || character.is_control();
    let is_whole = !mailbox.is_empty() && !domain.split('.').any(str::is_empty);
    is_whole && !mailbox.contains('@') && !text.contains(is_odd)
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn slips_of_the_pen_are_seen() {
        assert!(is_address("ada@example.org") && is_address("a+b@localhost"));
        for text in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@example..org",
            "a b@example.org",
            "a\0b@example.org",
            "a@b@c",
        ] {
            assert!(!is_address(text), "{text}");
        }
    }
}
