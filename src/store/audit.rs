//! Audits: whether what is stored is consistent (SPEC 6.2), for a store that takes pushes unchecked (SPEC 5.5).
//!
//! Each family is looked at by itself, from its lines as they are at one moment, and what is found is kept. A change marks
//! the families that it may make right or wrong, and only those are looked at again, first come, first served, a bounded
//! amount at a time. Who wants to know waits for what was marked before, and for nothing that comes later: so the answer
//! tells of each family how it was at some moment in between, and pushes in any number do not put it off.

mod family;
#[cfg(any(test, feature = "fuzz"))]
pub mod naive;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque, btree_map};

use super::Store;
use super::catalog::Catalog;
use super::entry::{Entry, FamilyId};
use super::hashes::Hashes;
use super::line::has_same_series;
use super::pages::Pages;
use super::problem::Problems;
use crate::limits::{AUDIT_ROUNDS_MAX, AUDITED_BYTES_PER_FAMILY, AUDITED_BYTES_PER_STEP, ERRORS_LISTED_MAX};
use family::FamilyAudit;

/// Endings of names that are parts of a histogram or summary.
const SUFFIXES: [&str; 3] = ["_count", "_sum", "_bucket"];

/// What is known of the consistency of a store.
#[derive(Debug, Default)]
pub struct Audits {
    /// Marks, oldest first: their numbers, and the families that changed.
    queue: VecDeque<(u64, FamilyId)>,
    /// Whether a family is marked, by its id. One that is gone is not, though it may still stand in the queue.
    is_marked: Vec<bool>,
    /// The number of the next mark.
    next: u64,
    /// The family that is being looked at.
    current: Option<Box<FamilyAudit>>,
    /// What is wrong with some families, and with how many metrics of the others something is wrong.
    listed: BTreeMap<FamilyId, Problems>,
    unlisted: BTreeMap<FamilyId, usize>,
    /// With how many metrics of all families something is wrong.
    count: usize,
    /// Working memory.
    hashes: Hashes,
}

/// What somebody waits for who wants to know whether a store is consistent.
#[derive(Clone, Copy, Debug)]
pub struct AuditTicket {
    /// Marks with a lower number are waited for.
    until: u64,
    /// How often marks that came meanwhile were waited for, too.
    rounds: u32,
}

impl Audits {
    /// Nothing is stored any more. Tickets stay good; gives what is to be freed in steps.
    pub(super) fn emptied(&mut self) -> btree_map::IntoIter<FamilyId, usize> {
        let emptied = Self { next: self.next, ..Self::default() };
        std::mem::replace(self, emptied).unlisted.into_iter()
    }

    /// Marks a family.
    fn mark(&mut self, family: FamilyId) {
        let at = family.0 as usize;
        if at >= self.is_marked.len() {
            self.is_marked.resize(at + 1, false);
        }
        if !std::mem::replace(&mut self.is_marked[at], true) {
            self.queue.push_back((self.next, family));
            self.next += 1;
        }
    }

    /// A family is no more: nothing is wrong with it, and its id may be given to another one.
    fn forget(&mut self, family: FamilyId) {
        if let Some(is_marked) = self.is_marked.get_mut(family.0 as usize) {
            *is_marked = false;
        }
        self.current.take_if(|current| current.id == family);
        self.note(family, Problems::default());
    }

    /// Notes what is wrong with a family now.
    fn note(&mut self, family: FamilyId, problems: Problems) {
        let was_listed = self.listed.remove(&family);
        let before = was_listed.as_ref().map(Problems::count).or_else(|| self.unlisted.remove(&family));
        self.count = self.count - before.unwrap_or_default() + problems.count();
        let has_room = self.listed.len() < ERRORS_LISTED_MAX;
        if !problems.is_empty() && has_room {
            self.listed.insert(family, problems);
        } else if !problems.is_empty() {
            self.unlisted.insert(family, problems.count());
        }
        if self.listed.len() < ERRORS_LISTED_MAX
            && let Some((other, _)) = self.unlisted.first_key_value()
        {
            // To be listed it has to be looked at again.
            self.mark(*other);
        }
    }

    /// Whether nothing is marked.
    fn is_complete(&mut self) -> bool {
        while let Some((_, family)) = self.queue.front()
            && !self.is_marked[family.0 as usize]
        {
            self.queue.pop_front();
        }
        self.queue.is_empty() && self.current.is_none()
    }

    /// Whether marks with lower numbers than this are done.
    fn is_done(&mut self, until: u64) -> bool {
        if self.is_complete() {
            return true;
        }
        let current = self.current.iter().map(|current| current.mark);
        let is_passed = self.queue.front().map(|(mark, _)| *mark).into_iter().chain(current).all(|mark| mark >= until);
        is_passed && (self.unlisted.is_empty() || !self.listed.is_empty())
    }

    /// Looks at marked families until the budget of bytes is used up.
    fn advance(&mut self, catalog: &Catalog, pages: &Pages, budget: &mut usize) {
        while *budget > 0 && !self.is_complete() {
            let mut current = match self.current.take() {
                Some(current) => current,
                None => {
                    let Some((mark, family)) = self.queue.pop_front() else { return };
                    self.is_marked[family.0 as usize] = false;
                    let hashes = std::mem::take(&mut self.hashes);
                    let current = FamilyAudit::begin(catalog, pages, family, mark, hashes);
                    *budget = budget.saturating_sub(AUDITED_BYTES_PER_FAMILY * (1 + current.pieces() / 16));
                    Box::new(current)
                }
            };
            if current.advance(catalog, pages, budget) {
                let (family, has_other_values) = (current.id, current.has_other_values);
                let (problems, hashes) = current.finish();
                self.hashes = hashes;
                if has_other_values && !problems.is_empty() {
                    self.mark(family);
                }
                self.note(family, problems);
            } else {
                self.current = Some(current);
            }
        }
    }

    /// Whether text is held that may have been replaced.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn holds_text(&self) -> bool {
        self.current.is_some()
    }

    /// Everything that was found.
    fn problems(&self) -> Problems {
        let mut all = Problems::default();
        self.listed.values().for_each(|problems| all.append(problems));
        all.add_unlisted(self.count - all.count());
        all
    }
}

impl Store {
    /// Everything that is wrong with what is stored, found in one go.
    pub fn audit(&mut self) -> Problems {
        if self.is_checked {
            // Nobody marked anything.
            let mut audits = Audits::default();
            self.catalog.families().for_each(|(id, _)| audits.mark(id));
            audits.advance(&self.catalog, &self.pages, &mut { usize::MAX });
            while !audits.is_complete() {
                audits.advance(&self.catalog, &self.pages, &mut { usize::MAX });
            }
            return audits.problems();
        }
        let mut ticket = self.audit_ticket();
        loop {
            if let Some(problems) = self.audit_some(&mut ticket) {
                return problems;
            }
        }
    }

    /// To wait for: everything as it is now, or becomes until it was looked at.
    pub fn audit_ticket(&self) -> AuditTicket {
        AuditTicket { until: self.audits.next, rounds: 0 }
    }

    /// Looks at some of what a ticket waits for, in a bounded time, and not at all if there is nothing; all who wait get on
    /// by it. Everything that is wrong with what is stored, once it is known.
    ///
    /// Each family is told of as it was at a moment since the ticket was taken. Where nothing is wrong, nothing has changed
    /// since either, unless changes come faster than they are looked at: they are waited for a few times only.
    pub fn audit_some(&mut self, ticket: &mut AuditTicket) -> Option<Problems> {
        self.audit_bytes(ticket, AUDITED_BYTES_PER_STEP)
    }

    fn audit_bytes(&mut self, ticket: &mut AuditTicket, mut budget: usize) -> Option<Problems> {
        let Self { audits, catalog, pages, .. } = self;
        loop {
            if audits.is_done(ticket.until) {
                if audits.count > 0 || audits.is_complete() || ticket.rounds == AUDIT_ROUNDS_MAX {
                    return Some(audits.problems());
                }
                (ticket.until, ticket.rounds) = (audits.next, ticket.rounds + 1);
            }
            if budget == 0 {
                return None;
            }
            audits.advance(catalog, pages, &mut budget);
        }
    }

    // ---- changes ----

    /// Takes note that something of a family has changed that an audit would look at, values not being of that kind.
    pub(super) fn mark(&mut self, family: FamilyId) {
        if !self.is_checked {
            self.audits.mark(family);
            self.mark_wholes(family);
        }
    }

    /// Takes note that values of a family have changed: where something is wrong with it, that is told with them.
    pub(super) fn mark_values(&mut self, family: FamilyId) {
        if let Some(current) = self.audits.current.as_mut().filter(|current| current.id == family) {
            current.has_other_values = true;
        }
        if self.audits.count > 0 && self.audits.listed.contains_key(&family) {
            self.mark(family);
        }
    }

    /// Takes note of another group: its push times are series, too.
    pub(super) fn mark_times(&mut self) {
        [FamilyId::PUSH_TIME, FamilyId::FAILURE_TIME].into_iter().for_each(|family| self.mark(family));
    }

    /// Takes note that a family is about to be no more.
    pub(super) fn unmark(&mut self, family: FamilyId) {
        if !self.is_checked {
            self.audits.forget(family);
            self.mark_wholes(family);
        }
    }

    /// Whether text that is about to be written over that of an entry says nothing else but values.
    pub(super) fn keeps_series(&self, entry: Entry, text: &[u8]) -> bool {
        let mut stored = self.pages.text(&self.catalog, entry);
        stored.next().is_some_and(|stored| has_same_series(stored, text)) && stored.next().is_none()
    }

    /// Marks the families that this one may be named like a part of.
    fn mark_wholes(&mut self, family: FamilyId) {
        let Self { audits, catalog, .. } = self;
        let name = &*catalog.family(family).name;
        let wholes = SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(suffix));
        wholes.filter_map(|whole| catalog.find_family(whole)).for_each(|whole| audits.mark(whole));
    }
}
