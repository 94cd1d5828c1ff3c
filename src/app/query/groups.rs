//! `/api/v1/groups`: which groups a client asks for, in what order, and the page of them. The original has nothing of
//! the kind; with many groups its clients have to take all metrics to show a few.
//!
//! Owns the parameters and the page. What a search means is `search`'s.

use std::borrow::Cow;
use std::fmt;
use std::vec;

use smallvec::SmallVec;

use super::super::grouping::encode;
use super::super::json::{write_key, write_string};
use super::super::route::percent_decode;
use super::search::{Search, SearchError};
use super::write_object;
use crate::limits::{GROUPS_LISTED_DEFAULT, GROUPS_LISTED_MAX, JSON_AHEAD_BYTES, QUERY_BYTES_MAX};
use crate::model::name::Names;
use crate::model::time::Timestamp;
use crate::store::{GroupId, GroupView, Store};

/// Which groups are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    search: Search,
    sort: Sort,
    is_descending: bool,
    offset: usize,
    limit: usize,
}

/// What the groups are sorted by. Equal ones are in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// The grouping key, as in the exposition.
    Key,
    /// The time of the last accepted push; groups without one come first.
    Pushed,
    /// The time of the last refused push; groups without one come first.
    Failed,
    /// The number of series.
    Series,
}

/// Why a query cannot be answered. `Display` is the body of the 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// It is longer than [`QUERY_BYTES_MAX`].
    TooLong,
    /// A bad escape, or what it stands for is not UTF-8.
    Encoding {
        /// The parameter as sent.
        parameter: String,
    },
    /// There is no such parameter.
    Unknown {
        /// Its name.
        name: String,
    },
    /// A parameter is there twice.
    Repeated {
        /// Its name.
        name: &'static str,
    },
    /// There is no such order.
    Sort {
        /// The order.
        value: String,
    },
    /// Not a number, or too large.
    Number {
        /// The name of the parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// The largest.
        max: usize,
    },
    /// The search cannot be read.
    Search(SearchError),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the query is longer than {QUERY_BYTES_MAX} bytes"),
            Self::Encoding { parameter } => write!(f, "parameter {parameter:?} is not percent-encoded UTF-8"),
            Self::Unknown { name } => {
                write!(f, "unknown parameter {name:?}; there are search, sort, offset and limit")
            }
            Self::Repeated { name } => write!(f, "parameter {name} is there more than once"),
            Self::Sort { value } => {
                write!(f, "cannot sort by {value:?}; there are job, pushed, failed and series, and - in front of them")
            }
            Self::Number { name, value, max } => write!(f, "{name} {value:?} is not a number from 0 to {max}"),
            Self::Search(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for QueryError {}

const PARAMETERS: [&str; 4] = ["search", "sort", "offset", "limit"];

impl Selection {
    /// Reads the query of a request target, what is behind its `?`.
    ///
    /// # Errors
    /// If any parameter cannot be understood: a client that misspells one must not take all groups for its answer.
    pub fn parse(query: &[u8]) -> Result<Self, QueryError> {
        if query.len() > QUERY_BYTES_MAX {
            return Err(QueryError::TooLong);
        }
        let [mut search, mut sort, mut offset, mut limit] = [const { None::<String> }; 4];
        for parameter in query.split(|byte| *byte == b'&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = decoded(parameter)?;
            let Some(at) = PARAMETERS.iter().position(|known| *known == name) else {
                return Err(QueryError::Unknown { name });
            };
            let taken = [&mut search, &mut sort, &mut offset, &mut limit][at].replace(value);
            if taken.is_some() {
                return Err(QueryError::Repeated { name: PARAMETERS[at] });
            }
        }
        let (sort, is_descending) = read_sort(sort.unwrap_or_default())?;
        Ok(Self {
            search: Search::parse(&search.unwrap_or_default()).map_err(QueryError::Search)?,
            sort,
            is_descending,
            offset: read_number("offset", offset, 0, u32::MAX as usize)?,
            limit: read_number("limit", limit, GROUPS_LISTED_DEFAULT, GROUPS_LISTED_MAX)?,
        })
    }

    /// Chooses the groups. Looks at each once, and reads none of their text. `names` are those that paths allow.
    pub fn select(&self, store: &Store, names: Names) -> GroupList {
        let mut found: Vec<(u64, GroupId)> = Vec::new();
        let mut series = 0;
        for group in store.groups() {
            if self.finds(&group) {
                let metrics = group.metric_count();
                series += metrics;
                found.push((self.rank(&group, metrics), group.id()));
            }
        }
        if self.sort != Sort::Key {
            found.sort_by_key(|(rank, _)| *rank); // Stable, so equal ones stay in the order of their keys.
        } else if self.is_descending {
            found.reverse();
        }
        let totals = Totals { groups: store.group_count(), matching: found.len(), series };
        let page: Vec<_> = found.into_iter().skip(self.offset).take(self.limit).map(|(_, group)| group).collect();
        GroupList { totals: Some(totals), page: page.into_iter(), names, is_first: true }
    }

    fn finds(&self, group: &GroupView<'_>) -> bool {
        if self.search.is_empty() {
            return true;
        }
        // Labels are taken out of the key once, not for every term.
        let labels: SmallVec<[_; 8]> = group.labels().collect();
        self.search.matches(labels.iter().map(|(name, value)| (name, value)))
    }

    /// What a group is sorted by, the lowest first.
    fn rank(&self, group: &GroupView<'_>, metrics: u64) -> u64 {
        let rank = match self.sort {
            Sort::Key => 0,
            Sort::Pushed => group.pushed().0.unsigned_abs(),
            Sort::Failed => group.failed().0.unsigned_abs(),
            Sort::Series => metrics,
        };
        if self.is_descending { !rank } else { rank }
    }
}

/// Name and value of a parameter, percent-decoded, `+` as a blank.
fn decoded(parameter: &[u8]) -> Result<(String, String), QueryError> {
    let (name, value) = match memchr::memchr(b'=', parameter) {
        Some(at) => (&parameter[..at], &parameter[at + 1..]),
        None => (parameter, &b""[..]),
    };
    let text = |encoded: &[u8]| {
        let blanks: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        let mut plain = Vec::new();
        percent_decode(&blanks, &mut plain)?;
        String::from_utf8(plain).ok()
    };
    let bad = || QueryError::Encoding { parameter: String::from_utf8_lossy(parameter).into_owned() };
    Ok((text(name).ok_or_else(bad)?, text(value).ok_or_else(bad)?))
}

fn read_sort(value: String) -> Result<(Sort, bool), QueryError> {
    let ascending = value.strip_prefix('-');
    let sort = match ascending.unwrap_or(&value) {
        "job" => Sort::Key,
        "" if ascending.is_none() => Sort::Key,
        "pushed" => Sort::Pushed,
        "failed" => Sort::Failed,
        "series" => Sort::Series,
        _ => return Err(QueryError::Sort { value }),
    };
    Ok((sort, ascending.is_some()))
}

fn read_number(name: &'static str, value: Option<String>, default: usize, max: usize) -> Result<usize, QueryError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(default) };
    match value.parse() {
        Ok(number) if number <= max && value.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(QueryError::Number { name, value, max }),
    }
}

/// A page of groups, written while it is sent; a group that is gone by then is left out.
#[derive(Debug)]
pub struct GroupList {
    /// Until they are written, in front of the groups.
    totals: Option<Totals>,
    page: vec::IntoIter<GroupId>,
    names: Names,
    is_first: bool,
}

#[derive(Debug)]
struct Totals {
    groups: usize,
    matching: usize,
    series: u64,
}

impl GroupList {
    /// Writes the next groups; whether there is more to come.
    pub(super) fn write(&mut self, store: &Store, out: &mut Vec<u8>) -> bool {
        if let Some(Totals { groups, matching, series }) = self.totals.take() {
            let totals = format!("{{\"groups\":{groups},\"matching\":{matching},\"series\":{series}}}");
            let head = format!("{{\"status\":\"success\",\"data\":{{\"totals\":{totals},\"groups\":[");
            out.extend_from_slice(head.as_bytes());
        }
        while out.len() < JSON_AHEAD_BYTES {
            let Some(id) = self.page.next() else {
                out.extend_from_slice(b"]}}");
                return false;
            };
            if let Some(group) = store.group_from(id).filter(|group| group.id() == id) {
                if !std::mem::take(&mut self.is_first) {
                    out.push(b',');
                }
                write_listed(out, &group, self.names);
            }
        }
        true
    }
}

fn write_listed(out: &mut Vec<u8>, group: &GroupView<'_>, names: Names) {
    let mut is_first = true;
    write_key(out, &mut is_first, b"failed");
    write_time(out, group.failed());
    write_key(out, &mut is_first, b"families");
    out.extend_from_slice(group.family_count().to_string().as_bytes());
    write_key(out, &mut is_first, b"labels");
    write_object(out, group.labels());
    write_key(out, &mut is_first, b"last_push_successful");
    out.extend_from_slice(group.last_push_successful().to_string().as_bytes());
    write_key(out, &mut is_first, b"path");
    write_string(out, path(group, names).as_bytes());
    write_key(out, &mut is_first, b"pushed");
    write_time(out, group.pushed());
    write_key(out, &mut is_first, b"series");
    out.extend_from_slice(group.metric_count().to_string().as_bytes());
    out.push(b'}');
}

/// What stands behind `/metrics/` in a push to the group.
pub fn path(group: &GroupView<'_>, names: Names) -> String {
    let labels: Vec<(Cow<'_, str>, Cow<'_, str>)> = group.labels().collect();
    encode::path(labels.iter().map(|(name, value)| (&**name, &**value)), names)
}

fn write_time(out: &mut Vec<u8>, time: Timestamp) {
    if time == Timestamp::default() {
        out.extend_from_slice(b"null");
    } else {
        write_string(out, time.rfc3339_nanos().to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests;
