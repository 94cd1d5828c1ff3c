//! Which format a push has, by its media type (SPEC 4.1), with parameters read as Go's `mime` package does; and whether
//! somebody asks for text where there is JSON.

/// Whether a Content-Type stands for delimited protobuf; everything else, damaged or missing, stands for text.
pub fn is_delimited_protobuf(content_type: &[u8]) -> bool {
    let end = content_type.iter().position(|byte| *byte == b';').unwrap_or(content_type.len());
    let (media_type, mut rest) = content_type.split_at(end);
    if !media_type.trim_ascii().eq_ignore_ascii_case(b"application/vnd.google.protobuf") {
        return false;
    }
    let mut names: Vec<Vec<u8>> = Vec::new();
    let (mut is_delimited, mut is_family) = (false, false);
    loop {
        rest = rest.trim_ascii_start();
        if matches!(rest.trim_ascii(), b"" | b";") {
            return is_delimited && is_family;
        }
        let Some((name, value)) = parameter(&mut rest) else { return false };
        if names.contains(&name) {
            return false;
        }
        match &*name {
            b"encoding" => is_delimited = value == b"delimited",
            b"proto" => is_family = value == b"io.prometheus.client.MetricFamily",
            _ => {}
        }
        names.push(name);
    }
}

/// Whether an Accept header names plain text first. Those that take everything get what there was from the start.
pub fn prefers_text(accept: &[u8]) -> bool {
    let first = accept.split(|byte| b",;".contains(byte)).next().unwrap_or_default();
    first.trim_ascii().eq_ignore_ascii_case(b"text/plain")
}

/// Takes `; name=value`; the name in lower case.
fn parameter(rest: &mut &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    *rest = rest.strip_prefix(b";")?.trim_ascii_start();
    let name = token(rest)?.to_ascii_lowercase();
    *rest = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let value = if rest.starts_with(b"\"") { quoted(rest)? } else { token(rest)?.to_vec() };
    Some((name, value))
}

fn token<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let is_token = |byte: &u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(byte);
    let len = rest.iter().take_while(|byte| is_token(byte)).count();
    let (token, behind) = rest.split_at(len);
    *rest = behind;
    (len > 0).then_some(token)
}

fn quoted(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    let mut at = 1;
    loop {
        match *rest.get(at)? {
            b'"' => {
                *rest = &rest[at + 1..];
                return Some(value);
            }
            b'\\' if rest.get(at + 1).is_some_and(|byte| b"()<>@,;:\\\"/[]?=".contains(byte)) => at += 1,
            b'\r' | b'\n' => return None,
            _ => {}
        }
        value.push(rest[at]);
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_to_be_asked_for() {
        let check = |accept: &str, expected: bool| assert_eq!(prefers_text(accept.as_bytes()), expected, "{accept}");
        check("text/plain", true);
        check(" Text/Plain ;version=0.0.4, */*", true);
        check("text/plain,application/json", true);
        for other in ["", "*/*", "text/*", "application/json, text/plain", "text/html,*/*", "text/plainer"] {
            check(other, false);
        }
    }

    #[test]
    fn protobuf_is_recognised() {
        const TYPE: &str = "application/vnd.google.protobuf";
        const PROTO: &str = "proto=io.prometheus.client.MetricFamily";
        let check = |content_type: &str, expected: bool| {
            assert_eq!(is_delimited_protobuf(content_type.as_bytes()), expected, "{content_type}");
        };
        check(&format!("{TYPE}; {PROTO}; encoding=delimited"), true);
        check(&format!("{TYPE};encoding=delimited;{PROTO}"), true);
        check(&format!(" {} ; {PROTO} ; ENCODING = delimited ; ", TYPE.to_uppercase()), true);
        check(&format!("{TYPE}; proto=\"io.prometheus\\.client.MetricFamily\"; encoding=delimited"), false);
        check(&format!("{TYPE}; proto=\"io.prometheus.client.MetricFamily\";encoding=\"delimited\""), true);
        check(&format!("{TYPE}; {PROTO}; encoding=delimited; a=b; escaping=\"x\\\";y\""), true);
        check(&format!("{TYPE}; {PROTO}; encoding=delimited;;"), false);
        check(&format!("{TYPE}; {PROTO}; encoding=delimited; a"), false);
        check(&format!("{TYPE}; {PROTO}; encoding=delimited; a=\"x"), false);
        check(&format!("{TYPE}; {PROTO}; encoding=delimited; Encoding=delimited"), false);
        check(&format!("{TYPE}; {PROTO}; encoding=delimited; encoding=text"), false);
        check(&format!("{TYPE}; {PROTO}; encoding=DELIMITED"), false);
        check(&format!("{TYPE}; {PROTO}; encoding=text"), false);
        check(&format!("{TYPE}; {PROTO}"), false);
        check(&format!("{TYPE}; encoding=delimited"), false);
        check(TYPE, false);
        check("", false);
        check("text/plain", false);
        check(&format!("{TYPE}x; {PROTO}; encoding=delimited"), false);
    }
}
