//! What repeats is known without reading it again, and nothing else is: lines like the one before, bodies like an earlier one.

use super::*;
use crate::limits::{SHAPES_KEPT, SHAPES_MISSED_PER_TRY};

#[test]
fn lines_that_are_like_the_one_before_are_known() {
    /// How many of the lines are that stand behind a first one of family `a`.
    #[track_caller]
    fn check(lines: impl AsRef<[u8]>, expected: u32) {
        let (body, mut parser) = (&[b"a{z=\"0\"} 0\n", lines.as_ref()].concat(), Parser::new());
        let mut recorder = naive::Recorder::default();
        parser.reset(Names::Utf8);
        let result = parser.feed(body, &mut recorder).and_then(|()| parser.finish(&mut recorder));
        let result = result.map_err(|error| error.to_string());
        assert_eq!(recorder.alike, expected, "{}", body.escape_ascii());
        assert_eq!((recorder.events, result), naive::parse(body, Names::Utf8), "{}", body.escape_ascii());
    }
    check(
        "a{b=\"1\",c=\"2\"} 1\na{b=\"\",c=\"a longer one, é\"} 2.5 7\n\n  a{b=\"3\",c=\"4\"}\tNaN\na{b=\"5\",c=\"\"} 1",
        2,
    );
    check("a{b=\"1\"} 1\nx 1\na{b=\"2\"} 2\na{b=\"3\"} 3\na{b=\"4\"} 3\n", 1);
    check(
        "a{b=\"1\"} 1\nb{b=\"2\"} 2\nab{b=\"3\"} 3\na{b=\"4\"} 4\na{bc=\"5\"} 5\na{b=\"6\",c=\"7\"} 6\na{b=\"8\"} 7\n",
        0,
    );
    // However they are laid out, if they are so alike.
    check("a {b = \"1\" , c=\"2\", } 1\na {b = \"3\" , c=\"4\", } 2\na {b = \"5\", c=\"6\", } 2\n", 1);
    check("a{c=\"1\",b=\"2\",} 1\na{c=\"3\",b=\"4\",} 1\na{c=\"5\",b=\"6\"} 1\na{b=\"7\",c=\"8\"} 1\n", 1);
    // Comments may stand in between, and help texts.
    check("a{b=\"1\"} 1\n# x\n# HELP a y\na{b=\"2\"} 2\n# HELP c y\na{b=\"3\"} 3\n", 2);
    check("a{b=\"1\"} 1\n{a,b=\"2\"} 1\na{b=\"3\"} 1\na{b=\"4\"} 1\na{b=\"5\"} 1\n", 1);
    // Escapes are read by the parser, and lines behind it are like that one.
    check("a{b=\"\\\\\"} 1\na{b=\"1\"} 1\na{b=\"\\\"\"} 1\na{b=\"12345678\\n\"} 1\na{b=\"12345678\"} 1\n", 2);
    for (len, byte) in (0..80).flat_map(|len| [(len, 'x'), (len, '!'), (len, '#'), (len, '[')]) {
        let value = String::from_iter(std::iter::repeat_n(byte, len));
        check(format!("a{{b=\"1\"}} 1\na{{b=\"{value}\"}} 2\n"), 1);
        check(format!("a{{b=\"1\"}} 1\na{{b=\"{value}\\\\\"}} 2\n"), 0);
    }
    // Parts of metrics, quoted names, no labels, no text, too many labels.
    check(
        "# TYPE h histogram\nh{le=\"1\"} 1\nh{le=\"2\"} 2\nh{le=\"3\"} 2\nh_sum{a=\"1\"} 1\nh_sum{a=\"2\"} 1\nh_sum{a=\"3\"} 1\n",
        0,
    );
    check(
        "\"a\"{b=\"1\"} 1\n\"a\"{b=\"2\"} 1\na{\"b\"=\"1\"} 1\na{\"b\"=\"2\"} 1\na{c\"\\n\"=\"2\"} 1\na{c\"\\n\"=\"2\"} 1\n",
        1,
    );
    check("a 1\na 2\na{} 3\na{} 4\n", 0);
    check(b"# \xff\na{b=\"1\"} 1\na{b=\"2\"} 1\na{b=\"\xff\"} 1\n", 0);
    for (labels, expected) in [(1, 2), (16, 2), (17, 0), (40, 0)] {
        let line: String = (0..labels).map(|label| format!("l{label:02}=\"\",")).collect();
        check(format!("a{{{line}}} 1\na{{{line}}} 1\na{{{line}}} 1\n"), expected);
    }
    // What is wrong with a line is said as always.
    for rest in ["", " ", "} x\n", "\"} 1x\n", "\"} \n", "\"}\n", "\",} 1", "\n", "\\x\"} 1\n", "\",b=\"2\"} 1\n"] {
        check(format!("a{{b=\"1\"}} 1\na{{b=\"2{rest}"), 0);
    }
}

#[test]
fn bodies_that_repeat_others_are_known() {
    const HEAD: &str = "# HELP g Some \\n help.\n# TYPE g gauge\n";
    let check = |first: &str, second: &str, expected: bool| {
        let mut parser = Parser::new();
        for body in [first, second] {
            let outcome = naive::fast_parse(&mut parser, body.as_bytes(), Names::Classic, &[body.len()]);
            assert_eq!(outcome, naive::parse(body.as_bytes(), Names::Classic), "{body}");
        }
        let mut parser = Parser::new();
        let _ = naive::fast_parse(&mut parser, first.as_bytes(), Names::Classic, &[first.len()]);
        let mut recorder = naive::Recorder::default();
        parser.reset(Names::Classic);
        let is_known = parser.recognize(second.as_bytes());
        assert_eq!(is_known, expected, "{second:?} behind {first:?}");
        if is_known {
            parser.tell(&mut recorder);
            assert_eq!(recorder.events, naive::parse(second.as_bytes(), Names::Classic).0, "{second}");
        }
        parser.reset(Names::Utf8);
        assert!(!parser.recognize(second.as_bytes()), "other names");
    };
    let first = format!("{HEAD}g{{a=\"1\",b=\"2\"}} 1\ng {{ b = \"\\\"\", }} 2\n\n# x\nh{{c=\"1\"}} -3\n");
    let with =
        |one: &str, two: &str, three: &str| first.replace(" 1\n", one).replace(" 2\n", two).replace(" -3\n", three);
    check(&first, &first, true);
    check(&first, &with(" 10.5\n", " -Inf\n", " NaN\n"), true);
    check(&first, &with(" 0\n", " -0\n", " 1e-7\n"), true);
    for bad in ["\n", " \n", " x\n", " 1e400\n", " 1 \n", " 1 5\n", " 1", " 1#\n", "  1\n", " 1\u{661}\n"] {
        check(&first, &with(bad, " 2\n", " -3\n"), false);
        check(&first, &with(" 1\n", " 2\n", bad), false);
    }
    check(&first, &with(&format!(" {}\n", "0".repeat(40)), " 2\n", " 3\n"), false);
    check(&first, &format!("{first}\n"), false);
    check(&first, &first[..first.len() - 1], false);
    check(&first, &first.replace("help", "Help"), false);
    check(&first, "", false);
    // A value may follow a name with nothing in between, but not every value.
    check("a+1\n", "a1\n", false);
    check("a-1\n", "a1\n", false);
    check("a{}-1\n", "a{}1\n", true);
    check("a\t-1\n", "a\t1\n", true);
    // Of these none is kept.
    for first in ["a+1\n", "a 1 5\n", "a 1", "a x\n", "# HELP a \u{e4}\na 1\n# TYPE a gauge\n", ""] {
        check(first, first, false);
    }
    let compound =
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 2\nh_count 3\n# TYPE s summary\ns{quantile=\"0.5\"} 4\n";
    check(compound, compound, true);
    check(compound, &compound.replace("sum 2", "sum -2"), true);
    check(compound, &compound.replace("} 1", "} -1"), false);
    check(compound, &compound.replace("count 3", "count -3"), false);
    check(compound, &compound.replace("} 4", "} -4"), true);
}

#[test]
fn shapes_are_bounded() {
    let mut parser = Parser::new();
    let body = |number: usize| format!("# HELP a_{number} {}\na_{number} 1\n", "x".repeat(SHAPE_BYTES_MAX / 2));
    let is_known = |parser: &mut Parser, number: usize| {
        parser.reset(Names::Classic);
        parser.recognize(body(number).as_bytes())
    };
    let read = |parser: &mut Parser, number: usize| {
        let body = body(number);
        let _ = naive::fast_parse(parser, body.as_bytes(), Names::Classic, &[body.len()]);
        assert!(parser.retained_bytes() <= SHAPES_KEPT * 4 * SHAPE_BYTES_MAX, "{}", parser.retained_bytes());
    };
    for round in 0..3 {
        for number in 0..SHAPES_KEPT {
            assert_eq!(is_known(&mut parser, number), round > 0, "{number} in round {round}");
            read(&mut parser, number);
        }
    }
    // What never comes again is kept but now and then.
    (1000..2000).for_each(|number| read(&mut parser, number));
    let known: Vec<_> = (1000..2000).filter(|number| is_known(&mut parser, *number)).collect();
    assert_eq!(known.len(), SHAPES_KEPT);
    assert!(known.windows(2).all(|pair| pair[1] - pair[0] == SHAPES_MISSED_PER_TRY as usize), "{known:?}");
}
