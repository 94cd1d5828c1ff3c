//! Why a text body is refused, and the words for it (SPEC 3). Owns no parsing. An error keeps the beginning of the token
//! that it is about, so that it outlives the body, and is short whatever the body is.

use crate::limits::LINE_BYTES_MAX;
use crate::model::quote::{Excerpt, QuotedByte};
use std::fmt;

/// A refusal with its place; shown as the original shows it (SPEC 3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Lines started when it happened, from 1; empty lines and comments count.
    pub line: u64,
    /// What is wrong there.
    pub reason: Reason,
}

/// What reading a part of a line gives. The reason is boxed because it never is there: results stay in registers.
pub(super) type Parsed<T> = Result<T, Box<Reason>>;

#[cold]
pub(super) fn end_of_input() -> Box<Reason> {
    Box::new(Reason::EndOfInput)
}

/// What stands in quotes in a text body (SPEC 3.5, 3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotedPart {
    /// The name of a metric.
    MetricName,
    /// The name of a label, or that of a metric inside braces.
    LabelName,
    /// The value of a label.
    LabelValue,
}

/// What is wrong with a line. A `family` is the name of the family the line belongs to, or, until its name has been
/// read, the one of the line before (SPEC 3.9 item 5). Excerpts are unescaped, and not necessarily UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The body ended inside a line (SPEC 3.1).
    EndOfInput,
    /// The line is longer than [`LINE_BYTES_MAX`]; a bound of ours, the original has none.
    LineTooLong,
    /// No metric name where one must stand (SPEC 3.5, 3.6).
    NoMetricName,
    /// No metric name in a HELP or TYPE line, or something glued to it (SPEC 3.4).
    MetricNameInComment,
    /// A metric name that the scheme does not allow (SPEC 3.7).
    MetricName(Excerpt),
    /// No label name where one must stand (SPEC 3.5).
    NoLabelName {
        /// The family.
        family: Excerpt,
    },
    /// A label name that the scheme does not allow (SPEC 3.7).
    LabelName(Excerpt),
    /// The label `__name__` (SPEC 3.5).
    ReservedLabelName,
    /// A label name twice in a line (SPEC 3.5).
    DuplicateLabelName {
        /// The family.
        family: Excerpt,
    },
    /// Another byte where `=` must stand (SPEC 3.5).
    NoEquals(u8),
    /// Another byte where a label value must begin (SPEC 3.5).
    NoQuote(u8),
    /// An escape other than `\\`, `\n`, `\"`: the byte after the backslash (SPEC 3.4).
    Escape(u8),
    /// The line ended inside quotes (SPEC 3.5, 3.7).
    NewLine(QuotedPart, Excerpt),
    /// A label value that is not UTF-8 (SPEC 3.5).
    LabelValue(Excerpt),
    /// Neither `,` nor `}` after a label value (SPEC 3.5).
    LabelValueEnd(Excerpt),
    /// A `quantile` or `le` that is not a number (SPEC 3.5).
    RankLabel(&'static str, Excerpt),
    /// Neither `,` nor `}` after a metric name inside braces (SPEC 3.6).
    MetricNameEnd(u8),
    /// A second metric name inside braces (SPEC 3.6).
    SecondMetricName {
        /// The family.
        family: Excerpt,
    },
    /// A value that is not a number (SPEC 3.3).
    Value(Excerpt),
    /// A timestamp that is not an integer (SPEC 3.3).
    Timestamp(Excerpt),
    /// More after the timestamp (SPEC 3.3).
    AfterTimestamp(Excerpt),
    /// A second help text (SPEC 3.4).
    SecondHelp {
        /// The family.
        family: Excerpt,
    },
    /// A help text that is not UTF-8: no scraper would read the exposition with it (SPEC 3.4).
    HelpText(Excerpt),
    /// A second type, or one after samples (SPEC 3.4).
    SecondType {
        /// The family.
        family: Excerpt,
    },
    /// A type that does not exist (SPEC 3.4).
    UnknownType(Excerpt),
    /// A count below zero (SPEC 3.8).
    NegativeCount {
        /// The family.
        family: Excerpt,
    },
    /// A bucket below zero (SPEC 3.8).
    NegativeBucket {
        /// The family.
        family: Excerpt,
    },
}

impl std::error::Error for ParseError {}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text format parsing error in line {}: {}", self.line, self.reason)
    }
}

impl fmt::Display for QuotedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            QuotedPart::MetricName => "metric name",
            QuotedPart::LabelName => "label name",
            QuotedPart::LabelValue => "label value",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Reason::*;
        match self {
            EndOfInput => f.write_str("unexpected end of input stream"),
            LineTooLong => write!(f, "line longer than {LINE_BYTES_MAX} bytes"),
            NoMetricName => f.write_str("invalid metric name"),
            MetricNameInComment => f.write_str("invalid metric name in comment"),
            MetricName(name) => write!(f, "invalid metric name {name}"),
            NoLabelName { family } => write!(f, "invalid label name for metric {family}"),
            LabelName(name) => write!(f, "invalid label name {name}"),
            ReservedLabelName => f.write_str("label name \"__name__\" is reserved"),
            DuplicateLabelName { family } => write!(f, "duplicate label names for metric {family}"),
            NoEquals(byte) => write!(f, "expected '=' after label name, found {}", QuotedByte(*byte)),
            NoQuote(byte) => write!(f, "expected '\"' at start of label value, found {}", QuotedByte(*byte)),
            Escape(byte) => write!(f, "invalid escape sequence '\\{}'", char::from(*byte)),
            NewLine(part, so_far) => write!(f, "{part} {so_far} contains unescaped new-line"),
            LabelValue(value) => write!(f, "invalid label value {value}"),
            LabelValueEnd(value) => write!(f, "unexpected end of label value {value}"),
            RankLabel(label, value) => write!(f, "expected float as value for '{label}' label, got {value}"),
            MetricNameEnd(byte) => write!(f, "unexpected end of metric name {}", QuotedByte(*byte)),
            SecondMetricName { family } => write!(f, "multiple metric names for metric {family}"),
            Value(token) => write!(f, "expected float as value, got {token}"),
            Timestamp(token) => write!(f, "expected integer as timestamp, got {token}"),
            AfterTimestamp(rest) => write!(f, "spurious string after timestamp: {rest}"),
            SecondHelp { family } => write!(f, "second HELP line for metric name {family}"),
            HelpText(text) => write!(f, "invalid help text {text}: it has to be UTF-8"),
            SecondType { family } => {
                write!(f, "second TYPE line for metric name {family}, or TYPE reported after samples")
            }
            UnknownType(word) => write!(f, "unknown metric type {word}"),
            NegativeCount { family } => write!(f, "negative count for histogram {family}"),
            NegativeBucket { family } => write!(f, "negative bucket population for histogram {family}"),
        }
    }
}
