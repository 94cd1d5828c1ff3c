//! A page of groups as JSON, and what is known of each group beside what it holds.

use std::borrow::Cow;
use std::vec;

use super::super::grouping::encode;
use super::super::json::{write_key, write_string};
use super::write_object;
use crate::limits::JSON_AHEAD_BYTES;
use crate::model::name::Names;
use crate::model::time::Timestamp;
use crate::store::{FamilyId, GroupId, GroupView, Store};

/// A page of groups, written while it is sent; a group that is gone by then is left out.
#[derive(Debug)]
pub struct GroupList {
    /// Until they are written, before the groups.
    totals: Option<Totals>,
    page: vec::IntoIter<GroupId>,
    names: Names,
    is_first: bool,
    /// The group that is being measured.
    open: Option<(GroupId, Measure)>,
}

/// What all groups come to that a search finds.
#[derive(Debug, Default)]
pub struct Totals {
    /// How many of them had their last push refused.
    pub failing: usize,
    /// How many groups there are.
    pub groups: usize,
    /// How many the search finds.
    pub matching: usize,
    /// The metrics of these.
    pub series: u64,
}

impl GroupList {
    /// A page of these groups.
    pub fn new(totals: Totals, page: Vec<GroupId>, names: Names) -> Self {
        Self { totals: Some(totals), page: page.into_iter(), names, is_first: true, open: None }
    }

    /// Writes the next groups, as many as `left` allows; whether there is more to come.
    pub(super) fn write(&mut self, store: &Store, out: &mut Vec<u8>, left: &mut usize) -> bool {
        if let Some(Totals { failing, groups, matching, series }) = self.totals.take() {
            let counts = format!("\"groups\":{groups},\"matching\":{matching},\"series\":{series}");
            let totals = format!("{{\"failing\":{failing},{counts}}}");
            let head = format!("{{\"status\":\"success\",\"data\":{{\"totals\":{totals},\"groups\":[");
            out.extend_from_slice(head.as_bytes());
        }
        while out.len() < JSON_AHEAD_BYTES && *left > 0 {
            *left -= 1;
            let (id, mut measure) = match self.open.take() {
                Some(open) => open,
                None => match self.page.next() {
                    Some(id) => (id, Measure::of_all()),
                    None => {
                        out.extend_from_slice(b"]}}");
                        return false;
                    }
                },
            };
            let Some(group) = store.group_from(id).filter(|group| group.id() == id) else { continue };
            if !measure.go_on(&group, left) {
                self.open = Some((id, measure));
                continue;
            }
            if !std::mem::take(&mut self.is_first) {
                out.push(b',');
            }
            write_listed(out, &group, &measure, self.names);
        }
        true
    }

    /// Memory that it holds, bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.page.len() * size_of::<GroupId>()
    }
}

fn write_listed(out: &mut Vec<u8>, group: &GroupView<'_>, measure: &Measure, names: Names) {
    let mut is_first = true;
    let facts = Facts::of(group, measure, names);
    facts.write_front(out, &mut is_first);
    write_key(out, &mut is_first, b"labels");
    write_object(out, group.labels());
    write_key(out, &mut is_first, b"last_push_successful");
    out.extend_from_slice(group.last_push_successful().to_string().as_bytes());
    facts.write_back(out, &mut is_first);
    out.push(b'}');
}

/// How much a group holds, found out in steps: it may be of any number of families.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// The family from which on it is still to be measured.
    from: FamilyId,
    has_bytes: bool,
    bytes: u64,
    metrics: u64,
}

impl Measure {
    /// Counts metrics, and bytes of text.
    pub fn of_all() -> Self {
        Self { from: FamilyId(0), has_bytes: true, bytes: 0, metrics: 0 }
    }

    /// Counts metrics only, which is less work.
    pub fn of_metrics() -> Self {
        Self { has_bytes: false, ..Self::of_all() }
    }

    /// Goes on as far as `left` allows, by one family at least; whether that is the end.
    pub fn go_on(&mut self, group: &GroupView<'_>, left: &mut usize) -> bool {
        for (family, bytes, metrics) in group.sizes_from(self.from, self.has_bytes) {
            self.bytes += bytes;
            self.metrics += metrics;
            self.from = FamilyId(family.0 + 1);
            *left = left.saturating_sub(1);
            if *left == 0 {
                return false;
            }
        }
        true
    }

    /// The number of metrics.
    pub fn metrics(&self) -> u64 {
        self.metrics
    }
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
    /// What is known of the group now, which was measured. `names` are those that paths allow.
    pub fn of(group: &GroupView<'_>, measure: &Measure, names: Names) -> Self {
        Self {
            bytes: measure.bytes,
            failed: group.failed(),
            failure: group.failure().map(Box::from),
            families: group.family_count(),
            path: path(group, names),
            pushed: group.pushed(),
            series: measure.metrics,
        }
    }

    /// Takes over what measuring has come to since.
    pub(super) fn set_measured(&mut self, measure: &Measure) {
        (self.bytes, self.series) = (measure.bytes, measure.metrics);
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

    /// Writes the members whose keys come after them.
    pub(super) fn write_back(&self, out: &mut Vec<u8>, is_first: &mut bool) {
        write_key(out, is_first, b"path");
        write_string(out, self.path.as_bytes());
        write_key(out, is_first, b"pushed");
        write_time(out, self.pushed);
        write_key(out, is_first, b"series");
        out.extend_from_slice(self.series.to_string().as_bytes());
    }
}

/// What stands after `/metrics/` in the URL of a push to the group.
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
