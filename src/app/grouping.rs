//! The grouping key that a push path names: which labels, or why not (SPEC 2).
//!
//! Takes the path after routing and decoding, knows neither methods nor groups.

mod decode;
pub mod encode;

use std::fmt;

use smallvec::SmallVec;

use super::route::GroupingPath;
use crate::model::name::Names;
use crate::model::quote::Excerpt;

/// The label set of a group, job included. Reused from request to request, it stops allocating.
#[derive(Clone, Debug, Default)]
pub struct GroupingLabels {
    /// Names and values, one behind the other.
    text: String,
    /// Invariant: sorted by name bytewise, names distinct.
    pairs: SmallVec<[Pair; 8]>,
}

/// Where a label stands in the text: its value directly behind its name.
#[derive(Clone, Copy, Debug)]
struct Pair {
    start: usize,
    value: usize,
    end: usize,
}

impl Pair {
    fn name<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.start..self.value]
    }

    fn value<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.value..self.end]
    }
}

impl GroupingLabels {
    /// Names and values, sorted by name bytewise. Values are as they are, not escaped.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.pairs.iter().map(|pair| (&self.text[pair.start..pair.value], &self.text[pair.value..pair.end]))
    }

    /// How many labels there are; at least one after [`parse`] succeeded.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none, as before the first [`parse`].
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

/// Why a path names no group. `Display` is the body of the 400 without its line feed (SPEC 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupingError {
    /// The job is not base64 although the path says so.
    JobBase64 {
        /// What could be decoded before the error.
        decoded: Excerpt,
        /// Index of the offending byte.
        at: usize,
    },
    /// A name without a value.
    OddComponents {
        /// The path behind the job.
        rest: Excerpt,
    },
    /// Not a label name, or a reserved one.
    Name {
        /// As sent, without `@base64`.
        name: Excerpt,
    },
    /// A value is not base64 although its name says so.
    ValueBase64 {
        /// As sent, without `@base64`.
        name: Excerpt,
        /// As sent.
        value: Excerpt,
        /// Index of the offending byte.
        at: usize,
    },
    /// The job is empty.
    NoJob,
    /// A value is not UTF-8 (SPEC 2.8). Such a group cannot exist, so deleting it is no error.
    NotUtf8 {
        /// The name of the first such label.
        name: Excerpt,
        /// Its value.
        value: Excerpt,
    },
}

impl fmt::Display for GroupingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ILLEGAL: &str = "illegal base64 data at input byte";
        match self {
            Self::JobBase64 { decoded, at } => {
                write!(f, "invalid base64 encoding in job name {decoded}: {ILLEGAL} {at}")
            }
            Self::OddComponents { rest } => write!(f, "odd number of components in label string {rest}"),
            Self::Name { name } => write!(f, "improper label name {name}"),
            Self::ValueBase64 { name, value, at } => {
                write!(f, "invalid base64 encoding for label {}={value}: {ILLEGAL} {at}", name.plain())
            }
            Self::NoJob => f.write_str("job name is required"),
            Self::NotUtf8 { name, value } => {
                // The original finds this out in its consistency check, and says so about a whole metric.
                f.write_str("pushed metrics are invalid or inconsistent with existing metrics: ")?;
                write!(f, "collected metric \"push_time_seconds\" {{ label:{{name:{name} value:{value}}}}} ")?;
                write!(f, "has a label named {name} whose value is not utf8: {value}")
            }
        }
    }
}

impl std::error::Error for GroupingError {}

/// Reads the labels that `path` names into `labels`, replacing what was there.
///
/// Of several labels of one name the last counts; the job in front of the path beats them all.
///
/// # Errors
/// The first check of SPEC 2.1 that fails, in that order; then values that are not UTF-8. `labels` is empty then.
pub fn parse(path: &GroupingPath<'_>, names: Names, labels: &mut GroupingLabels) -> Result<(), GroupingError> {
    let mut text = std::mem::take(&mut labels.text).into_bytes();
    text.clear();
    labels.pairs.clear();
    let read = read_all(path, names, &mut text, &mut labels.pairs).and_then(|()| valid(text, &labels.pairs));
    match read {
        Ok(text) => labels.text = text,
        Err(error) => {
            labels.pairs.clear();
            return Err(error);
        }
    }
    Ok(())
}

fn read_all(
    path: &GroupingPath<'_>,
    names: Names,
    text: &mut Vec<u8>,
    pairs: &mut SmallVec<[Pair; 8]>,
) -> Result<(), GroupingError> {
    pairs.push(read_job(path, text)?);
    let job_is_empty = pairs[0].value(text).is_empty();
    read_rest(path.rest, names, text, pairs)?;
    if job_is_empty {
        return Err(GroupingError::NoJob);
    }
    sort(text, pairs);
    Ok(())
}

fn read_job(path: &GroupingPath<'_>, text: &mut Vec<u8>) -> Result<Pair, GroupingError> {
    text.extend_from_slice(b"job");
    let value = text.len();
    if !path.job_is_base64 {
        text.extend_from_slice(path.job);
    } else if let Err(at) = decode::base64(path.job, text) {
        return Err(GroupingError::JobBase64 { decoded: text[value..].into(), at });
    }
    Ok(Pair { start: 0, value, end: text.len() })
}

fn read_rest(
    rest: &[u8],
    names: Names,
    text: &mut Vec<u8>,
    pairs: &mut SmallVec<[Pair; 8]>,
) -> Result<(), GroupingError> {
    if matches!(rest, b"" | b"/") {
        return Ok(());
    }
    // A slash stands before each component.
    if memchr::memchr_iter(b'/', rest).count() % 2 == 1 {
        return Err(GroupingError::OddComponents { rest: rest.into() });
    }
    let mut components = rest[1..].split(|byte| *byte == b'/');
    while let (Some(name), Some(value)) = (components.next(), components.next()) {
        let pair = read_pair(name, value, names, text)?;
        if pair.name(text) == b"job" {
            text.truncate(pair.start);
        } else {
            pairs.push(pair);
        }
    }
    Ok(())
}

fn read_pair(name: &[u8], value: &[u8], names: Names, text: &mut Vec<u8>) -> Result<Pair, GroupingError> {
    let plain = name.strip_suffix(b"@base64");
    let is_base64 = plain.is_some();
    let name = plain.unwrap_or(name);
    let start = text.len();
    match names {
        Names::Classic => text.extend_from_slice(name),
        Names::Utf8 => decode::unescaped_name(name, text),
    }
    // The original does not see a reserved name that is escaped, and cannot get rid of it later.
    let is_reserved = name.starts_with(b"__") || text[start..].starts_with(b"__");
    if is_reserved || !names.allows_label(&text[start..]) {
        return Err(GroupingError::Name { name: name.into() });
    }
    let value_start = text.len();
    if !is_base64 {
        text.extend_from_slice(value);
    } else if let Err(at) = decode::base64(value, text) {
        return Err(GroupingError::ValueBase64 { name: name.into(), value: value.into(), at });
    }
    Ok(Pair { start, value: value_start, end: text.len() })
}

/// Sorts by name and keeps the last of each. A path may name 100,000 labels, so looking for an earlier one at every
/// label would not do.
fn sort(text: &mut Vec<u8>, pairs: &mut SmallVec<[Pair; 8]>) {
    let read = pairs.len();
    pairs.sort_unstable_by(|a, b| a.name(text).cmp(b.name(text)).then(b.start.cmp(&a.start)));
    pairs.dedup_by(|earlier, kept| earlier.name(text) == kept.name(text));
    if pairs.len() < read {
        *text = compact(text, pairs);
    }
}

/// The text without what no pair refers to: it must not be held against the path.
fn compact(text: &[u8], pairs: &mut [Pair]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    for pair in pairs {
        let start = kept.len();
        kept.extend_from_slice(&text[pair.start..pair.end]);
        *pair = Pair { start, value: start + pair.value - pair.start, end: kept.len() };
    }
    kept
}

/// The text, if it is UTF-8: exactly if all values are, for names are, and so no value can continue across one.
fn valid(text: Vec<u8>, pairs: &[Pair]) -> Result<String, GroupingError> {
    String::from_utf8(text).map_err(|error| {
        let text = error.as_bytes();
        let broken = pairs.iter().find(|pair| str::from_utf8(pair.value(text)).is_err());
        let pair = broken.expect("names are UTF-8, so it is a value that is not");
        GroupingError::NotUtf8 { name: pair.name(text).into(), value: pair.value(text).into() }
    })
}

#[cfg(test)]
mod tests;
