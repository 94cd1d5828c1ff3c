//! The families of one group, in the order of their names, for readers that take their time.
//!
//! A group of usual size is shown as it was at one moment. One of very many families would take too long, and too much
//! memory, to be held as a whole: each of its families is shown as it is when its turn comes.

use std::cmp::Ordering;
use std::rc::Rc;
use std::vec;

use crate::model::sorter::{RUN_ITEMS, Sorter};
use crate::store::{FamilyId, FamilyView, GroupKey, GroupView, Store};

/// The families of one group that are still to be shown.
#[derive(Debug)]
pub enum Families {
    /// As they were when this was made.
    Kept(vec::IntoIter<FamilyView>),
    /// Of a large group.
    Named(Box<Named>),
}

/// The families of a large group, found by their names.
#[derive(Debug)]
pub struct Named {
    key: GroupKey,
    /// Where the search for names goes on; `None` once all are found.
    from: Option<FamilyId>,
    names: Sorter<Rc<str>>,
    is_sorted: bool,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// This family. It takes 200 bytes or more, and is moved once.
    Family(Box<FamilyView>),
    /// No other.
    Over,
    /// That is not known yet.
    Busy,
}

fn compare(left: &Rc<str>, right: &Rc<str>) -> Ordering {
    left.cmp(right)
}

impl Families {
    /// All families that the group holds.
    pub fn of(group: &GroupView<'_>) -> Self {
        if group.is_large() {
            let (key, from) = (group.key().clone(), Some(FamilyId(0)));
            return Self::Named(Box::new(Named { key, from, names: Sorter::default(), is_sorted: false }));
        }
        Self::Kept(group.families().into_iter())
    }

    /// The next family; does no more than `left` allows to find it.
    pub fn next(&mut self, store: &Store, left: &mut usize) -> Next {
        match self {
            Self::Kept(families) => families.next().map_or(Next::Over, |family| Next::Family(Box::new(family))),
            Self::Named(named) => named.next(store, left),
        }
    }

    /// Memory that it holds beside text, bytes.
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Kept(families) => families.as_slice().iter().map(FamilyView::held_bytes).sum(),
            Self::Named(named) => named.key.as_bytes().len() + named.names.held_bytes(),
        }
    }
}

impl Named {
    fn next(&mut self, store: &Store, left: &mut usize) -> Next {
        while *left > 0 {
            *left -= 1;
            if let Some(from) = self.from {
                let group = store.group(&self.key);
                let mut names = group.iter().flat_map(|group| group.names_from(from));
                self.from = None;
                for (family, name) in names.by_ref().take(RUN_ITEMS) {
                    *left = left.saturating_sub(1);
                    self.names.push(name);
                    self.from = Some(FamilyId(family.0 + 1));
                }
            } else if !self.is_sorted {
                *left = left.saturating_sub(self.names.run_items());
                self.is_sorted = self.names.sort_some(compare);
            } else {
                let Some(name): Option<Rc<str>> = self.names.next(compare) else { return Next::Over };
                if let Some(family) = store.group(&self.key).and_then(|group| group.family_named(&name)) {
                    return Next::Family(Box::new(family));
                }
            }
        }
        Next::Busy
    }
}
