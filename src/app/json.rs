//! Writing JSON as Go does: which characters are escaped, and how (SPEC 8.1).

/// Writes a string: `<`, `>`, `&`, U+2028 and U+2029 escaped as well, bytes that are not UTF-8 as U+FFFD.
pub fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        write_valid(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            // Go replaces every byte by itself; an incomplete sequence is several.
            for _ in chunk.invalid() {
                out.extend_from_slice(b"\\ufffd");
            }
        }
    }
    out.push(b'"');
}

fn write_valid(out: &mut Vec<u8>, text: &str) {
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let is_special = matches!(c, '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}') || c < ' ';
        if is_special {
            out.extend_from_slice(&text.as_bytes()[plain..at]);
            write_escape(out, c);
            plain = at + c.len_utf8();
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
}

fn write_escape(out: &mut Vec<u8>, c: char) {
    let short: &[u8] = match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        '\x08' => b"\\b",
        '\x0c' => b"\\f",
        c => return out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
    };
    out.extend_from_slice(short);
}

/// Writes `{`, `,` or nothing in front of the next member, and its key and colon.
pub fn write_key(out: &mut Vec<u8>, is_first: &mut bool, key: &[u8]) {
    out.push(if std::mem::take(is_first) { b'{' } else { b',' });
    write_string(out, key);
    out.push(b':');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_does() {
        let check = |text: &[u8], expected: &str| {
            let mut out = Vec::new();
            write_string(&mut out, text);
            assert_eq!(str::from_utf8(&out).unwrap(), expected);
        };
        check(b"", r#""""#);
        check("aé日😊".as_bytes(), "\"aé日😊\"");
        check(b"\"\\\n\r\t\x08\x0c\x01\x7f", "\"\\\"\\\\\\n\\r\\t\\b\\f\\u0001\x7f\"");
        check("<a href='&'>\u{2028}\u{2029}".as_bytes(), r#""\u003ca href='\u0026'\u003e\u2028\u2029""#);
        check(b"x\xffy\xe2\x80", r#""x\ufffdy\ufffd\ufffd""#);
    }
}
