//! The path that names a group: the inverse of reading one. Of the many spellings it takes the plainest that every
//! client and proxy leaves alone.

use std::fmt::Write as _;

use crate::model::name::{Names, is_classic_label_name};

/// What stands behind `/metrics/` in a push to the group of these labels: `job/x/instance/y`. Percent-encoded.
/// `names` are those that reading the path will allow.
pub fn path<'a>(labels: impl Iterator<Item = (&'a str, &'a str)> + Clone, names: Names) -> String {
    let mut out = String::new();
    let is_job = |(name, _): &(&str, &str)| *name == "job";
    let job = labels.clone().filter(is_job);
    for (name, value) in job.chain(labels.filter(|label| !is_job(label))) {
        if !out.is_empty() {
            out.push('/');
        }
        match names {
            Names::Classic => out.push_str(name),
            Names::Utf8 => write_name(&mut out, name),
        }
        // A slash cannot stand in a path, an empty part is lost, and dots are resolved by clients even if escaped.
        if value.contains('/') || matches!(value, "" | "." | "..") {
            out.push_str("@base64/");
            write_base64(&mut out, value.as_bytes());
        } else {
            out.push('/');
            write_escaped(&mut out, value);
        }
    }
    out
}

/// Writes a name, as `U__` escape if it is not a classic one (SPEC 2.6), or would be taken for an escape itself.
fn write_name(out: &mut String, name: &str) {
    if is_classic_label_name(name.as_bytes()) && !name.starts_with("U__") {
        out.push_str(name);
        return;
    }
    out.push_str("U__");
    for c in name.chars() {
        match c {
            '_' => out.push_str("__"),
            c if c.is_ascii_alphanumeric() => out.push(c),
            // Five digits at most can be read back; what is above them, the last private plane, is sent as it is.
            c if u32::from(c) > 0xf_ffff => write_escaped(out, c.encode_utf8(&mut [0; 4])),
            c => write!(out, "_{:x}_", u32::from(c)).expect("writing to a string does not fail"),
        }
    }
}

fn write_escaped(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
}

/// Writes base64 of the URL alphabet; `=` for nothing, as an empty part would be lost (SPEC 2.5).
fn write_base64(out: &mut String, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if bytes.is_empty() {
        out.push('=');
    }
    for chunk in bytes.chunks(3) {
        let quantum = chunk.iter().fold(0, |quantum, byte| quantum << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(quantum >> (18 - 6 * at) & 63) as usize]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{GroupingLabels, parse};
    use super::*;
    use crate::app::route::{Decision, Endpoint, Router};

    #[test]
    fn paths_are_plain_where_they_can_be() {
        let check = |labels: &[(&str, &str)], expected: &str| {
            assert_eq!(path(labels.iter().copied(), Names::Utf8), expected);
        };
        check(&[("job", "x")], "job/x");
        check(&[("instance", "db1:9100"), ("job", "x")], "job/x/instance/db1%3A9100");
        check(&[("a", ""), ("job", "a/b")], "job@base64/YS9i/a@base64/=");
        check(&[("a", ".."), ("b", "..."), ("job", "é +%")], "job/%C3%A9%20%2B%25/a@base64/Li4/b/...");
        check(&[("U__x", "1"), ("job", "x"), ("my.label", "2")], "job/x/U__U____x/1/U__my_2e_label/2");
        let classic = path([("U__x", "1"), ("job", "x")].into_iter(), Names::Classic);
        assert_eq!(classic, "job/x/U__x/1", "escapes are for UTF-8 names only");
    }

    #[test]
    fn paths_name_their_group() {
        let texts = [
            "x",
            "",
            "/",
            "a/b",
            "//",
            ".",
            "..",
            "a b+c%20?#",
            "é日😊",
            "\0\n\u{10ffff}",
            "=",
            "a@base64",
            "xx/",
            "xxx/",
        ];
        let names = ["a", "U__a", "U__", "a.b", "_", "é", "😊_", "1", "a b", "\u{10fffd}", "x@base64", "a/b"];
        let router = Router::new("", "/metrics", false);
        let jobs = || texts.into_iter().filter(|job| !job.is_empty());
        let pairs = names.into_iter().flat_map(|name| texts.map(|value| (name, value)));
        let cases = pairs.flat_map(|(name, value)| jobs().map(move |job| (name, value, job)));
        for (name, value, job) in cases {
            let mut labels = [(name, value), ("job", job)];
            labels.sort_unstable();
            let target = format!("/metrics/{}", path(labels.iter().copied(), Names::Utf8));
            let mut scratch = Vec::new();
            let decision = router.route("PUT", target.as_bytes(), &mut scratch);
            let Decision::Found(Endpoint::Push { path, .. }) = decision else { panic!("{target} is no push") };
            let mut read = GroupingLabels::default();
            parse(&path, Names::Utf8, &mut read).unwrap_or_else(|error| panic!("{target}: {error}"));
            assert!(read.iter().eq(labels), "{target}: {read:?}");
        }
    }
}
