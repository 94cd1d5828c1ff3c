//! The text of a page, with where its entries start, and its compressed form for as long as that is good.
//!
//! A change outdates the segments of the compressed form that it touches; the others wait for the next scrape. Who may
//! change a text when, and whose the entries are, is the pages' business.

use std::cell::{Cell, OnceCell, RefCell};
use std::ops::{Deref, Range};
use std::rc::Rc;

use super::compress::{Form, Run};
use crate::limits::{OWN_SPARE_BYTES, PAGE_BYTES, PAGE_STEP_BYTES, SLOTS_STEP};

/// The text of a page, shared by the page and the snapshots of it.
#[derive(Debug)]
pub struct PageText {
    bytes: Vec<u8>,
    /// Where entries start. Invariant: ascending, from 0 unless there is no text.
    starts: Vec<u16>,
    is_own: bool,
    /// Invariant: made from `bytes` as they are.
    pub(super) run: OnceCell<Run>,
    /// What is left of the run before the last changes. Invariant: only while there is no run.
    pub(super) outdated: RefCell<Option<Form>>,
    replaced: Replaced,
}

/// How many bytes of the store only readers hold. Shared by all that they hold, as each piece is let go of by whoever
/// happens to have read it last.
#[derive(Clone, Debug, Default)]
pub struct Meter(Rc<Cell<usize>>);

/// Set once the store itself lets go of something that somebody still reads: how much that is, bytes, and the meter that
/// counts it until it is dropped.
#[derive(Debug, Default)]
pub struct Replaced(OnceCell<(usize, Meter)>);

impl Replaced {
    /// Counts so many bytes from now on; the first call holds.
    pub fn count(&self, bytes: usize, meter: &Meter) {
        if self.0.set((bytes, meter.clone())).is_ok() {
            meter.0.set(meter.0.get() + bytes);
        }
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        if let Some((bytes, meter)) = self.0.get() {
            meter.0.set(meter.0.get() - bytes);
        }
    }
}

impl Meter {
    /// The number.
    pub fn bytes(&self) -> usize {
        self.0.get()
    }

    /// Takes note that a page lets go of a text; who reads it keeps it.
    pub(super) fn release(&self, text: Rc<PageText>) {
        if Rc::strong_count(&text) > 1 {
            let compressed = text.run.get().map(Run::held_bytes);
            let outdated = text.outdated.borrow().as_ref().map(Form::held_bytes);
            text.replaced.count(text.bytes.capacity() + compressed.or(outdated).unwrap_or_default(), self);
        }
    }
}

impl PageText {
    /// A text of one entry, or of none, that is not compressed.
    pub fn new(bytes: Vec<u8>, is_own: bool) -> Self {
        let starts = if bytes.is_empty() { Vec::new() } else { vec![0] };
        Self::with_form(bytes, starts, is_own, None)
    }

    fn with_form(bytes: Vec<u8>, starts: Vec<u16>, is_own: bool, form: Option<Form>) -> Self {
        Self {
            bytes,
            starts,
            is_own,
            run: OnceCell::new(),
            outdated: RefCell::new(form),
            replaced: Replaced::default(),
        }
    }

    /// Whether these are the gateway's own lines, which change with every scrape.
    pub fn is_own(&self) -> bool {
        self.is_own
    }

    /// The deflate run, once it was made.
    pub fn run(&self) -> Option<&[u8]> {
        self.run.get().map(Run::deflated)
    }

    /// Where the entries start.
    pub(super) fn starts(&self) -> &[u16] {
        &self.starts
    }

    /// Where an entry stands.
    pub(super) fn range(&self, slot: usize) -> Range<usize> {
        let end = self.starts.get(slot + 1).map_or(self.bytes.len(), |next| usize::from(*next));
        usize::from(self.starts[slot])..end
    }

    /// The same, for somebody who is going to change it.
    pub(super) fn copied(&self) -> Self {
        let len = self.bytes.len();
        // The gateway's own lines are written anew for each scrape: many scrapes at once hold as many copies.
        let mut bytes = Vec::with_capacity(if self.is_own { len + OWN_SPARE_BYTES } else { capacity_for(len) });
        bytes.extend_from_slice(&self.bytes);
        let form = self.run.get().map(|run| run.form().clone()).or_else(|| self.outdated.borrow().clone());
        Self::with_form(bytes, self.starts.clone(), self.is_own, form)
    }

    /// Writes over an entry.
    pub(super) fn replace(&mut self, slot: usize, bytes: &[u8]) {
        let range = self.range(slot);
        self.splice(range.clone(), bytes);
        self.shift(slot + 1, range.end, range.start + bytes.len());
    }

    /// Puts an entry in, before that in the slot.
    pub(super) fn insert(&mut self, slot: usize, bytes: &[u8]) {
        let start = self.starts.get(slot).map_or(self.bytes.len(), |start| usize::from(*start));
        self.splice(start..start, bytes);
        self.shift(slot, start, start + bytes.len());
        if self.starts.len() == self.starts.capacity() {
            // Doubled lists would be half empty, and pages have more entries the shorter these are.
            self.starts.reserve_exact(SLOTS_STEP + self.starts.len() / 8);
        }
        self.starts.insert(slot, start as u16);
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, slot: usize) {
        let range = self.range(slot);
        self.splice(range.clone(), b"");
        self.shift(slot + 1, range.end, range.start);
        self.starts.remove(slot);
    }

    /// Moves the entries from a slot on, which is not the first, to a text of their own.
    pub(super) fn split_off(&mut self, slot: usize) -> Self {
        let cut = usize::from(self.starts[slot]);
        self.outdate();
        let form = self.outdated.get_mut().as_mut().and_then(|form| form.split_off(&self.starts, cut));
        let mut starts = self.starts.split_off(slot);
        starts.iter_mut().for_each(|start| *start -= cut as u16);
        self.starts.shrink_to(slot + slot / 8);
        let mut bytes = Vec::with_capacity(capacity_for(self.bytes.len() - cut));
        bytes.extend_from_slice(&self.bytes[cut..]);
        self.bytes.truncate(cut);
        self.bytes.shrink_to(capacity_for(cut));
        Self::with_form(bytes, starts, self.is_own, form)
    }

    /// Adds the entries of another text behind those of this.
    pub(super) fn append(&mut self, other: &Self) {
        let offset = self.bytes.len();
        self.outdate();
        if let Some(form) = self.outdated.get_mut() {
            match (other.run.get(), &*other.outdated.borrow()) {
                (Some(run), _) => form.append(run.form(), other.len()),
                (None, Some(outdated)) => form.append(outdated, other.len()),
                (None, None) => form.append_text(other.len()),
            }
        }
        self.bytes.extend_from_slice(&other.bytes);
        self.starts.extend(other.starts.iter().map(|start| start + offset as u16));
    }

    /// Puts `bytes` in the place of `range`.
    fn splice(&mut self, range: Range<usize>, bytes: &[u8]) {
        self.outdate();
        if let Some(form) = self.outdated.get_mut() {
            form.splice(&self.starts, range.clone(), bytes.len());
        }
        let text = &mut self.bytes;
        let (old_len, tail) = (text.len(), range.end);
        let new_end = range.start + bytes.len();
        if new_end > tail {
            let len = old_len + (new_end - tail);
            if len > text.capacity() {
                text.reserve_exact(capacity_for(len) - old_len);
            }
            text.resize(len, 0);
        }
        if new_end != tail {
            text.copy_within(tail..old_len, new_end);
            text.truncate(old_len - tail + new_end);
        }
        text[range.start..new_end].copy_from_slice(bytes);
    }

    fn shift(&mut self, from_slot: usize, old_end: usize, new_end: usize) {
        if old_end != new_end {
            for start in &mut self.starts[from_slot..] {
                *start = (usize::from(*start) - old_end + new_end) as u16;
            }
        }
    }

    /// Gives up all that is compressed.
    pub(super) fn forget_compressed(&mut self) {
        self.run.take();
        self.outdated.take();
    }

    /// Makes the run a form that may be outdated, unless no part of it is good. Of the gateway's own lines no part ever is,
    /// but the code suits them the next time.
    fn outdate(&mut self) {
        let outdated = self.outdated.get_mut();
        if let Some(run) = self.run.take() {
            *outdated = Some(run.into_form());
        }
        outdated.take_if(|form| !self.is_own && !form.is_useful());
    }

    /// Panics if there is compressed text of another text, or entries are out of order.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn verify(&self) {
        assert!(self.starts.is_sorted_by(|left, right| left < right), "an entry is empty or out of order");
        assert_eq!(self.starts.first(), (!self.bytes.is_empty()).then_some(&0));
        if let Some(run) = self.run.get() {
            assert!(self.outdated.borrow().is_none());
            run.verify(&self.bytes);
        }
        if let Some(form) = &*self.outdated.borrow() {
            form.verify(&self.bytes);
        }
    }
}

impl Deref for PageText {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Memory for the text of a page: some more than it takes, so that it can change a little where it is.
fn capacity_for(bytes: usize) -> usize {
    (bytes + PAGE_STEP_BYTES / 4).next_multiple_of(PAGE_STEP_BYTES).min(PAGE_BYTES).max(bytes)
}
