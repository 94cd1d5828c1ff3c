//! `/api/v1/groups`: which groups a client asks for, in what order, and the page of them. The original has nothing of
//! the kind; with many groups its clients have to take all metrics to show a few.
//!
//! Owns the parameters and the page. What a search means is `search`'s.

use std::borrow::Cow;
use std::vec;

use smallvec::SmallVec;

use super::super::grouping::encode;
use super::super::json::{write_key, write_string};
use super::parameters::{self, QueryError};
use super::search::Search;
use super::write_object;
use crate::limits::{GROUPS_LISTED_DEFAULT, GROUPS_LISTED_MAX, JSON_AHEAD_BYTES};
use crate::model::name::Names;
use crate::model::order;
use crate::model::time::Timestamp;
use crate::store::{GroupId, GroupView, Store};

/// Which groups are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    filter: Filter,
    sort: Sort,
    is_descending: bool,
    offset: usize,
    limit: usize,
}

/// Which groups are meant, by what they are called and how they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    search: Search,
    /// Whether the last push has to have been accepted, or refused; `None` if that does not matter.
    is_passing: Option<bool>,
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

const PARAMETERS: [&str; 5] = ["search", "state", "sort", "offset", "limit"];

impl Filter {
    /// Reads the parameters `search` and `state`.
    ///
    /// # Errors
    /// If one of them cannot be understood.
    pub fn parse(search: Option<String>, state: Option<String>) -> Result<Self, QueryError> {
        let is_passing = match state.unwrap_or_default() {
            state if state.is_empty() => None,
            state if state == "passing" => Some(true),
            state if state == "failing" => Some(false),
            value => return Err(QueryError::State { value }),
        };
        let search = Search::parse(&search.unwrap_or_default()).map_err(QueryError::Search)?;
        Ok(Self { search, is_passing })
    }

    /// Whether it finds every group there may be.
    pub fn is_empty(&self) -> bool {
        self.search.is_empty() && self.is_passing.is_none()
    }

    /// Whether it finds the group.
    pub fn finds(&self, group: &GroupView<'_>) -> bool {
        if self.is_passing.is_some_and(|is_passing| is_passing != group.last_push_successful()) {
            return false;
        }
        if self.search.is_empty() {
            return true;
        }
        // Labels are taken out of the key once, not for every term.
        let labels: SmallVec<[_; 8]> = group.labels().collect();
        self.search.matches(labels.iter().map(|(name, value)| (name, value)))
    }
}

impl Selection {
    /// Reads the query of a request target, what is behind its `?`.
    ///
    /// # Errors
    /// If any parameter cannot be understood.
    pub fn parse(query: &[u8]) -> Result<Self, QueryError> {
        let [search, state, sort, offset, limit] = parameters::read(query, &PARAMETERS)?;
        let (sort, is_descending) = read_sort(sort.unwrap_or_default())?;
        Ok(Self {
            filter: Filter::parse(search, state)?,
            sort,
            is_descending,
            offset: parameters::number("offset", offset, u32::MAX as usize)?.unwrap_or(0),
            limit: parameters::number("limit", limit, GROUPS_LISTED_MAX)?.unwrap_or(GROUPS_LISTED_DEFAULT),
        })
    }

    /// Chooses the groups. Looks at each once, and reads none of their text. `names` are those that paths allow.
    pub fn select(&self, store: &Store, names: Names) -> GroupList {
        let mut found: Vec<(u64, GroupId)> = Vec::new();
        let (mut series, mut failing) = (0, 0);
        for group in store.groups() {
            if self.filter.finds(&group) {
                let metrics = group.metric_count();
                series += metrics;
                failing += usize::from(!group.last_push_successful());
                found.push((self.rank(&group, metrics), group.id()));
            }
        }
        if self.sort != Sort::Key {
            order::sort_by_key(&mut found, |(rank, _)| *rank); // Stable, so equal ones stay in the order of their keys.
        } else if self.is_descending {
            found.reverse();
        }
        let totals = Totals { failing, groups: store.group_count(), matching: found.len(), series };
        let page: Vec<_> = found.into_iter().skip(self.offset).take(self.limit).map(|(_, group)| group).collect();
        GroupList { totals: Some(totals), page: page.into_iter(), names, is_first: true }
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
    /// Those of the matching ones whose last push was refused.
    failing: usize,
    groups: usize,
    matching: usize,
    series: u64,
}

impl GroupList {
    /// Writes the next groups; whether there is more to come.
    pub(super) fn write(&mut self, store: &Store, out: &mut Vec<u8>) -> bool {
        if let Some(Totals { failing, groups, matching, series }) = self.totals.take() {
            let counts = format!("\"groups\":{groups},\"matching\":{matching},\"series\":{series}");
            let totals = format!("{{\"failing\":{failing},{counts}}}");
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
    let facts = Facts::of(group, names);
    facts.write_front(out, &mut is_first);
    write_key(out, &mut is_first, b"labels");
    write_object(out, group.labels());
    write_key(out, &mut is_first, b"last_push_successful");
    out.extend_from_slice(group.last_push_successful().to_string().as_bytes());
    facts.write_back(out, &mut is_first);
    out.push(b'}');
}

/// What is known of a group besides what it holds.
#[derive(Clone, Debug)]
pub struct Facts {
    bytes: u64,
    failed: Timestamp,
    failure: Option<Box<str>>,
    families: usize,
    path: String,
    pushed: Timestamp,
    series: u64,
}

impl Facts {
    /// What is known of the group now. `names` are those that paths allow.
    pub fn of(group: &GroupView<'_>, names: Names) -> Self {
        Self {
            bytes: group.bytes(),
            failed: group.failed(),
            failure: group.failure().map(Box::from),
            families: group.family_count(),
            path: path(group, names),
            pushed: group.pushed(),
            series: group.metric_count(),
        }
    }

    /// Writes the members whose keys come before `group` and `labels`.
    pub(super) fn write_front(&self, out: &mut Vec<u8>, is_first: &mut bool) {
        write_key(out, is_first, b"bytes");
        out.extend_from_slice(self.bytes.to_string().as_bytes());
        write_key(out, is_first, b"failed");
        write_time(out, self.failed);
        write_key(out, is_first, b"failure");
        match &self.failure {
            Some(reason) => write_string(out, reason.as_bytes()),
            None => out.extend_from_slice(b"null"),
        }
        write_key(out, is_first, b"families");
        out.extend_from_slice(self.families.to_string().as_bytes());
    }

    /// Writes the members whose keys come behind them.
    pub(super) fn write_back(&self, out: &mut Vec<u8>, is_first: &mut bool) {
        write_key(out, is_first, b"path");
        write_string(out, self.path.as_bytes());
        write_key(out, is_first, b"pushed");
        write_time(out, self.pushed);
        write_key(out, is_first, b"series");
        out.extend_from_slice(self.series.to_string().as_bytes());
    }
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
pub(super) mod tests;
