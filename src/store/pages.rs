//! The pages: finished exposition text in its final order, cut into pieces that are cheap to change and to send.
//!
//! A *shared* page holds consecutive short entries; a long entry has a *run* of pages to itself. Text is
//! copy-on-write: a snapshot holds the pages' text as it was, and a page that is written meanwhile is copied first.
//! The order of entries and the place of each are the catalog's; the text of an entry is never looked into.
//!
//! The gateway writes its own lines anew at every scrape. They share pages with each other only, so that the
//! compressed pushed text beside them stays good.
//!
//! ```text
//! order:  [ page 3 ][ page 0 ][ page 7 (run) ][ page 8 (run) ][ page 1 ] ...
//! page 3: slots  header(a) | a, group 2 | a, group 9 | header(b) | ...
//!         text   # TYPE a… | a{…} 1\n   | a{…} 2\n   | # TYPE b… | ...
//! ```

use std::cmp::Ordering;
use std::hint::black_box;
use std::ops::Range;
use std::rc::Rc;

use slab::Slab;

use super::catalog::Catalog;
use super::compress::{Meter, PageText};
use super::entry::{Entry, EntryText, FamilyId, GroupId, Home, PageId};
use crate::limits::{
    OWN_SPARE_BYTES, PAGE_BYTES, PAGE_MERGE_BYTES_MAX, PAGE_SPARSE_BYTES, PAGE_STEP_BYTES, SLOTS_STEP,
};

/// One page.
#[derive(Debug)]
pub struct Page {
    text: Rc<PageText>,
    /// Invariant: never empty, in the order of the catalog, starts ascending from 0. One slot in a run.
    slots: Vec<Slot>,
    kind: PageKind,
    /// Where an entry was last put in. Groups tend to come in the order of their keys, and the next one right behind it.
    last_insertion: u16,
}

/// Which entries a page takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageKind {
    /// Short ones that were pushed.
    Pushed,
    /// The gateway's own lines, and the headers of its own families.
    Own,
    /// A part of one long one.
    Run,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    entry: Entry,
    start: u32,
}

impl Page {
    fn range(&self, slot: usize) -> Range<usize> {
        let end = self.slots.get(slot + 1).map_or(self.text.len(), |next| next.start as usize);
        self.slots[slot].start as usize..end
    }

    /// Lets go of the page; who reads its text keeps that.
    pub fn free(self, replaced: &Meter) {
        replaced.release(self.text);
    }

    fn is_run(&self) -> bool {
        self.kind == PageKind::Run
    }

    fn has_room(&self, kind: PageKind, bytes: usize) -> bool {
        self.kind == kind && self.text.len() + bytes <= PAGE_BYTES
    }

    /// The text, no longer shared with any snapshot.
    fn text_mut(&mut self, replaced: &Meter) -> &mut Vec<u8> {
        if Rc::get_mut(&mut self.text).is_none() {
            // The gateway's own lines are written anew for each scrape: many scrapes at once hold as many copies.
            let (is_own, len) = (self.text.is_own(), self.text.len());
            let mut copy = Vec::with_capacity(if is_own { len + OWN_SPARE_BYTES } else { capacity_for(len) });
            copy.extend_from_slice(&self.text);
            replaced.release(std::mem::replace(&mut self.text, Rc::new(PageText::new(copy, is_own))));
        }
        Rc::get_mut(&mut self.text).expect("a text that was just copied is not shared").bytes_mut()
    }

    /// Puts `bytes` in the place of `range`.
    fn splice(&mut self, range: Range<usize>, bytes: &[u8], replaced: &Meter) {
        let text = self.text_mut(replaced);
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

    fn insert_slot(&mut self, at: usize, slot: Slot) {
        if self.slots.len() == self.slots.capacity() {
            // Doubled lists would be half empty, and pages have more slots the shorter their entries are.
            self.slots.reserve_exact(SLOTS_STEP + self.slots.len() / 8);
        }
        self.slots.insert(at, slot);
        self.last_insertion = at as u16;
    }

    fn shift(&mut self, from_slot: usize, old_end: usize, new_end: usize) {
        for slot in &mut self.slots[from_slot..] {
            slot.start = (slot.start as usize - old_end + new_end) as u32;
        }
    }
}

/// Memory for the text of a page: some more than it takes, so that it can change a little where it is.
fn capacity_for(bytes: usize) -> usize {
    (bytes + PAGE_STEP_BYTES / 4).next_multiple_of(PAGE_STEP_BYTES).min(PAGE_BYTES).max(bytes)
}

/// All pages, in order.
#[derive(Debug, Default)]
pub struct Pages {
    arena: Slab<Page>,
    order: Vec<PageId>,
    bytes: u64,
    /// What readers hold of text that no page has any more.
    replaced: Meter,
}

/// The exposition as it was at one moment; holds its text alive. Reuse it to spare the allocation.
#[derive(Debug, Default)]
pub struct Snapshot {
    pieces: Vec<Rc<PageText>>,
    bytes: u64,
}

impl Snapshot {
    /// The text, in pieces, in order.
    pub fn pieces(&self) -> &[Rc<PageText>] {
        &self.pieces
    }

    /// The length of the text, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A snapshot of these pages.
    #[cfg(test)]
    pub(super) fn of(texts: &[&[u8]]) -> Self {
        let pieces: Vec<_> = texts.iter().map(|text| Rc::new(PageText::new(text.to_vec(), false))).collect();
        let bytes = texts.iter().map(|text| text.len() as u64).sum();
        Self { pieces, bytes }
    }

    /// Lets go of the text, keeping the memory of the list.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.bytes = 0;
    }
}

/// How much text there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// The exposition, bytes.
    pub bytes: u64,
    /// Its pages.
    pub pages: usize,
    /// Those of them whose compressed form is at hand.
    pub compressed_pages: usize,
    /// The length of these forms, bytes.
    pub compressed_bytes: u64,
}

/// Some lines of an entry as they were at one moment; holds their text alive.
#[derive(Clone, Debug)]
pub struct Piece {
    text: Rc<PageText>,
    range: Range<usize>,
}

impl Piece {
    /// The lines.
    pub fn text(&self) -> &[u8] {
        &self.text[self.range.clone()]
    }
}

impl Pages {
    /// The length of the whole exposition, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How much there is.
    pub fn size(&self) -> Size {
        let mut size = Size { bytes: self.bytes, pages: self.order.len(), ..Size::default() };
        for run in self.order.iter().filter_map(|page| self.page(*page).text.run()) {
            size.compressed_pages += 1;
            size.compressed_bytes += run.len() as u64;
        }
        size
    }

    /// Takes it apart, to be freed in steps.
    pub fn into_parts(self) -> (Slab<Page>, Meter) {
        (self.arena, self.replaced)
    }

    /// No pages, in the place of these: what readers hold is counted on.
    pub fn emptied(&self) -> Self {
        Self { replaced: self.replaced.clone(), ..Self::default() }
    }

    /// What readers hold of text that no page has any more.
    pub fn replaced(&self) -> &Meter {
        &self.replaced
    }

    /// Takes the whole exposition as it is now.
    pub fn snapshot(&self, into: &mut Snapshot) {
        into.pieces.clear();
        into.pieces.extend(self.order.iter().map(|page| Rc::clone(&self.page(*page).text)));
        into.bytes = self.bytes;
    }

    /// The text of an entry, in pieces of whole lines.
    pub fn text(&self, catalog: &Catalog, entry: Entry) -> impl Iterator<Item = &[u8]> {
        self.parts(catalog, entry).map(|(text, range)| &text[range])
    }

    /// The same, held alive: it stays as it is, whatever becomes of the entry.
    pub fn pieces(&self, catalog: &Catalog, entry: Entry) -> impl Iterator<Item = Piece> {
        self.parts(catalog, entry).map(|(text, range)| Piece { text: Rc::clone(text), range })
    }

    fn parts(&self, catalog: &Catalog, entry: Entry) -> impl Iterator<Item = (&Rc<PageText>, Range<usize>)> {
        let home = catalog.home(entry).expect("only entries that stand somewhere are read");
        let first = self.page(home.page);
        let run_from = if first.is_run() { self.lower_bound(catalog, entry) } else { self.order.len() };
        let run = self.order[run_from..]
            .iter()
            .map(|page| self.page(*page))
            .take_while(move |page| page.is_run() && page.slots[0].entry == entry)
            .map(|page| (&page.text, 0..page.text.len()));
        let shared = (!first.is_run()).then(|| (&first.text, first.range(first.slot_of(entry, home.slot))));
        shared.into_iter().chain(run)
    }

    /// The groups that have an entry of a family whose header stands, in order.
    pub fn groups_of<'a>(&'a self, catalog: &'a Catalog, family: FamilyId) -> impl Iterator<Item = GroupId> + 'a {
        let at = self.lower_bound(catalog, Entry::header(family));
        // The header may be inside the page before that place.
        let slots = self.order[at.saturating_sub(1)..].iter().flat_map(|page| &self.page(*page).slots);
        let entries = slots.map(|slot| slot.entry).skip_while(move |entry| entry.family != family);
        let groups = entries.take_while(move |entry| entry.family == family).map(|entry| entry.group);
        // A run has its group in each of its pages.
        let mut last = GroupId::HEADER;
        groups.filter(move |group| std::mem::replace(&mut last, *group) != *group)
    }

    /// Reads a byte of each of these entries. A push touches as many far-apart places as it has families; reading
    /// them in one tight loop lets the processor wait for all of them at once instead of for one after the other.
    pub fn warm(&self, homes: impl Iterator<Item = Home>) {
        let byte = |home: Home| {
            let page = self.page(home.page);
            let start = page.slots.get(usize::from(home.slot)).map_or(0, |slot| slot.start);
            page.text.get(start as usize).copied().unwrap_or_default()
        };
        black_box(homes.fold(0, |sum: u8, home| sum ^ byte(home)));
    }

    /// Writes an entry: in the place of its old text if it has any, else where the catalog's order wants it.
    pub fn put(&mut self, catalog: &mut Catalog, entry: Entry, text: EntryText<'_>) {
        if let Some(home) = catalog.home(entry) {
            if let EntryText::Shared(bytes) = &text
                && self.replace(catalog, entry, home, bytes)
            {
                return;
            }
            self.remove(catalog, entry);
        }
        match text {
            EntryText::Shared(bytes) => self.insert_shared(catalog, entry, bytes),
            EntryText::Run(pieces) => self.insert_run(catalog, entry, pieces),
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, catalog: &mut Catalog, entry: Entry) {
        let home = catalog.home(entry).expect("only entries that stand somewhere are removed");
        catalog.set_home(entry, None);
        let page = self.page(home.page);
        if page.is_run() {
            self.remove_run(catalog, entry);
            return;
        }
        let slot = page.slot_of(entry, home.slot);
        let range = page.range(slot);
        let after = page.text.len() - range.len();
        // The place in the order is found by the page's first entry, so it is looked up before that may go.
        let at = (after < PAGE_SPARSE_BYTES).then(|| self.lower_bound(catalog, page.slots[0].entry));
        self.bytes -= range.len() as u64;
        let page = &mut self.arena[home.page.0 as usize];
        if page.slots.len() > 1 {
            page.splice(range.clone(), b"", &self.replaced);
            page.slots.remove(slot);
            page.shift(slot, range.end, range.start);
            if let Some(at) = at {
                self.merge(catalog, at);
            }
        } else {
            self.drop_pages(at.unwrap_or_else(|| unreachable!("an emptied page is sparse")), 1);
        }
    }

    // ---- changing shared pages ----

    /// Writes over the text of an entry where it stands; `false` if it does not fit there.
    fn replace(&mut self, catalog: &mut Catalog, entry: Entry, home: Home, bytes: &[u8]) -> bool {
        let page = &mut self.arena[home.page.0 as usize];
        if page.is_run() {
            return false;
        }
        let slot = page.slot_of(entry, home.slot);
        if slot != usize::from(home.slot) {
            catalog.set_home(entry, Some(Home { slot: slot as u16, ..home }));
        }
        let range = page.range(slot);
        if page.text[range.clone()] == *bytes {
            return true; // The page stays clean: neither copied nor compressed again.
        }
        if page.text.len() - range.len() + bytes.len() > PAGE_BYTES {
            return false;
        }
        page.splice(range.clone(), bytes, &self.replaced);
        if bytes.len() != range.len() {
            page.shift(slot + 1, range.end, range.start + bytes.len());
            self.bytes = self.bytes - range.len() as u64 + bytes.len() as u64;
        }
        true
    }

    fn insert_shared(&mut self, catalog: &mut Catalog, entry: Entry, bytes: &[u8]) {
        let kind = if catalog.is_own(entry) { PageKind::Own } else { PageKind::Pushed };
        let at = self.lower_bound(catalog, entry);
        let before = at.checked_sub(1).map(|at| self.order[at]);
        if let Some(page_id) = before.filter(|page| self.page(*page).kind == kind) {
            let page = self.page(page_id);
            let slot = page.slots.partition_point(|slot| catalog.compare(slot.entry, entry) == Ordering::Less);
            if page.has_room(kind, bytes.len()) {
                return self.insert_at(catalog, page_id, slot, entry, bytes);
            }
            if slot < page.slots.len() {
                return self.split_and_insert(catalog, at - 1, slot, entry, bytes);
            }
        } else {
            self.split_before(catalog, at, entry);
        }
        match self.order.get(at).copied() {
            Some(page) if self.page(page).has_room(kind, bytes.len()) => {
                self.insert_at(catalog, page, 0, entry, bytes);
            }
            _ => {
                let page = self.add_page(Vec::new(), Vec::new(), kind);
                self.order.insert(at, page);
                self.insert_at(catalog, page, 0, entry, bytes);
            }
        }
    }

    fn insert_at(&mut self, catalog: &mut Catalog, id: PageId, slot: usize, entry: Entry, bytes: &[u8]) {
        let page = &mut self.arena[id.0 as usize];
        let start = page.slots.get(slot).map_or(page.text.len(), |slot| slot.start as usize);
        page.splice(start..start, bytes, &self.replaced);
        page.shift(slot, start, start + bytes.len());
        page.insert_slot(slot, Slot { entry, start: start as u32 });
        self.bytes += bytes.len() as u64;
        catalog.set_home(entry, Some(Home { page: id, slot: slot as u16 }));
    }

    /// Splits the full page at place `at`, then inserts into the part that `slot` is in: in the middle of its text, or
    /// behind the last insertion if the entry goes there, which leaves pages full behind entries that come in order.
    fn split_and_insert(&mut self, catalog: &mut Catalog, at: usize, slot: usize, entry: Entry, bytes: &[u8]) {
        let id = self.order[at];
        let page = self.page(id);
        let middle = (page.text.len() / 2) as u32;
        let is_in_order = slot == usize::from(page.last_insertion) + 1;
        let cut = if is_in_order { slot } else { page.slots.partition_point(|slot| slot.start < middle) };
        let cut = cut.clamp(1, page.slots.len() - 1);
        let right = self.split(catalog, at, cut);
        if slot < cut || (slot == cut && self.page(id).text.len() + bytes.len() <= PAGE_BYTES) {
            self.insert_at(catalog, id, slot, entry, bytes);
        } else {
            self.insert_at(catalog, right, slot - cut, entry, bytes);
        }
    }

    /// Moves the entries from slot `cut` on of the page at place `at` to a new page behind it.
    fn split(&mut self, catalog: &mut Catalog, at: usize, cut: usize) -> PageId {
        let page = &mut self.arena[self.order[at].0 as usize];
        let cut_text = page.slots[cut].start as usize;
        let mut slots = page.slots.split_off(cut);
        for slot in &mut slots {
            slot.start -= cut_text as u32;
        }
        page.slots.shrink_to(cut + cut / 8);
        let mut text = Vec::with_capacity(capacity_for(page.text.len() - cut_text));
        text.extend_from_slice(&page.text[cut_text..]);
        let left = page.text_mut(&self.replaced);
        left.truncate(cut_text);
        left.shrink_to(capacity_for(cut_text));
        let kind = page.kind;
        let right = self.add_page(text, slots, kind);
        self.order.insert(at + 1, right);
        self.rehome(catalog, right, 0);
        right
    }

    /// Joins the sparse page at place `at` with a neighbour if both fit well into one.
    fn merge(&mut self, catalog: &mut Catalog, at: usize) {
        let fits = |left: usize, right: usize| match (self.order.get(left), self.order.get(right)) {
            (Some(left), Some(right)) => {
                let (left, right) = (self.page(*left), self.page(*right));
                left.kind == right.kind && !left.is_run() && left.text.len() + right.text.len() <= PAGE_MERGE_BYTES_MAX
            }
            _ => false,
        };
        let left = if fits(at, at + 1) {
            at
        } else if at > 0 && fits(at - 1, at) {
            at - 1
        } else {
            return;
        };
        let right = self.arena.remove(self.order.remove(left + 1).0 as usize);
        let id = self.order[left];
        let page = &mut self.arena[id.0 as usize];
        let (moved_from, offset) = (page.slots.len(), page.text.len() as u32);
        page.text_mut(&self.replaced).extend_from_slice(&right.text);
        self.replaced.release(right.text);
        page.slots.extend(right.slots.iter().map(|slot| Slot { start: slot.start + offset, ..*slot }));
        self.rehome(catalog, id, moved_from);
    }

    fn rehome(&self, catalog: &mut Catalog, id: PageId, from_slot: usize) {
        for (at, slot) in self.page(id).slots.iter().enumerate().skip(from_slot) {
            catalog.set_home(slot.entry, Some(Home { page: id, slot: at as u16 }));
        }
    }

    // ---- runs ----

    fn insert_run(&mut self, catalog: &mut Catalog, entry: Entry, pieces: Vec<Vec<u8>>) {
        let at = self.lower_bound(catalog, entry);
        self.split_before(catalog, at, entry);
        self.bytes += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let slot = Slot { entry, start: 0 };
        let ids: Vec<_> = pieces.into_iter().map(|text| self.add_page(text, vec![slot], PageKind::Run)).collect();
        let home = Home { page: ids[0], slot: 0 };
        self.order.splice(at..at, ids);
        catalog.set_home(entry, Some(home));
    }

    /// Cuts the page before place `at` in two if it holds entries from both sides of `entry`.
    fn split_before(&mut self, catalog: &mut Catalog, at: usize, entry: Entry) {
        let Some(before) = at.checked_sub(1) else { return };
        let page = self.page(self.order[before]);
        let cut = page.slots.partition_point(|slot| catalog.compare(slot.entry, entry) == Ordering::Less);
        if cut < page.slots.len() {
            self.split(catalog, before, cut);
        }
    }

    fn remove_run(&mut self, catalog: &Catalog, entry: Entry) {
        let at = self.lower_bound(catalog, entry);
        let len = self.order[at..].iter().take_while(|page| self.page(**page).slots[0].entry == entry).count();
        for page in &self.order[at..at + len] {
            self.bytes -= self.page(*page).text.len() as u64;
        }
        self.drop_pages(at, len);
    }

    // ---- order ----

    fn page(&self, id: PageId) -> &Page {
        &self.arena[id.0 as usize]
    }

    fn add_page(&mut self, text: Vec<u8>, slots: Vec<Slot>, kind: PageKind) -> PageId {
        let text = Rc::new(PageText::new(text, kind == PageKind::Own));
        PageId(self.arena.insert(Page { text, slots, kind, last_insertion: 0 }) as u32)
    }

    fn drop_pages(&mut self, at: usize, len: usize) {
        for page in self.order.drain(at..at + len) {
            self.replaced.release(self.arena.remove(page.0 as usize).text);
        }
    }

    /// The place in the order of the first page whose first entry is not before `entry`.
    fn lower_bound(&self, catalog: &Catalog, entry: Entry) -> usize {
        self.order.partition_point(|page| catalog.compare(self.page(*page).slots[0].entry, entry) == Ordering::Less)
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl Pages {
    /// Panics if any invariant does not hold.
    pub fn verify(&self, catalog: &Catalog) {
        assert_eq!(self.arena.len(), self.order.len());
        let mut last: Option<(Entry, bool)> = None;
        let mut bytes = 0;
        for id in &self.order {
            let page = self.page(*id);
            assert!(!page.slots.is_empty() && page.slots[0].start == 0);
            assert!(page.is_run() || page.text.len() <= PAGE_BYTES);
            page.text.verify();
            bytes += page.text.len() as u64;
            for (at, slot) in page.slots.iter().enumerate() {
                assert!(!page.range(at).is_empty() && page.text[page.range(at).end - 1] == b'\n');
                let is_next = last.is_some_and(|(entry, is_run)| is_run && page.is_run() && entry == slot.entry);
                if !is_next {
                    let home = catalog.home(slot.entry).expect("a stored entry has a home");
                    assert_eq!(home.page, *id);
                    let order = last.map(|(last, _)| catalog.compare(last, slot.entry));
                    assert!(order.is_none_or(|order| order == Ordering::Less));
                }
                assert_eq!(catalog.is_own(slot.entry), page.kind == PageKind::Own);
                last = Some((slot.entry, page.is_run()));
            }
        }
        assert_eq!(bytes, self.bytes);
    }
}

impl Page {
    /// The slot of an entry that is in this page, tried at `hint` first.
    fn slot_of(&self, entry: Entry, hint: u16) -> usize {
        match self.slots.get(usize::from(hint)) {
            Some(slot) if slot.entry == entry => usize::from(hint),
            _ => self.slots.iter().position(|slot| slot.entry == entry).expect("an entry is in the page of its home"),
        }
    }
}
