//! Why a push is refused, in the words of the original (SPEC 6.2, 6.3).

use std::fmt;

use crate::limits::ERRORS_LISTED_MAX;
use crate::model::escape::unescape;
use crate::model::line::{Line, label_pairs};
use crate::model::quote::Quoted;
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
    pub fn misfit(name: &str, kind: Kind, labels: &[u8]) -> Self {
        Self(format!("{} is not a {}", metric(name, kind, labels), kind.upper_name()))
    }

    /// Number 2.
    pub fn repeated_label(name: &str, kind: Kind, labels: &[u8], label: &[u8]) -> Self {
        let label = String::from_utf8_lossy(label);
        Self(format!("{} has two or more labels with the same name: {label}", metric(name, kind, labels)))
    }

    /// Number 3 for a name that may be anything.
    pub fn label_name(name: &str, kind: Kind, labels: &[u8], label: &[u8]) -> Self {
        let label = String::from_utf8_lossy(label);
        Self(format!("{} has a label with an invalid name: {label}", metric(name, kind, labels)))
    }

    /// Number 5.
    pub fn label_value(name: &str, kind: Kind, labels: &[u8], label: &[u8], value: &[u8]) -> Self {
        let (metric, label, value) = (metric(name, kind, labels), Quoted(label), Quoted(value));
        Self(format!("{metric} has a label named {label} whose value is not utf8: {value}"))
    }

    /// Number 3: label names that start with `__`.
    pub fn reserved_labels(name: &str, kind: Kind, line: &[u8], labels: &[Label<'_>]) -> Self {
        let label = labels.iter().find(|label| label.name.starts_with("__")).map_or("", |label| label.name);
        Self(format!("{} has a label with an invalid name: {label}", metric(name, kind, line)))
    }

    /// Number 4, and appendix B, 13: a summary with a grouping label `quantile`, a histogram with `le`.
    pub fn explicit_label(name: &str, kind: Kind, labels: &[u8], word: &str) -> Self {
        Self(format!("{} must not have an explicit \"{word}\" label", metric(name, kind, labels)))
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
        let (kind, expected) = (kind.upper_name(), expected.upper_name());
        Self(format!("gathered metric family {name} has type {kind} but should have {expected}"))
    }

    /// Number 10: a family of the gateway itself has another help text.
    pub fn own_help(name: &str, help: &[u8], expected: &[u8]) -> Self {
        let (help, expected) = (Quoted(help), Quoted(expected));
        Self(format!("gathered metric family {name} has help {help} but should have {expected}"))
    }
}

/// Everything that is wrong with a push; the first ones are kept, the others counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    listed: Vec<Problem>,
    count: usize,
}

impl Problems {
    /// Adds one.
    pub fn add(&mut self, problem: Problem) {
        self.count += 1;
        if self.listed.len() < ERRORS_LISTED_MAX {
            self.listed.push(problem);
        }
    }

    /// Adds one that is only written out if it will be listed.
    pub fn add_with(&mut self, problem: impl FnOnce() -> Problem) {
        self.count += 1;
        if self.listed.len() < ERRORS_LISTED_MAX {
            self.listed.push(problem());
        }
    }

    /// Counts some that are beyond those that are kept.
    pub fn add_unlisted(&mut self, count: usize) {
        self.count += count;
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.listed.clear();
        self.count = 0;
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ([problem], 1) = (&*self.listed, self.count) {
            return f.write_str(&problem.0);
        }
        write!(f, "{} error(s) occurred:", self.count)?;
        for problem in &self.listed {
            write!(f, "\n* {}", problem.0)?;
        }
        match self.count - self.listed.len() {
            0 => Ok(()),
            unlisted => write!(f, "\n* and {unlisted} more"),
        }
    }
}

/// `collected metric "NAME" { M}` with M in protobuf's compact text (SPEC 6.2). `line` is a finished line, or a label
/// set alone.
fn metric(name: &str, kind: Kind, line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let line = text.trim_end_matches('\n');
    let (labels, value) = if line.ends_with('"') {
        (line, None)
    } else {
        parsed(line).map_or(("", None), |line| (line.labels, Some(line.value)))
    };
    let mut shown = format!("collected metric {} {{", Quoted(name.as_bytes()));
    for (name, value) in label_pairs(labels) {
        let (name, value) = (unescape(name), unescape(value));
        shown += &format!(" label:{{name:{} value:{}}}", Quoted(name.as_bytes()), Quoted(value.as_bytes()));
    }
    let kind = kind.text_name();
    match value {
        Some(value) if matches!(kind, "counter" | "gauge" | "untyped") => {
            shown + &format!(" {kind}:{{value:{value}}}}}")
        }
        Some(value) => shown + &format!(" {kind}:{{sample_count:{value}}}}}"),
        None => shown + &format!(" {kind}:{{}}}}"),
    }
}

fn parsed(line: &str) -> Option<Line<'_>> {
    (!line.is_empty()).then(|| Line::parse(line.as_bytes()))
}
