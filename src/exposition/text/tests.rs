//! The rules and messages of SPEC section 3, and the fast parser against the naive one.

use super::naive::{self, Event};
use super::*;
use crate::model::sample::Kind;
use crate::random::Random;

mod generate;
mod long;
mod repeats;

/// The bodies of the compatibility cases: scheme, body, and `ok` or the message behind "in line ", all escaped.
const CASES: &str = include_str!("cases.tsv");

fn outcome(body: &[u8], names: Names) -> (Vec<Event>, Result<(), String>) {
    naive::fast_parse(&mut Parser::new(), body, names, &[])
}

/// `expected`: `ok` or the message behind "text format parsing error in line ".
#[track_caller]
fn check_with(names: Names, body: &[u8], expected: &str) {
    let (events, result) = outcome(body, names);
    let shown = body.escape_ascii();
    let message = result.as_ref().map_or_else(|message| message.as_str(), |()| "ok");
    let message = message.strip_prefix("text format parsing error in line ").unwrap_or(message);
    assert_eq!(message, expected, "{shown}");
    assert_eq!((events, result), naive::parse(body, names), "{shown}");
}

#[track_caller]
fn check(body: impl AsRef<[u8]>, expected: &str) {
    check_with(Names::Classic, body.as_ref(), expected);
}

/// `expected`: part, labels, value as it is shown, and timestamp of every sample.
#[track_caller]
fn check_samples(body: &str, expected: &[&str]) {
    let (events, result) = outcome(body.as_bytes(), Names::Utf8);
    assert_eq!(result, Ok(()), "{body}");
    let samples: Vec<String> = events.iter().filter_map(shown_sample).collect();
    assert_eq!(samples, expected, "{body}");
    assert_eq!(events, naive::parse(body.as_bytes(), Names::Utf8).0, "{body}");
}

fn shown_sample(event: &Event) -> Option<String> {
    let Event::Sample(family, part, labels, _, token, timestamp) = event else { return None };
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let timestamp = timestamp.map(|timestamp| format!(" @{timestamp}")).unwrap_or_default();
    Some(format!("{family} {part} {{{}}} {token}{timestamp}", labels.join(",")))
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, if byte == b'\\' { rest.next() } else { None }) {
            (b'\\', Some(b'n')) => b'\n',
            (b'\\', Some(b't')) => b'\t',
            (b'\\', Some(b'r')) => b'\r',
            (b'\\', Some(b'x')) => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            (b'\\', Some(other)) => other,
            (byte, _) => byte,
        });
    }
    bytes
}

fn cases() -> impl Iterator<Item = (Names, Vec<u8>, String)> {
    CASES.lines().map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let names = if fields[0] == "utf8" { Names::Utf8 } else { Names::Classic };
        (names, unescape(fields[1]), String::from_utf8(unescape(fields[2])).unwrap())
    })
}

#[test]
fn compatibility_cases() {
    for (names, body, expected) in cases() {
        check_with(names, &body, &expected);
    }
}

#[test]
fn ends_of_input() {
    for body in ["", "\n", " \t", "a 1\n \t ", "#\n", "# x\n", "#HELP\n", "# HELP a\n", "# HELP \n"] {
        check(body, "ok");
    }
    for body in [
        "#",
        "# x",
        "# HELP",
        "# HELP ",
        "# HELP a",
        "# HELP a ",
        "# HELP a x",
        "# HELP a x\\",
        "# TYPE a gauge",
        "a",
        "a ",
        "a 1",
        "a 1 ",
        "a 1 1",
        "a 1 1 2",
        "a{",
        "a{b",
        "a{b ",
        "a{b=",
        "a{b=\"",
        "a{b=\"c",
        "a{b=\"c\\",
        "a{b=\"c\"",
        "a{b=\"c\",",
        "a{b=\"c\"}",
        "{",
        "{\"",
        "{\"a",
        "{\"a\"",
        "{\"a\",",
        "{\"a\"}",
        "\"\"",
        "{\"\"",
        "\"a.b\"",
        "a\"b\"",
        "a{__name__",
        "# TYPE a foo",
    ] {
        check(body, "1: unexpected end of input stream");
    }
    check("1", "1: invalid metric name");
    check("# HELP 1", "1: invalid metric name in comment");
    check("{}", "1: invalid metric name");
    check("\n{\"a b\"}", "2: invalid metric name \"a b\"");
    check(b"a{b=\"\xff\"", "1: invalid label value \"\\xff\"");
    check("a{b=\"\\t", "1: invalid escape sequence '\\t'");
    check(b"a 1\n# HELP a x\xff\\n\n", "2: invalid help text \"x\\xff\\n\": it has to be UTF-8");
    check(b"# HELP a \xff\\x\n", "1: invalid escape sequence '\\x'");
    check(b"# HELP a \xff", "1: unexpected end of input stream");
    check(b"# HELP a \xc3\n# HELP a \xa9\n", "1: invalid help text \"\\xc3\": it has to be UTF-8");
}

#[test]
fn values_and_timestamps() {
    check("a 0x10\n", "1: expected float as value, got \"0x10\"");
    check("a 1e400\n", "1: expected float as value, got \"1e400\"");
    check("a \n", "1: expected float as value, got \"\"");
    check("a\n", "1: expected float as value, got \"\"");
    check("a 1\r\n", "1: expected float as value, got \"1\\r\"");
    check(b"a \xff\n", "1: expected float as value, got \"\\xff\"");
    check("a 1 \n", "1: expected integer as timestamp, got \"\"");
    check("a 1 + \n", "1: expected integer as timestamp, got \"+\"");
    check("a 1 1 \n", "1: spurious string after timestamp: \" \"");
    check("a 1 1 \\x\\\n", "1: spurious string after timestamp: \" x\"");
    check_samples("a 1 \t-7\nb\t.5e1 +8\n", &["0 Whole {} 1 @-7", "1 Whole {} 5 @8"]);
}

#[test]
fn comments() {
    check("# HELP a\\ x\n", "1: invalid metric name in comment");
    check("#HELP \"\" x\n", "1: invalid metric name \"\"");
    check("# HELP \"a b\" x\n", "1: invalid metric name \"a b\"");
    check("# HELP \"a b\"\n", "ok");
    check("# HELP a x \\t\n", "1: invalid escape sequence '\\t'");
    check("# HELP a x\\\n", "1: invalid escape sequence '\\\n'");
    check("# HELP a x\n# HELP a \\t\n", "2: second HELP line for metric name \"a\"");
    check("# TYPE a gauge \n", "1: unknown metric type \"gauge \"");
    check("# TYPE a gauge\r\n", "1: unknown metric type \"gauge\\r\"");
    check("# TYPE a \\\\x\n", "1: unknown metric type \"x\"");
    check("a 1\n# TYPE a foo\n", "2: second TYPE line for metric name \"a\", or TYPE reported after samples");
    let (events, _) = outcome(b"# TYPE a gau\\ge\n# HELP a \\\\ \\n\\\" \xc3\xbf\r\n#HELP \"b\" x\n", Names::Classic);
    let expected = [
        Event::Family(0, "a".into()),
        Event::Kind(0, Kind::Gauge),
        Event::Help(0, b"\\ \n\" \xc3\xbf\r".to_vec()),
        Event::Family(1, "b".into()),
        Event::Help(1, b"x".to_vec()),
    ];
    assert_eq!(events, expected);
}

#[test]
fn labels() {
    check("a{,} 1\n", "1: invalid label name for metric \"a\"");
    check("a{b\"c\"=\"d\",bc=\"e\"} 1\n", "1: duplicate label names for metric \"a\"");
    check("a{b} 1\n", "1: expected '=' after label name, found '}'");
    check("a{b'\n", "1: expected '=' after label name, found '\\''");
    check("a{b= \n", "1: expected '\"' at start of label value, found '\\n'");
    check("a{\"__name__\"=1\n", "1: label name \"__name__\" is reserved");
    check("a{\"b\\\\c\"=1\n", "1: invalid label name \"b\\\\c\"");
    check("a{\"\"=\"c\"} 1\n", "1: invalid label name for metric \"a\"");
    check("a{\"b\\n\n", "1: label name \"b\\n\" contains unescaped new-line");
    check("a{b=\"\\\\x\n", "1: label value \"\\\\x\" contains unescaped new-line");
    check("a{b=\"\\\"\"c\n", "1: unexpected end of label value \"\\\"\"");
    check(b"a{b=\"\xc3\\\\\"} 1\n", "1: invalid label value \"\\xc3\\\\\"");
    check("a{b=\"\u{a0}é\"c\n", "1: unexpected end of label value \"\\u00a0é\"");
    check_samples("a{b=\"\\\\\\n\\\"\" , c=\"\",} 1\n", &["0 Whole {b=\\\\\\n\\\",c=} 1"]);
    check_samples("a{\"x\\n\\\"y\"=\"z\",q\"r\\\\\"=\"s\"}1\n", &["0 Whole {x\n\"y=z,qr\\=s} 1"]);
    check_samples("a{\"é\"=\"日本\"} 1\n", &["0 Whole {é=日本} 1"]);
}

#[test]
fn names() {
    check("a\"b\"{c=\"d\"} 1\nab 2\n", "ok");
    check("a 1\na\"b\" 2\na 3\nab\n", "4: expected float as value, got \"\"");
    check("\"a\"b 1\n", "1: expected float as value, got \"b\"");
    check("\"\" 1\n", "1: invalid metric name");
    check("a\"b\\q\" 1\n", "1: invalid escape sequence '\\q'");
    check("a\"b\\\\c\n", "1: metric name \"ab\\\\c\" contains unescaped new-line");
    check(b"\"a\xff\" 1\n", "1: invalid metric name \"a\\xff\"");
    check_with(Names::Utf8, b"\"a\xff\" 1\n", "1: invalid metric name \"a\\xff\"");
    check_with(Names::Utf8, b"\"a b\" 1\na 1\na b 1\n", "3: expected float as value, got \"b\"");
    check_samples("\"a b\" 1\n{\"a b\"} 2\na\" b\" 3\n", &["0 Whole {} 1", "0 Whole {} 2", "0 Whole {} 3"]);
}

#[test]
fn brace_form() {
    check("{b=\"c\"} 1\n", "1: invalid metric name");
    check("a 1\n{b=\"c\"} 1\n", "2: invalid metric name");
    check("# TYPE a gauge\n{} 1\n", "2: invalid metric name");
    check("{a:b} 1\n", "1: unexpected end of metric name ':'");
    check("{a\n", "1: unexpected end of metric name '\\n'");
    check("{a,b:\n", "1: multiple metric names for metric \"a\"");
    check("a 1\n{x=\"y\",x=\"z\",b} 1\n", "2: duplicate label names for metric \"a\"");
    check("a 1\n{\"\"} 1\n", "2: invalid label name for metric \"a\"");
    check("# HELP a\n{\"\"} 1\n", "2: invalid label name for metric \"\"");
    check("# HELP a \n{\"\"} 1\n", "2: invalid label name for metric \"a\"");
    check("{le=\"x\",a} 1\n", "ok");
    check("# TYPE h histogram\n{le=\"x\",h} 1\n", "2: expected float as value for 'le' label, got \"x\"");
    check_samples(
        "# TYPE h histogram\n{le=\"1\",\"h_bucket\",a=\"b\"} 2\n{h_count} 3\n{c=\"d\",h_sum} 4\n{le=\"1\",x} 5\n",
        &["0 Bucket(1.0) {a=b} 2", "0 Count {} 3", "0 Sum {c=d} 4", "1 Whole {le=1} 5"],
    );
}

#[test]
fn families_and_parts() {
    check_samples(
        "h_sum 1\n# TYPE h histogram\nh_sum 2\nh_count 3\nh_bucket 4\nh{le=\"NaN\"} 5\nh{le=\"2\",le=\"+Inf\"} 6\nh_max 7\n",
        &[
            "0 Whole {} 1",
            "0 Whole {} 2",
            "1 Count {} 3",
            "1 Mention {} 4",
            "1 Mention {} 5",
            "1 Bucket(inf) {} 6",
            "2 Whole {} 7",
        ],
    );
    check_samples(
        "# TYPE s summary\ns_count -1\ns_sum NaN\ns_bucket 1\ns{quantile=\"0.5\",le=\"x\"} 2\ns_count_sum 3\n_count 4\n",
        &["0 Count {} -1", "0 Sum {} NaN", "1 Whole {} 1", "0 Quantile(0.5) {le=x} 2", "2 Whole {} 3", "3 Whole {} 4"],
    );
    check(
        "# TYPE s summary\ns{quantile=\"\\\"\"} 1\n",
        "2: expected float as value for 'quantile' label, got \"\\\"\"",
    );
    check("# TYPE h histogram\nh_count{a=\"b\"} -0.5 x\n", "2: negative count for histogram \"h\"");
    check("# TYPE h gaugehistogram\n{h,le=\"1\"} -Inf\n", "2: negative bucket population for histogram \"h\"");
    check("# TYPE h histogram\nh_sum -1\nh -1\nh_count -0\n", "ok");
    check("# TYPE h histogram\n# HELP h_count a\n# HELP h b\n", "3: second HELP line for metric name \"h\"");
}

#[test]
fn long_lines_are_refused() {
    // Without the naive parser, which takes its time here.
    let mut parser = Parser::new();
    let mut check = |body: &[u8], lens: &[usize], expected: Result<(), u64>| {
        let (_, result) = naive::fast_parse(&mut parser, body, Names::Classic, lens);
        let message =
            |line| format!("text format parsing error in line {line}: line longer than {LINE_BYTES_MAX} bytes");
        assert_eq!(result, expected.map_err(message));
    };
    let mut line = vec![b'#'; LINE_BYTES_MAX];
    line.push(b'\n');
    check(&line, &[], Ok(()));
    check(&line, &[LINE_BYTES_MAX], Ok(()));
    line.insert(0, b'1');
    check(&line, &[], Err(1));
    check(&line, &[5, LINE_BYTES_MAX - 4], Err(1));
    line.pop();
    check(&[b"\n".as_slice(), &line].concat(), &[], Err(2));
    check(&line, &[5, LINE_BYTES_MAX - 5], Err(1));
    parser.reset(Names::Classic);
    assert!(parser.retained_bytes() <= PARSER_RETAINED_BYTES_MAX, "{}", parser.retained_bytes());
}

#[test]
fn crafted_bodies_take_linear_time() {
    let mut families = String::new();
    for ix in 0..100_000 {
        families += &format!("a_{ix} 1\n");
    }
    let (events, result) = outcome(families.as_bytes(), Names::Classic);
    assert_eq!((events.len(), result), (300_000, Ok(())));

    let labels: Vec<String> = (0..100_000).map(|ix| format!("l{ix}=\"v\"")).collect();
    let labels = labels.join(",");
    assert_eq!(outcome(format!("a{{{labels}}} 1\n").as_bytes(), Names::Classic).1, Ok(()));
    let twice = format!("# TYPE h histogram\n{{le=\"1\",{labels},h_bucket,x=\"y\",le=\"2\",l77777=\"v\"}} 1\n");
    let duplicate = "text format parsing error in line 2: duplicate label names for metric \"h\"";
    assert_eq!(outcome(twice.as_bytes(), Names::Classic).1, Err(duplicate.to_owned()));
}

#[test]
fn many_labels_as_the_naive_parser_reads_them() {
    for count in 14..40 {
        for repeated in 0..count {
            let labels: Vec<String> = (0..count).map(|ix| format!("l{ix}=\"{ix}\"")).collect();
            let (head, tail) = labels.split_at(repeated);
            let (head, tail) = (head.join(","), tail.join(","));
            let body = format!("# TYPE h histogram\n{{{head},h,{tail},le=\"3\",l{repeated}=\"\"}} 1\n");
            check(body.replace("{,", "{"), "2: duplicate label names for metric \"h\"");
            let body = format!("# TYPE h histogram\n{{le=\"1\",{head},h,{tail},le=\"3\"}} 1\n");
            check(body.replace(",,", ","), "ok");
        }
    }
}

#[test]
fn every_split_gives_the_same() {
    let mut parser = Parser::new();
    for (names, body, _) in cases() {
        let expected = naive::parse(&body, names);
        for at in 0..=body.len() {
            assert_eq!(
                naive::fast_parse(&mut parser, &body, names, &[at]),
                expected,
                "{} at {at}",
                body.escape_ascii()
            );
        }
        let bytewise = vec![1; body.len()];
        assert_eq!(naive::fast_parse(&mut parser, &body, names, &bytewise), expected, "{}", body.escape_ascii());
    }
}

#[test]
fn a_second_body_of_the_same_shape_takes_no_memory() {
    let body = b"# HELP a b\\n\n# TYPE a gauge\na{b=\"c\",d=\"e\"} 1\nx{\"y\\\\\"=\"z\"} 1 5\n \t";
    let (head, rest) = body.split_at(17);
    let mut parser = Parser::new();
    let mut push = || {
        parser.reset(Names::Utf8);
        parser.feed(head, &mut Ignore).unwrap();
        parser.feed(rest, &mut Ignore).unwrap();
        parser.finish(&mut Ignore).unwrap();
    };
    push();
    let allocated = allocation_counter::measure(push);
    assert_eq!(allocated.count_total, 0, "{allocated:?}");
}

struct Ignore;

impl Sink for Ignore {
    fn family(&mut self, _: crate::model::sample::FamilyIx, _: &str) {}
    fn kind(&mut self, _: crate::model::sample::FamilyIx, _: Kind) {}
    fn help(&mut self, _: crate::model::sample::FamilyIx, _: &[u8]) {}
    fn sample(&mut self, _: crate::model::sample::Sample<'_>) {}
}

/// `PUSHGATEWAY_SEED` replays one run of those that follow; a failure names it.
#[test]
fn random_bodies_as_the_naive_parser_reads_them() {
    let replayed = std::env::var("PUSHGATEWAY_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    let seeds = replayed.map_or(1..20_001, |seed| seed..seed + 1);
    let mut parser = Parser::new();
    let (mut accepted, mut alike) = (0, 0);
    for seed in seeds.clone() {
        let mut random = Random::new(seed);
        let names = if random.one_in(2) { Names::Classic } else { Names::Utf8 };
        let body = generate::body(&mut random);
        let expected = naive::parse(&body, names);
        accepted += u64::from(expected.1.is_ok());
        let mut recorder = naive::Recorder::default();
        parser.reset(names);
        let _ = parser.feed(&body, &mut recorder);
        alike += recorder.alike;
        for longest in [1, 7, 100, 2000] {
            let lens: Vec<usize> = (0..body.len()).map(|_| random.index(longest + 1)).collect();
            let found = naive::fast_parse(&mut parser, &body, names, &lens);
            assert_eq!(found, expected, "PUSHGATEWAY_SEED={seed} {}", body.escape_ascii());
        }
    }
    assert!(replayed.is_some() || (accepted > 3500 && accepted < 16_000), "{accepted} accepted: a poor mix");
    assert!(replayed.is_some() || alike > 250, "{alike} lines like the one before: a poor mix");
}
