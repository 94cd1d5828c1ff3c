//! Conversions against tables and the oracle, whatever the pieces, the steps and the bounds are.

use super::naive::{Pieces, converted, families_of_protobuf, families_of_text};
use super::*;

const FORMATS: [Format; 4] = [Format::Text, Format::ProtoDelimited, Format::ProtoText, Format::ProtoCompact];
const ESCAPINGS: [Escaping; 4] = [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values];

const TEXT: &str = concat!(
    r#"# HELP "a.b" dotted \\n\n"
# TYPE "a.b" gauge
{"a.b","g.l"="v\"{,\\",instance="",job="j","x.y"="1"} 1
{"a.b","g.l"="w",instance="",job="j"} -Inf
"#,
    "# HELP c \n",
    r#"# TYPE c counter
c{instance="",job="j"} NaN
# TYPE "h.x" histogram
{"h.x_bucket",instance="",job="j",le="0.5"} 1
{"h.x_bucket",instance="",job="j",le="+Inf"} 3
{"h.x_sum",instance="",job="j"} 2.5
{"h.x_count",instance="",job="j"} 3
{"h.x_bucket",instance="",job="k",le="0.5"} 1.5
{"h.x_bucket",instance="",job="k",le="+Inf"} 2
{"h.x_sum",instance="",job="k"} 0
{"h.x_count",instance="",job="k"} 3
# TYPE process_x untyped
process_x 7
# TYPE s summary
s{instance="",job="j",quantile="0.5"} 1e+06
s{instance="",job="j",quantile="NaN"} NaN
s_sum{instance="",job="j"} 4
s_count{instance="",job="j"} 1.8446744073709552e+19
"#
);

/// The text in pieces of so many lines.
fn pieces(text: &str, lines: usize) -> Pieces {
    let all: Vec<_> = text.split_inclusive('\n').collect();
    Pieces { pieces: all.chunks(lines).map(|chunk| chunk.concat().into_bytes()).collect(), ..Pieces::default() }
}

fn whole(format: Format, escaping: Escaping, source: &Pieces) -> Vec<u8> {
    converted(Converter::new(format, escaping), source).0
}

#[test]
fn text_is_escaped() {
    let source = pieces(TEXT, 4);
    let check = |escaping, expected: [&str; 5]| {
        let text = String::from_utf8(whole(Format::Text, escaping, &source)).unwrap();
        assert_eq!(text.lines().count(), TEXT.lines().count());
        for line in expected {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    };
    check(
        Escaping::Values,
        [
            "# HELP U__a_2e_b dotted \\\\n\\n\"",
            "# TYPE U__h_2e_x histogram",
            r#"U__a_2e_b{U__g_2e_l="v\"{,\\",instance="",job="j",U__x_2e_y="1"} 1"#,
            r#"U__h_2e_x_bucket{instance="",job="j",le="+Inf"} 3"#,
            "process_x 7",
        ],
    );
    check(
        Escaping::Dots,
        [
            "# TYPE a_dot_b gauge",
            "# TYPE h_dot_x histogram",
            r#"a_dot_b{g_dot_l="w",instance="",job="j"} -Inf"#,
            r#"h_dot_x_sum{instance="",job="j"} 2.5"#,
            r#"s{instance="",job="j",quantile="NaN"} NaN"#,
        ],
    );
    check(
        Escaping::Underscores,
        [
            "# TYPE a_b gauge",
            "# HELP c ",
            r#"a_b{g_l="w",instance="",job="j"} -Inf"#,
            r#"h_x_count{instance="",job="k"} 3"#,
            r#"c{instance="",job="j"} NaN"#,
        ],
    );
    assert_eq!(whole(Format::Text, Escaping::AllowUtf8, &source), TEXT.as_bytes());
}

/// Families as written, with their kinds, and the names by which they are shown, `-` for none.
#[test]
fn no_two_families_are_shown_by_one_name() {
    let check = |escaping, families: &[(&str, &str, &str)]| {
        let header = |(name, kind, _): &(&str, &str, &str)| format!("# TYPE {name} {kind}\n");
        let text: String = families.iter().map(header).collect();
        let expected: Vec<_> = families.iter().map(|(_, kind, shown)| format!("# TYPE {shown} {kind}\n")).collect();
        let expected: String = expected.into_iter().filter(|line| !line.starts_with("# TYPE - ")).collect();
        for (lines, step) in [(1, 1), (2, 30), (100, 1 << 20)] {
            let converter = Converter::new(Format::Text, escaping).with_bounds(step, 100);
            let shown = converted(converter, &pieces(&text, lines)).0;
            assert_eq!(shown.escape_ascii().to_string(), expected.escape_default().to_string());
        }
        let shown: Vec<_> =
            families.iter().map(|(.., shown)| (*shown != "-").then(|| shown.as_bytes().to_vec())).collect();
        assert_eq!(naive::names_of_text(text.as_bytes(), escaping), shown);
    };
    let underscores = Escaping::Underscores;
    check(underscores, &[(r#""a.b""#, "gauge", "a_b"), ("a_c", "gauge", "a_c")]);
    check(underscores, &[(r#""a.b""#, "gauge", "U__a_2e_b"), ("a_b", "counter", "a_b")]);
    check(underscores, &[("a_", "gauge", "a_"), (r#""aé""#, "gauge", "U__a_e9_")]);
    check(underscores, &[(r#""a b""#, "gauge", "U__a_20_b"), (r#""a.b""#, "gauge", "U__a_2e_b")]);
    check(
        underscores,
        &[
            ("U__a_2e_b", "gauge", "U__a_2e_b"),
            (r#""a.b""#, "gauge", "-"),
            ("a_b", "gauge", "a_b"),
            ("c", "gauge", "c"),
        ],
    );
    check(Escaping::Values, &[("U__a_2e_b", "gauge", "U__a_2e_b"), (r#""a.b""#, "gauge", "-")]);
    check(
        Escaping::Dots,
        &[(r#""a.b""#, "gauge", "U__a_2e_b"), ("a_b", "gauge", "a_b"), ("a_dot_b", "gauge", "a_dot_b")],
    );
    check(Escaping::AllowUtf8, &[("a.b", "gauge", "a.b"), ("a_b", "gauge", "a_b")]);
    // Parts of families, of those that have such parts.
    check(underscores, &[(r#""a.b""#, "histogram", "U__a_2e_b"), ("a_b_bucket", "gauge", "a_b_bucket")]);
    check(underscores, &[(r#""a.b""#, "summary", "a_b"), ("a_b_bucket", "gauge", "a_b_bucket")]);
    check(underscores, &[(r#""a.b""#, "summary", "U__a_2e_b"), ("a_b_sum", "gauge", "a_b_sum")]);
    check(underscores, &[(r#""a.b""#, "gauge", "a_b"), ("a_b_sum", "gauge", "a_b_sum")]);
    check(underscores, &[(r#""a.b_sum""#, "gauge", "U__a_2e_b__sum"), ("a_b", "histogram", "a_b")]);
    check(underscores, &[(r#""a.b_count""#, "gauge", "U__a_2e_b__count"), (r#""a b""#, "histogram", "U__a_20_b")]);
    check(underscores, &[(r#""a.b_bucket""#, "gauge", "a_b_bucket"), ("a_b", "summary", "a_b")]);
}

#[test]
fn protobuf_says_what_the_text_says() {
    for escaping in ESCAPINGS {
        let message = whole(Format::ProtoDelimited, escaping, &pieces(TEXT, 5));
        assert_eq!(families_of_protobuf(&message), families_of_text(TEXT.as_bytes(), escaping));
    }
    let families = families_of_protobuf(&whole(Format::ProtoDelimited, Escaping::Dots, &pieces(TEXT, 5)));
    let [first, counter, histogram, ..] = &*families else { panic!("{families:?}") };
    assert_eq!((&*first.name, first.help.as_deref()), (&b"a_dot_b"[..], Some(&b"dotted \\n\n\""[..])));
    assert_eq!(counter.help.as_deref(), Some(&b""[..]));
    assert_eq!(histogram.metrics[0].1, ["0.5 1.0", "sum 2.5", "3.0"]);
    assert_eq!(histogram.metrics[1].1, ["0.5 1.5", "inf 2.0", "sum 0.0", "3.0"]);
}

#[test]
fn pieces_steps_and_bounds_do_not_show() {
    for (format, escaping) in FORMATS.into_iter().flat_map(|format| ESCAPINGS.map(|escaping| (format, escaping))) {
        let expected = whole(format, escaping, &pieces(TEXT, 1000));
        for (lines, step, bound) in [(1, 1, 0), (2, 30, 100), (3, 100, 200), (5, 1 << 20, 0), (1000, 1, 1)] {
            let converter = Converter::new(format, escaping).with_bounds(step, bound);
            assert_eq!(converted(converter, &pieces(TEXT, lines)).0, expected, "{format:?} {lines} {step} {bound}");
        }
    }
}

#[test]
fn a_long_family_is_sent_in_short_parts() {
    let mut text = "# TYPE a gauge\n".to_owned();
    (0..50_000).for_each(|at| text += &format!("a{{instance=\"\",job=\"j\",n=\"{at}\"}} {at}\n"));
    text += "# TYPE b gauge\nb 1\n";
    let source = pieces(&text, 300);
    let (message, longest) = converted(Converter::new(Format::ProtoDelimited, Escaping::Dots), &source);
    assert_eq!(families_of_protobuf(&message), families_of_text(text.as_bytes(), Escaping::Dots));
    assert!(longest < 2 * FAMILY_BUFFERED_BYTES_MAX, "{longest}");
}

#[test]
fn text_protobuf_is_laid_out_as_go_does() {
    let text = "# HELP m hh\n# TYPE m gauge\nm{a=\"\\\"\"} 1.5\nm 2\n# TYPE n summary\nn_sum 0\nn_count 2\n";
    let compact = "name:\"m\" help:\"hh\" type:GAUGE metric:{label:{name:\"a\" value:\"\\\"\"} gauge:{value:1.5}} \
        metric:{gauge:{value:2}}\nname:\"n\" type:SUMMARY metric:{summary:{sample_count:2 sample_sum:0}}\n";
    let shown = whole(Format::ProtoCompact, Escaping::Dots, &pieces(text, 1));
    assert_eq!(String::from_utf8(shown).unwrap(), compact);
    let shown = whole(Format::ProtoText, Escaping::Dots, &pieces(text, 1));
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.starts_with("name: \"m\"\nhelp: \"hh\"\ntype: GAUGE\nmetric: {\n  label: {\n"), "{shown}");
    assert!(shown.contains("metric: {\n  gauge: {\n    value: 2\n  }\n}\n\nname: \"n\"\n"), "{shown}");
    assert!(shown.ends_with("}\n\n"), "{shown}");
}

/// What the original answers to `s07-103-native-pb-roundtrip`.
#[test]
fn a_message_takes_the_place_of_lines() {
    let text = "# TYPE nh histogram\nnh_bucket{instance=\"\",job=\"j\",le=\"+Inf\"} 8\nnh_sum{instance=\"\",job=\"j\"} \
        12.5\nnh_count{instance=\"\",job=\"j\"} 8\n";
    let pushed = b"\x08\x08\x11\0\0\0\0\0\0\x29\x40\x28\x02\x31\xfc\xa9\xf1\xd2\x4d\x62\x50\x3f\x38\x01\x62\x04\x08\0\
        \x10\x02\x62\x04\x08\x04\x10\x01\x68\x02\x68\x02\x68\x01\x4a\x04\x08\x02\x10\x01\x50\x06";
    let expected = b"\x54\x0a\x02nh\x18\x04\x22\x4c\x0a\x0c\x0a\x08instance\x12\0\x0a\x08\x0a\x03job\x12\x01j\x3a\x32\
        \x08\x08\x11\0\0\0\0\0\0\x29\x40\x28\x02\x31\xfc\xa9\xf1\xd2\x4d\x62\x50\x3f\x38\x01\x4a\x04\x08\x02\x10\x01\
        \x50\x06\x62\x04\x08\0\x10\x02\x62\x04\x08\x04\x10\x01\x68\x02\x68\x02\x68\x01";
    let mut source = pieces(text, 2);
    source.messages.push(("nh", "instance=\"\",job=\"j\"", pushed.to_vec()));
    assert_eq!(whole(Format::ProtoDelimited, Escaping::Underscores, &source), expected);
    for bound in [0, 1, 80] {
        let converter = Converter::new(Format::ProtoDelimited, Escaping::Underscores).with_bounds(1, bound);
        assert_eq!(converted(converter, &source).0, expected);
    }
    source.gauges.push("nh");
    let shown = String::from_utf8(whole(Format::ProtoCompact, Escaping::Dots, &source)).unwrap();
    assert!(shown.starts_with("name:\"nh\" type:GAUGE_HISTOGRAM metric:{label"), "{shown}");
    assert!(shown.contains("positive_delta:1 positive_delta:1 positive_delta:-1}"), "{shown}");
}

/// A source with a message for each third metric, which are found by going along.
struct Marked(Pieces);

impl Source for Marked {
    fn piece(&self, at: usize) -> Option<&[u8]> {
        self.0.piece(at)
    }

    fn message(&self, mark: &mut Mark, _: &str, labels: &str) -> Option<&[u8]> {
        const MESSAGES: [&[u8]; 4] = [b"\x08\x01", b"\x08\xff\x7f", b"\x11\0\0\0\0\0\0\0\0", b""];
        (labels == format!("n=\"{}\"", 3 * mark.item)).then(|| {
            mark.item += 1;
            MESSAGES[mark.item % 4]
        })
    }

    fn is_gauge_histogram(&self, _: &mut Mark, _: &str) -> bool {
        false
    }
}

#[test]
fn what_was_measured_is_what_is_sent() {
    let mut text = "# TYPE h histogram\n".to_owned();
    (0..50).for_each(|at| text += &format!("h_sum{{n=\"{at}\"}} 1\nh_count{{n=\"{at}\"}} 1\n"));
    let converted = |bound| {
        let converter = Converter::new(Format::ProtoDelimited, Escaping::Dots).with_bounds(50, bound);
        converted(converter, &Marked(pieces(&text, 7))).0
    };
    let expected = converted(usize::MAX);
    let (len, rest) = wire::varint(&expected).unwrap();
    assert_eq!(len, rest.len() as u64);
    assert_eq!(wire::fields(rest).filter(|field| field.number == schema::FAMILY_METRIC).count(), 50);
    for bound in [0, 100, 500] {
        assert_eq!(converted(bound), expected);
    }
}

#[test]
fn lines_that_do_not_fit_are_left_out() {
    let text = "# TYPE a gauge\na_bucket{le=\"1\"} 1\nb 1\na 1\n# TYPE h histogram\nh{x=\"1\"} 1\nh_bucket 1\n\
        h_bucket{le=\"x\"} 1\nh_count 1\n# TYPE x summary\nx{quantile=\"\"} 1\nx_bucket 1\n";
    let shown = whole(Format::ProtoCompact, Escaping::Dots, &pieces(text, 100));
    let expected = "name:\"a\" type:GAUGE metric:{gauge:{value:1}}\nname:\"h\" type:HISTOGRAM \
        metric:{histogram:{sample_count:1 sample_sum:0}}\n";
    assert_eq!(String::from_utf8(shown).unwrap(), expected);
    assert_eq!(whole(Format::ProtoDelimited, Escaping::Dots, &Pieces::default()), b"");
}
