//! `/api/v1/groups`: which groups a client asks for, in what order, and the page of them. The original has nothing of
//! the kind; with many groups its clients have to take all metrics to show a few.
//!
//! Owns the parameters and the choice, which is made in steps. What a search means is `search`'s, how a page looks `list`'s.

use smallvec::SmallVec;

use super::list::{GroupList, Measure, Totals};
use super::parameters::{self, QueryError};
use super::search::Search;
use crate::limits::{GROUPS_LISTED_DEFAULT, GROUPS_LISTED_MAX};
use crate::model::name::Names;
use crate::model::sorter::Sorter;
use crate::store::{GroupId, GroupKey, GroupView, Store};

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

/// What looking at a group costs, in units of the work of a step, and for how many bytes of its labels it costs one more.
const LOOK_COST: usize = 4;
const LOOK_BYTES: usize = 256;

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

    /// What a group is sorted by, the lowest first; `at` is its place in the order of keys.
    fn rank(&self, group: &GroupView<'_>, metrics: u64, at: usize) -> u64 {
        let rank = match self.sort {
            Sort::Key => at as u64,
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

/// Groups that a filter finds, looked for in the order of their keys, in steps. A group that comes or goes meanwhile is
/// found or not.
#[derive(Debug, Default)]
pub struct Walk {
    /// The last group that was looked at.
    last: Option<GroupKey>,
}

impl Walk {
    /// The next group, found or not; `None` after the last one. Takes from `left` what looking at it costs.
    pub fn next<'s>(&mut self, store: &'s Store, left: &mut usize) -> Option<GroupView<'s>> {
        let group = store.groups_after(self.last.as_ref()).next()?;
        *left = left.saturating_sub(LOOK_COST + group.key().as_bytes().len() / LOOK_BYTES);
        self.last = Some(group.key().clone());
        Some(group)
    }
}

/// A page of groups that is being chosen.
#[derive(Debug)]
pub struct Selecting {
    selection: Selection,
    names: Names,
    walk: Walk,
    /// The group that was found last, as long as it is being measured.
    open: Option<(GroupId, Measure)>,
    found: Sorter<(u64, GroupId)>,
    totals: Totals,
    stage: Stage,
    skipped: usize,
    page: Vec<GroupId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Look,
    Sort,
    Choose,
}

impl Selecting {
    /// Begins. `names` are those that paths allow.
    pub fn new(selection: Selection, names: Names) -> Self {
        let (walk, found, totals, page) = (Walk::default(), Sorter::default(), Totals::default(), Vec::new());
        Self { selection, names, walk, open: None, found, totals, stage: Stage::Look, skipped: 0, page }
    }

    /// Goes on as far as `left` allows; the page, once it is chosen. Reads no text of groups.
    pub fn go_on(&mut self, store: &Store, left: &mut usize) -> Option<GroupList> {
        let by_rank = |left: &(u64, GroupId), right: &(u64, GroupId)| left.0.cmp(&right.0);
        while *left > 0 {
            match self.stage {
                Stage::Look => {
                    if !self.look(store, left) {
                        self.stage = Stage::Sort;
                    }
                }
                Stage::Sort => {
                    *left = left.saturating_sub(1 + self.found.run_items());
                    if self.found.sort_some(by_rank) {
                        self.stage = Stage::Choose;
                    }
                }
                Stage::Choose => {
                    *left -= 1;
                    let next = if self.page.len() < self.selection.limit { self.found.next(by_rank) } else { None };
                    match next {
                        Some(_) if self.skipped < self.selection.offset => self.skipped += 1,
                        Some((_, group)) => self.page.push(group),
                        None => {
                            self.totals.groups = store.group_count();
                            let totals = std::mem::take(&mut self.totals);
                            return Some(GroupList::new(totals, std::mem::take(&mut self.page), self.names));
                        }
                    }
                }
            }
        }
        None
    }

    /// Looks at the next group, or measures on; whether there is one.
    fn look(&mut self, store: &Store, left: &mut usize) -> bool {
        let Some((id, mut measure)) = self.open.take() else {
            let Some(group) = self.walk.next(store, left) else { return false };
            if self.selection.filter.finds(&group) {
                self.open = Some((group.id(), Measure::of_metrics()));
            }
            return true;
        };
        let Some(group) = store.group_from(id).filter(|group| group.id() == id) else { return true };
        if !measure.go_on(&group, left) {
            self.open = Some((id, measure));
            return true;
        }
        let metrics = measure.metrics();
        self.found.push((self.selection.rank(&group, metrics, self.totals.matching), id));
        self.totals.matching += 1;
        self.totals.series += metrics;
        self.totals.failing += usize::from(!group.last_push_successful());
        true
    }

    /// Memory that it holds, bytes.
    pub fn held_bytes(&self) -> usize {
        let key = self.walk.last.as_ref().map_or(0, |key| key.as_bytes().len());
        self.found.held_bytes() + self.page.capacity() * size_of::<GroupId>() + key + size_of::<Self>()
    }
}

#[cfg(test)]
pub(super) mod tests;
