//! What a wipe left behind, given back to the allocator step by step: a large store takes far longer to free than
//! other requests can be made to wait.

use std::collections::{btree_map, hash_map};
use std::rc::Rc;

use slab::IntoIter;

use super::catalog::{Family, Group};
use super::detail::DiscardedDetails;
use super::entry::{Entry, FamilyId};
use super::outline::Known;
use super::pages::Page;
use super::staged::LineNote;
use super::text::Meter;

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
