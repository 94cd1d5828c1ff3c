//! The labels of one line while it is read: no name twice, and `quantile` and `le` set apart where they are not
//! labels but part of the metric (SPEC 3.5). Does not read them.

use super::cursor::unescaped_excerpt;
use super::error::{Parsed, Reason};
use crate::model::number;
use crate::model::sample::{Kind, Label};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::hash::BuildHasher;

/// Up to so many labels, names are compared one by one; lines with more are rare and get a hash table.
const COMPARED_MAX: usize = 16;

/// The names of a line with many labels; empty otherwise.
#[derive(Default)]
pub(super) struct SeenNames {
    /// Indices into the labels of the line.
    table: HashTable<u32>,
    hasher: RandomState,
}

impl SeenNames {
    pub(super) fn retained_bytes(&self) -> usize {
        self.table.allocation_size()
    }

    fn rebuild(&mut self, labels: &[Label<'_>]) {
        self.table.clear();
        for (ix, label) in labels.iter().enumerate() {
            self.add(label.name, &labels[..ix]);
        }
    }

    fn contains(&self, name: &str, labels: &[Label<'_>]) -> bool {
        self.table.find(self.hasher.hash_one(name), |&ix| labels[ix as usize].name == name).is_some()
    }

    /// Adds the name of the label that will come behind `labels`.
    fn add(&mut self, name: &str, labels: &[Label<'_>]) {
        let hasher = &self.hasher;
        let hash_at = |&ix: &u32| hasher.hash_one(labels[ix as usize].name);
        self.table.insert_unique(hasher.hash_one(name), labels.len() as u32, hash_at);
    }
}

pub(super) struct Labels<'a> {
    list: SmallVec<[Label<'a>; COMPARED_MAX]>,
    /// The name that is no label in this family; empty, which no name is, if there is none.
    rank_name: &'static str,
    rank: f64,
    /// Whether the table of names is that of `list`.
    hashed: bool,
}

impl<'a> Labels<'a> {
    #[inline]
    pub(super) fn new(kind: Kind) -> Self {
        Self { list: SmallVec::new(), rank_name: rank_name(kind), rank: f64::NAN, hashed: false }
    }

    /// Says what family the labels belong to, after some have been read (SPEC 3.6).
    pub(super) fn set_kind(&mut self, kind: Kind) -> Parsed<()> {
        self.rank_name = rank_name(kind);
        let Some(ix) = self.list.iter().position(|label| label.name == self.rank_name) else { return Ok(()) };
        let label = self.list.remove(ix);
        self.hashed = false;
        self.add(label.name, label.value)
    }

    /// Whether a label of this name may come now; then [`Labels::add`] must follow.
    #[inline]
    pub(super) fn takes(&mut self, name: &str, seen: &mut SeenNames) -> bool {
        if name == self.rank_name {
            return true;
        }
        if self.list.len() < COMPARED_MAX {
            return self.list.iter().all(|label| label.name != name);
        }
        self.takes_hashed(name, seen)
    }

    #[cold]
    fn takes_hashed(&mut self, name: &str, seen: &mut SeenNames) -> bool {
        if !self.hashed {
            seen.rebuild(&self.list);
            self.hashed = true;
        }
        let is_new = !seen.contains(name, &self.list);
        if is_new {
            seen.add(name, &self.list);
        }
        is_new
    }

    #[inline]
    pub(super) fn add(&mut self, name: &'a str, value: &'a str) -> Parsed<()> {
        if name == self.rank_name {
            // An escape never makes a number, so the escaped form will do.
            let rank = number::parse(value.as_bytes());
            self.rank =
                rank.ok_or_else(|| Reason::RankLabel(self.rank_name, unescaped_excerpt(b"", value.as_bytes())))?;
        } else {
            self.list.push(Label { name, value });
        }
        Ok(())
    }

    /// The `quantile` or `le`; NaN if there is none.
    #[inline]
    pub(super) fn rank(&self) -> f64 {
        self.rank
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[Label<'a>] {
        &self.list
    }
}

#[inline]
fn rank_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Summary => "quantile",
        Kind::Histogram | Kind::GaugeHistogram => "le",
        Kind::Counter | Kind::Gauge | Kind::Untyped => "",
    }
}
