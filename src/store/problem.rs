//! Why a push is refused, in the words of the original (SPEC 6.2, 6.3).
//!
//! Input is quoted up to a bound, and so are label sets, however long they are: see `model::cut`.

use std::fmt::{self, Write as _};

use crate::limits::{ERRORS_LISTED_BYTES_MAX, ERRORS_LISTED_MAX, LABELS_QUOTED_BYTES_MAX};
use crate::model::cut::{LeftOut, Start};
use crate::model::escape::unescape;
use crate::model::line::{label_pairs, labels_and_value};
use crate::model::quote::{Plain, Quoted};
use crate::model::sample::{Kind, Label};

/// One thing that is wrong with a push, as a finished sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

impl Problem {
    /// Number 1: a metric does not fit the kind that its family has.
    pub fn wrong_kind(name: &str, kind: Kind, line: &[u8], expected: Kind) -> Self {
        Self(format!("{} is not a {}", metric(name, kind, line), expected.upper_name()))
    }

    /// Number 1 for a metric whose value is of another kind than its own family.
    pub fn misfit(name: &str, kind: Kind, labels: LabelsStart<'_>) -> Self {
        Self(format!("{} is not a {}", metric_of(name, kind, labels, None), kind.upper_name()))
    }

    /// Number 2.
    pub fn repeated_label(name: &str, kind: Kind, labels: LabelsStart<'_>, label: &[u8]) -> Self {
        let (metric, label) = (metric_of(name, kind, labels, None), Plain(label));
        Self(format!("{metric} has two or more labels with the same name: {label}"))
    }

    /// Number 3 for a name that may be anything.
    pub fn label_name(name: &str, kind: Kind, labels: LabelsStart<'_>, label: &[u8]) -> Self {
        let (metric, label) = (metric_of(name, kind, labels, None), Plain(label));
        Self(format!("{metric} has a label with an invalid name: {label}"))
    }

    /// Number 5.
    pub fn label_value(name: &str, kind: Kind, labels: LabelsStart<'_>, label: &[u8], value: &[u8]) -> Self {
        let (metric, label, value) = (metric_of(name, kind, labels, None), Quoted(label), Quoted(value));
        Self(format!("{metric} has a label named {label} whose value is not utf8: {value}"))
    }

    /// Number 3: label names that start with `__`.
    pub fn reserved_labels(name: &str, kind: Kind, line: &[u8], labels: &[Label<'_>]) -> Self {
        let label = labels.iter().find(|label| label.name.starts_with("__")).map_or("", |label| label.name);
        let (metric, label) = (metric(name, kind, line), Plain(label.as_bytes()));
        Self(format!("{metric} has a label with an invalid name: {label}"))
    }

    /// Number 4, and appendix B, 13: a summary with a grouping label `quantile`, a histogram with `le`.
    pub fn explicit_label(name: &str, kind: Kind, labels: LabelsStart<'_>, word: &str) -> Self {
        Self(format!("{} must not have an explicit \"{word}\" label", metric_of(name, kind, labels, None)))
    }

    /// Number 6: the same series twice.
    pub fn duplicate(name: &str, kind: Kind, line: &[u8]) -> Self {
        Self(format!("{} was collected before with the same name and label values", metric(name, kind, line)))
    }

    /// Numbers 7 and 8: `part` is named like a part of the histogram or summary `whole`, which was there first.
    pub fn part_collides(part: &str, whole_kind: Kind, whole: &str) -> Self {
        let kind = whole_kind.text_name();
        Self(format!(
            "collected metric named {} collides with previously collected {kind} named {}",
            Quoted(part.as_bytes()),
            Quoted(whole.as_bytes())
        ))
    }

    /// Numbers 7 and 8: the histogram or summary `whole` has a part that is named like `part`, which was there first.
    pub fn whole_collides(whole: &str, part: &str) -> Self {
        let kind = if part.ends_with("_bucket") { "histogram" } else { "histogram or summary" };
        Self(format!(
            "collected {kind} named {} collides with previously collected metric named {}",
            Quoted(whole.as_bytes()),
            Quoted(part.as_bytes())
        ))
    }

    /// Number 9: a family of the gateway itself has another kind; or a family without metrics has another kind in
    /// other groups.
    pub fn own_kind(name: &str, kind: Kind, expected: Kind) -> Self {
        let (name, kind, expected) = (Plain(name.as_bytes()), kind.upper_name(), expected.upper_name());
        Self(format!("gathered metric family {name} has type {kind} but should have {expected}"))
    }

    /// Number 10: a family of the gateway itself has another help text.
    pub fn own_help(name: &str, help: &[u8], expected: &[u8]) -> Self {
        let (name, help, expected) = (Plain(name.as_bytes()), Quoted(help), Quoted(expected));
        Self(format!("gathered metric family {name} has help {help} but should have {expected}"))
    }
}

/// Everything that is wrong with a push; the first ones are kept as long as there is room for them, the others counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    listed: Vec<Problem>,
    /// Bytes of those that are listed.
    listed_bytes: usize,
    /// No further one is listed.
    is_full: bool,
    count: usize,
}

impl Problems {
    /// Adds one, which is only written out if it may be listed.
    pub fn add_with(&mut self, problem: impl FnOnce() -> Problem) {
        self.count += 1;
        if self.is_full {
            return;
        }
        let problem = problem();
        self.listed_bytes += BULLET.len() + problem.0.len();
        if self.listed_bytes > ERRORS_LISTED_BYTES_MAX {
            self.is_full = true;
            return;
        }
        self.listed.push(problem);
        self.is_full = self.listed.len() == ERRORS_LISTED_MAX;
    }

    /// Adds others.
    pub fn append(&mut self, others: &Self) {
        for problem in &others.listed {
            self.add_with(|| problem.clone());
        }
        self.add_unlisted(others.count - others.listed.len());
    }

    /// Adds so many that are only counted.
    pub fn add_unlisted(&mut self, count: usize) {
        self.count += count;
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.listed.clear();
        (self.listed_bytes, self.is_full, self.count) = (0, false, 0);
    }
}

/// What stands before each problem of a list.
const BULLET: &str = "\n* ";

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ([problem], 1) = (&*self.listed, self.count) {
            return f.write_str(&problem.0);
        }
        write!(f, "{} error(s) occurred:", self.count)?;
        for problem in &self.listed {
            write!(f, "{BULLET}{}", problem.0)?;
        }
        match self.count - self.listed.len() {
            0 => Ok(()),
            unlisted => write!(f, "{BULLET}and {unlisted} more"),
        }
    }
}

/// The label set of a metric as it is written in a line, or its beginning: as much of it as a message may show.
#[derive(Clone, Copy, Debug)]
pub struct LabelsStart<'a> {
    text: &'a [u8],
    left_out: usize,
}

impl<'a> LabelsStart<'a> {
    /// The start of a label set whose first bytes are `text`, more than a message may show if others follow; and those
    /// are so many.
    pub fn of(text: &'a [u8], others: usize) -> Self {
        let start = Start::of_escaped(text, LABELS_QUOTED_BYTES_MAX);
        Self { text: start.bytes, left_out: start.left_out + others }
    }
}

/// [`metric_of`] the labels and the value of a finished line; or of a label set alone, which ends with a quote.
fn metric(name: &str, kind: Kind, line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let (labels, value) = if line.ends_with(b"\"") {
        (line, None)
    } else {
        let (labels, value) = labels_and_value(line);
        (labels, Some(value).filter(|value| !value.is_empty()))
    };
    metric_of(name, kind, LabelsStart::of(labels, 0), value)
}

/// `collected metric "NAME" { M}` with M in protobuf's compact text (SPEC 6.2).
fn metric_of(name: &str, kind: Kind, labels: LabelsStart<'_>, value: Option<&[u8]>) -> String {
    let mut shown = format!("collected metric {} {{", Quoted(name.as_bytes()));
    for (name, value) in label_pairs(&String::from_utf8_lossy(labels.text)) {
        let (name, value) = (unescape(name), unescape(value));
        let (name, value) = (Quoted(name.as_bytes()), Quoted(value.as_bytes()));
        // Writing to a string does not fail.
        let _ = write!(shown, " label:{{name:{name} value:{value}}}");
    }
    let _ = write!(shown, "{}", LeftOut(labels.left_out));
    let kind = kind.text_name();
    let _ = match value.map(Plain) {
        Some(value) if matches!(kind, "counter" | "gauge" | "untyped") => {
            write!(shown, " {kind}:{{value:{value}}}}}")
        }
        Some(value) => write!(shown, " {kind}:{{sample_count:{value}}}}}"),
        None => write!(shown, " {kind}:{{}}}}"),
    };
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{ERROR_BYTES_MAX, QUOTE_BYTES_MAX};

    /// A line of a gauge with these labels.
    fn line(labels: &str) -> Vec<u8> {
        format!("m{{{labels}}} 1\n").into_bytes()
    }

    fn duplicate(labels: &str) -> String {
        Problem::duplicate("m", Kind::Gauge, &line(labels)).0
    }

    #[test]
    fn metrics_are_shown_with_their_labels() {
        let check = |labels: &str, shown: &str| {
            let told = "was collected before with the same name and label values";
            assert_eq!(duplicate(labels), format!("collected metric \"m\" {{{shown} gauge:{{value:1}}}} {told}"));
        };
        check(r#"a="b""#, r#" label:{name:"a" value:"b"}"#);
        check(r#"a="q\"\\\n","x.y"="é""#, r#" label:{name:"a" value:"q\"\\\n"} label:{name:"x.y" value:"é"}"#);
        check(r#""a \"b"="c""#, r#" label:{name:"a \"b" value:"c"}"#);
        // A value is cut, and what comes after it is shown.
        let (most, kept) = (QUOTE_BYTES_MAX, "v".repeat(QUOTE_BYTES_MAX));
        check(&format!(r#"a="{kept}""#), &format!(r#" label:{{name:"a" value:"{kept}"}}"#));
        check(
            &format!(r#"a="{kept}vv",b="c""#),
            &format!(r#" label:{{name:"a" value:"{kept}"...(2 bytes)}} label:{{name:"b" value:"c"}}"#),
        );
        // Of a label set that is too long the rest is left out, in the middle of a value if that is where it is.
        let long = "v".repeat(LABELS_QUOTED_BYTES_MAX);
        let rest = LABELS_QUOTED_BYTES_MAX - r#"a=""#.len() - most;
        check(
            &format!(r#"a="{long}",b="c""#),
            &format!(r#" label:{{name:"a" value:"{kept}"...({rest} bytes)}}...(10 bytes)"#),
        );
        let pairs = LABELS_QUOTED_BYTES_MAX.div_ceil(r#"a="b","#.len());
        let left_out = 6 * 100_000 - LABELS_QUOTED_BYTES_MAX;
        let shown = r#" label:{name:"a" value:"b"}"#.repeat(pairs);
        check(&r#"a="b","#.repeat(100_000), &format!("{shown}...({left_out} bytes)"));
    }

    #[test]
    fn a_label_set_stands_for_its_metric() {
        let check = |kind: Kind, line: &str, shown: &str| {
            let expected = format!("collected metric \"m\" {{{shown}}} is not a GAUGE");
            assert_eq!(Problem::wrong_kind("m", kind, line.as_bytes(), Kind::Gauge).0, expected);
        };
        check(Kind::Counter, r#"a="b""#, r#" label:{name:"a" value:"b"} counter:{}"#);
        check(Kind::Counter, "m{a=\"b\"} 1\n", r#" label:{name:"a" value:"b"} counter:{value:1}"#);
        check(Kind::Summary, "m_count{a=\"b\"} 1\n", r#" label:{name:"a" value:"b"} summary:{sample_count:1}"#);
        check(Kind::Summary, "", " summary:{}");
    }

    /// Whatever names, labels and texts are, a problem is short enough to be listed, and takes little memory to write.
    #[test]
    fn problems_are_short() {
        let huge = 4 << 20;
        let labels = ["\x01", "\\n", "é", "\u{feff}", r#"",a=""#, r#"","\u{a0}"=""#].map(|unit| {
            let value = unit.repeat(huge / unit.len());
            format!("a=\"{value}\"").into_bytes()
        });
        let name = "\u{1}".repeat(huge);
        let (text, kind) = (name.as_bytes(), Kind::Gauge);
        for labels in &labels {
            let line = [b"m{", &**labels, b"} 1\n"].concat();
            let start = LabelsStart::of(labels, 7);
            let reserved = format!("__{name}");
            let reserved = [Label { name: &reserved, value: "" }];
            let check = |problem: &dyn Fn() -> Problem| {
                let mut len = 0;
                let measured = allocation_counter::measure(|| {
                    let mut problems = Problems::default();
                    problems.add_with(problem);
                    len = problems.to_string().len();
                    assert_eq!(problems.listed.len(), 1, "it is listed");
                });
                assert!(len > 4 * QUOTE_BYTES_MAX && len <= ERRORS_LISTED_BYTES_MAX, "{len}");
                assert!(measured.bytes_max < 8 * ERROR_BYTES_MAX as u64, "{measured:?}");
            };
            check(&|| Problem::wrong_kind(&name, kind, &line, Kind::Counter));
            check(&|| Problem::misfit(&name, kind, start));
            check(&|| Problem::repeated_label(&name, kind, start, text));
            check(&|| Problem::label_name(&name, kind, start, text));
            check(&|| Problem::label_value(&name, kind, start, text, text));
            check(&|| Problem::reserved_labels(&name, kind, &line, &reserved));
            check(&|| Problem::explicit_label(&name, kind, start, "le"));
            check(&|| Problem::duplicate(&name, kind, &line));
            check(&|| Problem::part_collides(&name, Kind::Histogram, &name));
            check(&|| Problem::whole_collides(&name, &name));
            check(&|| Problem::own_help(&name, text, text));
        }
        assert!(Problem::own_kind(&name, kind, Kind::Counter).0.len() < 2 * QUOTE_BYTES_MAX);
    }

    #[test]
    fn lists_are_bounded_by_number_and_bytes() {
        let check = |labels: &str, count: usize, listed: usize| {
            let mut problems = Problems::default();
            for _ in 0..count {
                problems.add_with(|| Problem(duplicate(labels)));
            }
            let text = problems.to_string();
            assert!(text.starts_with(&format!("{count} error(s) occurred:\n* ")));
            assert_eq!(text.matches("\n* collected").count(), listed);
            let more = format!("\n* and {} more", count - listed);
            assert_eq!(text.ends_with(&more), count > listed, "{count}");
            assert!(text.len() < ERRORS_LISTED_BYTES_MAX + 100);
        };
        check(r#"a="b""#, 2, 2);
        check(r#"a="b""#, ERRORS_LISTED_MAX, ERRORS_LISTED_MAX);
        check(r#"a="b""#, ERRORS_LISTED_MAX + 1, ERRORS_LISTED_MAX);
        let long = format!("a=\"{}\"", "\u{1}".repeat(QUOTE_BYTES_MAX));
        let listed = ERRORS_LISTED_BYTES_MAX / (BULLET.len() + duplicate(&long).len());
        assert!(listed < ERRORS_LISTED_MAX);
        check(&long, listed, listed);
        check(&long, listed + 1, listed);
        check(&long, 1_000_000, listed);
    }

    /// Those that are not listed are not even written.
    #[test]
    fn what_is_only_counted_costs_nothing() {
        let mut problems = Problems::default();
        for _ in 0..ERRORS_LISTED_MAX {
            problems.add_with(|| Problem("it".to_owned()));
        }
        problems.add_with(|| unreachable!("the list is full"));
        problems.clear();
        problems.add_with(|| Problem("it".to_owned()));
        assert_eq!(problems.to_string(), "it");
    }
}
