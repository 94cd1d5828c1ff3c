//! The two spellings inside a grouping path: URL-safe base64 for values (SPEC 2.5), `U__` escapes for names (SPEC 2.6).

/// Decodes base64 of the URL alphabet into the end of `out`, as far as it is correct: whole quanta only.
///
/// Trailing `=` do not count, CR and LF are skipped, spare bits of the last character may be anything.
///
/// # Errors
/// The index of the first byte that does not belong, or of the first character of a last quantum of one character.
pub(super) fn base64(value: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    let padding = value.iter().rev().take_while(|byte| **byte == b'=').count();
    let mut quantum = 0u32;
    let mut characters = 0;
    let mut start = 0;
    for (at, byte) in value[..value.len() - padding].iter().enumerate() {
        if matches!(byte, b'\r' | b'\n') {
            continue;
        }
        if characters == 0 {
            start = at;
        }
        quantum = quantum << 6 | u32::from(sextet(*byte).ok_or(at)?);
        characters += 1;
        if characters == 4 {
            out.extend_from_slice(&quantum.to_be_bytes()[1..]);
            (quantum, characters) = (0, 0);
        }
    }
    match characters {
        0 => {}
        1 => return Err(start),
        2 => out.push((quantum >> 4) as u8),
        _ => out.extend_from_slice(&(quantum >> 2).to_be_bytes()[2..]),
    }
    Ok(())
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

/// Writes what `name` stands for to the end of `out`: a name that is not a correct escape stands for itself.
pub(super) fn unescaped_name(name: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let escaped = name.strip_prefix(b"U__");
    if escaped.and_then(|escaped| write_unescaped(escaped, out)).is_none() {
        out.truncate(start);
        out.extend_from_slice(name);
    }
}

fn write_unescaped(escaped: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = escaped;
    while let Some(at) = memchr::memchr(b'_', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = memchr::memchr(b'_', rest)?;
        let c = if digits == 0 { '_' } else { code_point(&rest[..digits])? };
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[digits + 1..];
    }
    out.extend_from_slice(rest);
    Some(())
}

/// Reads one to five hexadecimal digits; that is all the original takes, although code points go up to 10FFFF.
fn code_point(digits: &[u8]) -> Option<char> {
    if digits.len() > 5 {
        return None;
    }
    let number = digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))?;
    char::from_u32(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_url_alphabet() {
        let check = |value: &str, expected: &[u8]| {
            let mut out = b"<".to_vec();
            assert_eq!(base64(value.as_bytes(), &mut out), Ok(()), "{value:?}");
            assert_eq!(&out[1..], expected, "{value:?}");
        };
        for empty in ["", "=", "==", "=====", "\n", "\r\n="] {
            check(empty, b"");
        }
        for x in ["eA", "eA=", "eA==", "eA===", "e\nA", "\re\r\nA\n", "eB", "eP"] {
            check(x, b"x");
        }
        check("eHg", b"xx");
        check("eHj", b"xx");
        check("eHh4", b"xxx");
        check("eHh4eA", b"xxxx");
        check("__-_", &[0xff, 0xff, 0xbf]);
        check("zqDPgc6_zrzOt864zrXPjc-C", "Προμηθεύς".as_bytes());
        check("L3Zhci90bXA", b"/var/tmp");
    }

    #[test]
    fn base64_errors_tell_where() {
        let check = |value: &str, before: &str, at: usize| {
            let mut out = Vec::new();
            assert_eq!(base64(value.as_bytes(), &mut out), Err(at), "{value:?}");
            assert_eq!(out, before.as_bytes(), "{value:?}");
        };
        check("e", "", 0);
        check("e=", "", 0);
        check("!!", "", 0);
        check("e=A", "", 1);
        check("eA=A", "", 2);
        check("eHh4!!", "xxx", 4);
        check("eHh4e", "xxx", 4);
        check("eHh4eH!", "xxx", 6);
        check("eHh4\ne", "xxx", 5);
        for byte in ["+", "/", " ", "\t", "é", "\0"] {
            check(&format!("eA{byte}"), "", 2);
        }
    }

    #[test]
    fn names_are_unescaped() {
        let check = |name: &str, expected: &str| {
            let mut out = b"<".to_vec();
            unescaped_name(name.as_bytes(), &mut out);
            assert_eq!(str::from_utf8(&out[1..]), Ok(expected), "{name}");
        };
        check("U__a_2e_b", "a.b");
        check("U__a__b", "a_b");
        check("U___55_____x", "U__x");
        check("U__a_1F60A_", "a😊");
        check("U__a_1f60a_", "a😊");
        check("U__", "");
        check("U__job", "job");
        check("U___0_", "\0");
        check("U__é", "é");
        for same in [
            "",
            "a",
            "_",
            "u__a_2e_b",
            "U_",
            "U__a_b",
            "U__a_",
            "U__a_2e",
            "U__in_xxx_valid",
            "U__a_D83D_b",
            "U__a_000041_",
            "U__a_110000_",
            "U__a_+41_",
            "U__a_2e_b_",
        ] {
            check(same, same);
        }
    }
}
