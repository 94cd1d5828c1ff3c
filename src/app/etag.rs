//! Entity tags: what a client has already, it is not sent again (RFC 9110 8.8.3, 13.1.2).

/// A tag as the header has it. Tags are weak: the same text is sent packed and plain.
pub fn shown(tag: &str) -> String {
    format!("W/\"{tag}\"")
}

/// Whether the `If-None-Match` headers of a request name this tag, or any.
pub fn is_known<'a>(mut headers: impl Iterator<Item = &'a [u8]>, tag: &str) -> bool {
    headers.any(|header| {
        header.split(|byte| *byte == b',').any(|known| {
            let known = known.trim_ascii();
            let quoted = known.strip_prefix(b"W/").unwrap_or(known);
            let inside = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
            known == b"*" || inside == Some(tag.as_bytes())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_in_lists() {
        let check = |headers: &[&str], expected: bool| {
            assert_eq!(is_known(headers.iter().map(|header| header.as_bytes()), "a1"), expected, "{headers:?}");
        };
        check(&[], false);
        check(&[&shown("a1")], true);
        check(&["\"a1\""], true);
        check(&["*"], true);
        check(&["\"b\" , W/\"a1\",\"c\""], true);
        check(&["\"b\"", "\"a1\""], true);
        for other in ["", "a1", "\"a\"", "\"a1", "w/\"a1\"", "W/\"a12\"", "\"*\"", "W/a1"] {
            check(&[other], false);
        }
    }
}
