//! Errors about tokens that are long: what of them is quoted, and that it takes no more memory than a short one.

use super::*;
use crate::limits::QUOTE_BYTES_MAX;

/// Bodies with `*` for a token, and the message about each with `*` for its quote.
const BODIES: [(&str, &str); 23] = [
    ("a *\n", "1: expected float as value, got *"),
    ("a 1 *\n", "1: expected integer as timestamp, got *"),
    ("a 1 1 *\n", "1: spurious string after timestamp: *"),
    ("# TYPE a *\n", "1: unknown metric type *"),
    ("a{b=\"*\n", "1: label value * contains unescaped new-line"),
    ("a{b=\"*\"x} 1\n", "1: unexpected end of label value *"),
    ("a{b=\"*\u{ff}\"} 1\n", "1: invalid label value *"),
    ("# TYPE a summary\na{quantile=\"*\"} 1\n", "2: expected float as value for 'quantile' label, got *"),
    ("{quantile=\"*\",\"a\"} 1\n", "ok"),
    ("# TYPE a summary\n{quantile=\"*\",a} 1\n", "2: expected float as value for 'quantile' label, got *"),
    ("{\"*\n", "1: label name * contains unescaped new-line"),
    ("a{\"*\n", "1: label name * contains unescaped new-line"),
    ("# TYPE \"*\n", "1: metric name * contains unescaped new-line"),
    ("a{\"-*\"=\"c\"} 1\n", "1: invalid label name *"),
    ("{\"-*\"} 1\n", "1: invalid metric name *"),
    ("b*{\"\"=\"c\"} 1\n", "1: invalid label name for metric *"),
    ("b*{c=\"\",c=\"\"} 1\n", "1: duplicate label names for metric *"),
    ("{b*,c} 1\n", "1: multiple metric names for metric *"),
    ("# HELP b *\u{ff}\n", "1: invalid help text *: it has to be UTF-8"),
    ("# HELP b* x\n# HELP b* y\n", "2: second HELP line for metric name *"),
    ("# TYPE b* gauge\n# TYPE b* gauge\n", "2: second TYPE line for metric name *, or TYPE reported after samples"),
    ("# TYPE b* histogram\nb*_count -1\n", "2: negative count for histogram *"),
    ("# TYPE b* histogram\nb*_bucket{le=\"1\"} -1\n", "2: negative bucket population for histogram *"),
];

/// A body with its token. Each character of the template is one byte.
fn body(template: &str, token: &[u8]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = template.split('*').map(|part| part.chars().map(|c| c as u8).collect()).collect();
    parts.join(token)
}

/// A quote of every kind of error is cut, in the same way by both parsers, however the token is made.
#[test]
fn long_tokens_are_cut() {
    let units: [&[u8]; 8] =
        [b"x", b"\x01", "\u{e9}".as_bytes(), "\u{65e5}".as_bytes(), b"\xff", br"\\", br"\n", br"x\n\\"];
    for (template, expected) in BODIES {
        let is_in_quotes = template.contains("\"*") || template.contains("\"-*");
        let is_name = template.contains("b*");
        for unit in units {
            let fits = if is_name { unit == b"x" } else { is_in_quotes || !unit.contains(&b'\\') };
            if !fits || (expected == "ok" && unit == b"\xff") {
                continue;
            }
            // A token may have a byte before the unit, and the suffix of a part.
            let (most, len) = (QUOTE_BYTES_MAX, unit.len());
            for count in [1, (most - 8) / len, 2 * most / len + 9] {
                check_long(&body(template, &unit.repeat(count)), expected, count * len > most);
            }
        }
    }
}

/// Parses a body in one go and in pieces; the message has the words of `expected`, and says whether its quote is cut.
#[track_caller]
fn check_long(body: &[u8], expected: &str, is_cut: bool) {
    let shown = body[..body.len().min(60)].escape_ascii();
    let wanted = naive::parse(body, Names::Classic);
    for lens in [&[][..], &[7; 100]] {
        let found = naive::fast_parse(&mut Parser::new(), body, Names::Classic, lens);
        assert_eq!(found, wanted, "{shown}");
    }
    let Err(error) = wanted.1 else { return assert_eq!(expected, "ok", "{shown}") };
    let message = error.strip_prefix("text format parsing error in line ").unwrap_or(&error);
    let (before, after) = expected.split_once('*').unwrap_or((expected, ""));
    if !message.starts_with(before) || !message.ends_with(after) {
        // What is not UTF-8 may be refused for that.
        assert!(body.contains(&0xff) && message.contains(": invalid "), "{shown}: {message}");
    }
    assert!(message.len() <= expected.len() + 4 * QUOTE_BYTES_MAX + 30, "{shown}: {}", message.len());
    assert_eq!(message.contains("...("), is_cut, "{shown}: {message}");
}

#[test]
fn what_is_left_out_is_counted_as_sent() {
    let max = QUOTE_BYTES_MAX;
    let quoted = |unit: &str, count: usize| format!("\"{}\"", unit.repeat(count));
    let check = |body: &str, expected: &str| check_with(Names::Classic, body.as_bytes(), expected);
    let got = "1: expected float as value, got ";
    check(&format!("a {}\n", "x".repeat(max)), &format!("{got}{}", quoted("x", max)));
    check(&format!("a {}\n", "x".repeat(max + 7)), &format!("{got}{}...(7 bytes)", quoted("x", max)));
    check(&format!("a {}\n", "\x01".repeat(max + 7)), &format!("{got}{}...(7 bytes)", quoted("\\x01", max)));
    let cut = format!("1: label value {}...(20 bytes) contains unescaped new-line", quoted("\\n", max / 2));
    check(&format!("a{{b=\"{}\n", "\\n".repeat(max / 2 + 10)), &cut);
    let odd = format!("1: label value \"x{}\"...(21 bytes) contains unescaped new-line", "\\n".repeat(max / 2 - 1));
    check(&format!("a{{b=\"x{}\n", "\\n".repeat(max / 2 + 9) + "y"), &odd);
    let bare = "b".repeat(max - 2);
    let joined = format!("1: metric name \"{bare}\\n\"...(4 bytes) contains unescaped new-line");
    check(&format!("{bare}\"{}\n", "\\n".repeat(3)), &joined);
}

/// What an error keeps of a line is as short as what it shows.
#[test]
fn errors_about_large_tokens_are_small() {
    let token = vec![b'x'; 1 << 20];
    for (template, _) in BODIES.iter().filter(|(_, expected)| *expected != "ok") {
        let body = body(template, &token);
        let mut parser = Parser::new();
        let mut recorder = naive::Recorder::default();
        let mut error = None;
        parser.reset(Names::Classic);
        // The parser itself copies names of families.
        let before = allocation_counter::measure(|| error = parser.feed_whole(&body, &mut recorder).err());
        let error = error.expect("it is refused");
        let shown = allocation_counter::measure(|| assert!(error.to_string().len() < 2 * QUOTE_BYTES_MAX));
        assert!(shown.bytes_max < 20_000, "{template}: {shown:?}");
        if !template.contains("b*") {
            assert!(before.bytes_max < 100_000, "{template}: {before:?}");
        }
    }
}
