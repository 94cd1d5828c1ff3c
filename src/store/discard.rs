//! What a wipe left behind, given back to the allocator step by step: a large store takes far longer to free than
//! other requests can be made to wait.

use std::collections::{btree_map, hash_map};
use std::rc::Rc;

use slab::IntoIter;

use super::Store;
use super::catalog::{Family, Group};
use super::detail::DiscardedDetails;
use super::entry::{Entry, FamilyId, GroupId};
use super::outline::{Held, Help, Known};
use super::pages::Page;
use super::staged::{LineNote, RESERVED_NAMES};
use super::text::Meter;
use crate::limits::{DISCARDS_PER_TURN_MAX, WIPES_PENDING_MAX};

/// One store that was wiped.
#[derive(Debug)]
pub struct Discarded {
    /// Its groups.
    pub groups: IntoIter<Group>,
    /// What they held.
    pub outlines: IntoIter<Known>,
    /// Its families.
    pub families: IntoIter<Family>,
    /// Its pages; a scrape under way may still hold their text.
    pub pages: IntoIter<Page>,
    /// Where that is counted.
    pub replaced: Meter,
    /// Its notes.
    pub notes: hash_map::IntoIter<Entry, Rc<[LineNote]>>,
    /// Its details.
    pub details: DiscardedDetails,
    /// The families of which an audit found something wrong.
    pub faults: btree_map::IntoIter<FamilyId, usize>,
}

impl Discarded {
    /// Frees at most `budget` things, and takes from the budget what it freed; whether something is left.
    pub fn free_some(&mut self, budget: &mut usize) -> bool {
        while *budget > 0 {
            let freed = self.pages.next().map(|(_, page)| page.free(&self.replaced)).is_some()
                || self.groups.next().is_some()
                || self.outlines.next().is_some()
                || self.families.next().is_some()
                || self.notes.next().is_some()
                || self.details.free_one(&self.replaced)
                || self.faults.next().is_some();
            if !freed {
                return false;
            }
            *budget -= 1;
        }
        true
    }
}

impl Store {
    /// Removes all groups, in a time that does not depend on how many there are; [`Store::discard_some`] frees them.
    pub fn wipe(&mut self) {
        let mut catalog = Self::new().catalog;
        for (id, family) in self.catalog.families().skip(RESERVED_NAMES.len()) {
            let Some(own) = family.own else { break };
            let help = family.help.as_ref().map_or(&[][..], Help::text);
            let added = catalog.add_own_family(&family.name, family.kind, help, own);
            assert_eq!(added, id, "own families are the first ones");
        }
        let catalog = std::mem::replace(&mut self.catalog, catalog);
        let emptied = self.pages.emptied();
        let pages = std::mem::replace(&mut self.pages, emptied);
        let notes = std::mem::take(&mut self.notes);
        let details = std::mem::take(&mut self.details);
        self.quoted_groups = 0;
        self.restated.clear();
        for Held { family, .. } in &catalog.outline(GroupId::OWN).held {
            let entry = Entry { family: *family, group: GroupId::OWN };
            let lines: Vec<u8> = pages.text(&catalog, entry).flatten().copied().collect();
            self.set_own(*family, &lines);
        }
        let ((groups, outlines, families), (pages, replaced)) = (catalog.into_parts(), pages.into_parts());
        let (groups, outlines, families) = (groups.into_iter(), outlines.into_iter(), families.into_iter());
        let (pages, notes) = (pages.into_iter(), notes.into_iter());
        let details = details.into_parts();
        let faults = self.audits.emptied();
        if self.discarded.len() == WIPES_PENDING_MAX {
            self.discarded.remove(0).free_some(&mut { usize::MAX });
        }
        self.discarded.push(Discarded { groups, outlines, families, pages, replaced, notes, details, faults });
    }

    /// Frees some of what wipes left behind; to be called again while [`Store::has_discarded`].
    pub fn discard_some(&mut self) {
        let mut budget = DISCARDS_PER_TURN_MAX;
        self.discarded.retain_mut(|discarded| discarded.free_some(&mut budget));
    }

    /// Whether memory of wiped groups is still to be freed.
    pub fn has_discarded(&self) -> bool {
        !self.discarded.is_empty()
    }
}
