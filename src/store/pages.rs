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

use memchr::{memchr, memrchr};
use slab::Slab;

use super::catalog::Catalog;
use super::detail::KeptDetails;
use super::entry::{Entry, EntryText, FamilyId, GroupId, Home, PageId};
use super::key::GroupKey;
use super::text::{Meter, PageText};
use crate::limits::{ENTRY_SHARED_BYTES_MAX, PAGE_BYTES, PAGE_MERGE_BYTES_MAX, PAGE_SPARSE_BYTES, SLOTS_STEP};

/// One page.
#[derive(Debug)]
pub struct Page {
    text: Rc<PageText>,
    /// What stands in the text. Invariant: never empty, in the order of the catalog. One in a run.
    slots: Vec<Entry>,
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

impl Page {
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
    fn text_mut(&mut self, replaced: &Meter) -> &mut PageText {
        if Rc::get_mut(&mut self.text).is_none() {
            let copy = Rc::new(self.text.copied());
            replaced.release(std::mem::replace(&mut self.text, copy));
        }
        Rc::get_mut(&mut self.text).expect("a text that was just copied is not shared")
    }

    fn insert_slot(&mut self, at: usize, entry: Entry) {
        if self.slots.len() == self.slots.capacity() {
            // Doubled lists would be half empty, and pages have more slots the shorter their entries are.
            self.slots.reserve_exact(SLOTS_STEP + self.slots.len() / 8);
        }
        self.slots.insert(at, entry);
        self.last_insertion = at as u16;
    }
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
    /// What its metrics say beyond their lines.
    pub(super) details: KeptDetails,
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

    /// What its metrics say beyond their lines.
    pub fn details(&self) -> &KeptDetails {
        &self.details
    }

    /// Memory that it holds beside what it holds alive, bytes: the lists of it.
    pub fn held_bytes(&self) -> usize {
        size_of_val(&*self.pieces) + self.details.held_bytes()
    }

    /// A snapshot of these pages.
    #[cfg(test)]
    pub(super) fn of(texts: &[&[u8]]) -> Self {
        let pieces: Vec<_> = texts.iter().map(|text| Rc::new(PageText::new(text.to_vec(), false))).collect();
        let bytes = texts.iter().map(|text| text.len() as u64).sum();
        Self { pieces, bytes, details: KeptDetails::default() }
    }

    /// Lets go of the text, keeping the memory of the list.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.details.clear();
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

/// Cuts whole lines into pages. A line that is longer than a page has one to itself.
fn cut(lines: &[u8]) -> Vec<Vec<u8>> {
    let mut pages = Vec::new();
    let mut rest = lines;
    while !rest.is_empty() {
        let fitting = &rest[..rest.len().min(PAGE_BYTES)];
        let end = memrchr(b'\n', fitting).or_else(|| memchr(b'\n', rest)).map_or(rest.len(), |end| end + 1);
        let (page, after) = rest.split_at(end);
        let mut text = Vec::with_capacity(PAGE_BYTES.max(page.len()));
        text.extend_from_slice(page);
        pages.push(text);
        rest = after;
    }
    pages
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

    /// The text of a short entry of which it is known where it stands.
    pub fn shared_text(&self, entry: Entry, home: Home) -> &[u8] {
        let page = self.page(home.page);
        &page.text[page.text.range(page.slot_of(entry, home.slot))]
    }

    /// The same, held alive: it stays as it is, whatever becomes of the entry.
    pub fn pieces(&self, catalog: &Catalog, entry: Entry) -> impl Iterator<Item = Piece> {
        self.parts(catalog, entry).map(|(text, range)| Piece { text: Rc::clone(text), range })
    }

    fn parts(&self, catalog: &Catalog, entry: Entry) -> impl Iterator<Item = (&Rc<PageText>, Range<usize>)> {
        let home = catalog.home(entry).expect("only entries that stand somewhere are read");
        let first = self.page(home.page);
        let run = if first.is_run() { self.run(catalog, entry) } else { 0..0 };
        let run = self.order[run].iter().map(|page| &self.page(*page).text).map(|text| (text, 0..text.len()));
        let shared = (!first.is_run()).then(|| (&first.text, first.text.range(first.slot_of(entry, home.slot))));
        shared.into_iter().chain(run)
    }

    /// The groups that have an entry of a family whose header stands, in order.
    pub fn groups_of<'a>(&'a self, catalog: &'a Catalog, family: FamilyId) -> impl Iterator<Item = GroupId> + 'a {
        let at = self.lower_bound(catalog, Entry::header(family));
        // The header may be inside the page before that place.
        let slots = self.order[at.saturating_sub(1)..].iter().flat_map(|page| &self.page(*page).slots);
        let entries = slots.copied().skip_while(move |entry| entry.family != family);
        let groups = entries.take_while(move |entry| entry.family == family).map(|entry| entry.group);
        // A run has its group in each of its pages.
        let mut last = GroupId::HEADER;
        groups.filter(move |group| std::mem::replace(&mut last, *group) != *group)
    }

    /// The groups that have an entry of a family whose header stands, after one of this key, in order; all of them if there is
    /// none.
    pub fn groups_after<'a>(
        &'a self,
        catalog: &'a Catalog,
        family: FamilyId,
        key: Option<&GroupKey>,
    ) -> impl Iterator<Item = GroupId> + use<'a> {
        let is_after = |entry: &Entry| match key {
            Some(key) => catalog.compare_key(*entry, family, key).is_gt(),
            None => !catalog.compare(*entry, Entry::header(family)).is_lt(),
        };
        let at = self.order.partition_point(|page| !is_after(&self.page(*page).slots[0]));
        // Such an entry may be inside the page before that place.
        let before = at.checked_sub(1).map_or(&[][..], |at| &self.page(self.order[at]).slots);
        let slots = before[before.partition_point(|entry| !is_after(entry))..].iter();
        let slots = slots.chain(self.order[at..].iter().flat_map(|page| &self.page(*page).slots));
        let entries = slots.copied().take_while(move |entry| entry.family == family);
        entries.map(|entry| entry.group).filter(|group| *group != GroupId::HEADER)
    }

    /// The lines of a family whose header stands, the gateway's own left out, held alive, in order: a piece of whole lines
    /// for each page. Looks at every page of the family, at none of its lines.
    pub fn pushed_lines(&self, catalog: &Catalog, family: FamilyId) -> impl Iterator<Item = Piece> {
        let at = self.lower_bound(catalog, Entry::header(family));
        // The header may be inside the page before that place.
        let pages = self.order[at.saturating_sub(1)..].iter().map(|page| self.page(*page));
        let is_its = move |entry: &Entry| entry.family == family;
        let pages = pages.skip_while(move |page| !page.slots.iter().any(is_its));
        let pages = pages.take_while(move |page| page.slots.iter().any(is_its));
        pages.filter(|page| page.kind != PageKind::Own).filter_map(move |page| {
            let is_line = |entry: &Entry| is_its(entry) && entry.group != GroupId::HEADER;
            let first = page.slots.iter().position(is_line)?;
            let last = page.slots.iter().rposition(is_line)?;
            let range = page.text.range(first).start..page.text.range(last).end;
            Some(Piece { text: Rc::clone(&page.text), range })
        })
    }

    /// Reads what writing over these entries will read: who stands there, and both ends of the text. A push touches as many
    /// far-apart places as it has families; reading them in one tight loop lets the processor wait for all of them at once
    /// instead of for one after the other.
    pub fn warm(&self, homes: impl Iterator<Item = Home>) {
        let bytes = |home: Home| {
            let (page, slot) = (self.page(home.page), usize::from(home.slot));
            let family = page.slots.get(slot).map_or(0, |entry| entry.family.0);
            let end = |slot: usize| page.text.starts().get(slot).map_or(0, |start| usize::from(*start));
            let byte = |at: usize| page.text.get(at).copied().unwrap_or_default();
            family ^ u32::from(byte(end(slot)) ^ byte(end(slot + 1).wrapping_sub(1)))
        };
        black_box(homes.fold(0, |sum, home| sum ^ bytes(home)));
    }

    /// Writes an entry: in the place of its old text if it has any, else where the catalog's order wants it.
    pub fn put(&mut self, catalog: &mut Catalog, entry: Entry, text: EntryText<'_>) {
        self.put_at(catalog, entry, catalog.home(entry), text);
    }

    /// The same for an entry of which it is known where it stands.
    pub fn put_at(&mut self, catalog: &mut Catalog, entry: Entry, home: Option<Home>, text: EntryText<'_>) {
        if let Some(home) = home {
            if let EntryText::Shared(bytes) = &text
                && self.replace(catalog, entry, home, bytes)
            {
                return;
            }
            self.remove(catalog, entry);
        }
        match text {
            EntryText::Shared(bytes) if bytes.len() <= ENTRY_SHARED_BYTES_MAX || catalog.is_own(entry) => {
                self.insert_shared(catalog, entry, bytes);
            }
            EntryText::Shared(bytes) => self.insert_run(catalog, entry, cut(bytes)),
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
        let bytes = page.text.range(slot).len();
        let after = page.text.len() - bytes;
        // The place in the order is found by the page's first entry, so it is looked up before that may go.
        let at = (after < PAGE_SPARSE_BYTES).then(|| self.lower_bound(catalog, page.slots[0]));
        self.bytes -= bytes as u64;
        let page = &mut self.arena[home.page.0 as usize];
        if page.slots.len() > 1 {
            page.text_mut(&self.replaced).remove(slot);
            page.slots.remove(slot);
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
        let range = page.text.range(slot);
        if page.text[range.clone()] == *bytes {
            return true; // The page stays clean: neither copied nor compressed again.
        }
        if page.text.len() - range.len() + bytes.len() > PAGE_BYTES {
            return false;
        }
        page.text_mut(&self.replaced).replace(slot, bytes);
        self.bytes = self.bytes - range.len() as u64 + bytes.len() as u64;
        true
    }

    fn insert_shared(&mut self, catalog: &mut Catalog, entry: Entry, bytes: &[u8]) {
        let kind = if catalog.is_own(entry) { PageKind::Own } else { PageKind::Pushed };
        let at = self.lower_bound(catalog, entry);
        let before = at.checked_sub(1).map(|at| self.order[at]);
        if let Some(page_id) = before.filter(|page| self.page(*page).kind == kind) {
            let page = self.page(page_id);
            let slot = page.slots.partition_point(|slot| catalog.compare(*slot, entry) == Ordering::Less);
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
                let text = PageText::new(Vec::new(), kind == PageKind::Own);
                let page = self.add_page(text, Vec::new(), kind);
                self.order.insert(at, page);
                self.insert_at(catalog, page, 0, entry, bytes);
            }
        }
    }

    fn insert_at(&mut self, catalog: &mut Catalog, id: PageId, slot: usize, entry: Entry, bytes: &[u8]) {
        let page = &mut self.arena[id.0 as usize];
        page.text_mut(&self.replaced).insert(slot, bytes);
        page.insert_slot(slot, entry);
        self.bytes += bytes.len() as u64;
        catalog.set_home(entry, Some(Home { page: id, slot: slot as u16 }));
    }

    /// Splits the full page at place `at`, then inserts into the part that `slot` is in: in the middle of its text, or
    /// behind the last insertion if the entry goes there, which leaves pages full behind entries that come in order.
    fn split_and_insert(&mut self, catalog: &mut Catalog, at: usize, slot: usize, entry: Entry, bytes: &[u8]) {
        let id = self.order[at];
        let page = self.page(id);
        let middle = page.text.len() / 2;
        let is_in_order = slot == usize::from(page.last_insertion) + 1;
        let in_middle = || page.text.starts().partition_point(|start| usize::from(*start) < middle);
        let cut = if is_in_order { slot } else { in_middle() };
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
        let slots = page.slots.split_off(cut);
        page.slots.shrink_to(cut + cut / 8);
        let text = page.text_mut(&self.replaced).split_off(cut);
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
        let moved_from = page.slots.len();
        page.text_mut(&self.replaced).append(&right.text);
        self.replaced.release(right.text);
        page.slots.extend(right.slots);
        self.rehome(catalog, id, moved_from);
    }

    fn rehome(&self, catalog: &mut Catalog, id: PageId, from_slot: usize) {
        for (at, slot) in self.page(id).slots.iter().enumerate().skip(from_slot) {
            catalog.set_home(*slot, Some(Home { page: id, slot: at as u16 }));
        }
    }

    // ---- runs ----

    fn insert_run(&mut self, catalog: &mut Catalog, entry: Entry, pieces: Vec<Vec<u8>>) {
        let at = self.lower_bound(catalog, entry);
        self.split_before(catalog, at, entry);
        self.bytes += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let mut add = |text| self.add_page(PageText::new(text, false), vec![entry], PageKind::Run);
        let ids: Vec<_> = pieces.into_iter().map(&mut add).collect();
        let home = Home { page: ids[0], slot: 0 };
        self.order.splice(at..at, ids);
        catalog.set_home(entry, Some(home));
    }

    /// Cuts the page before place `at` in two if it holds entries from both sides of `entry`.
    fn split_before(&mut self, catalog: &mut Catalog, at: usize, entry: Entry) {
        let Some(before) = at.checked_sub(1) else { return };
        let page = self.page(self.order[before]);
        let cut = page.slots.partition_point(|slot| catalog.compare(*slot, entry) == Ordering::Less);
        if cut < page.slots.len() {
            self.split(catalog, before, cut);
        }
    }

    fn remove_run(&mut self, catalog: &Catalog, entry: Entry) {
        let run = self.run(catalog, entry);
        for page in &self.order[run.clone()] {
            self.bytes -= self.page(*page).text.len() as u64;
        }
        self.drop_pages(run.start, run.len());
    }

    /// Where the pages of a long entry are in the order; empty if it is none.
    fn run(&self, catalog: &Catalog, entry: Entry) -> Range<usize> {
        let at = self.lower_bound(catalog, entry);
        let is_its = |page: &&PageId| self.page(**page).is_run() && self.page(**page).slots[0] == entry;
        at..at + self.order[at..].iter().take_while(is_its).count()
    }

    /// Gives up the compressed form of a long entry, where nobody is reading it.
    pub fn forget_compressed(&mut self, catalog: &Catalog, entry: Entry) {
        for page in &self.order[self.run(catalog, entry)] {
            if let Some(text) = Rc::get_mut(&mut self.arena[page.0 as usize].text) {
                text.forget_compressed();
            }
        }
    }

    // ---- order ----

    fn page(&self, id: PageId) -> &Page {
        &self.arena[id.0 as usize]
    }

    fn add_page(&mut self, text: PageText, slots: Vec<Entry>, kind: PageKind) -> PageId {
        let text = Rc::new(text);
        PageId(self.arena.insert(Page { text, slots, kind, last_insertion: 0 }) as u32)
    }

    fn drop_pages(&mut self, at: usize, len: usize) {
        for page in self.order.drain(at..at + len) {
            self.replaced.release(self.arena.remove(page.0 as usize).text);
        }
    }

    /// The place in the order of the first page whose first entry is not before `entry`.
    fn lower_bound(&self, catalog: &Catalog, entry: Entry) -> usize {
        self.order.partition_point(|page| catalog.compare(self.page(*page).slots[0], entry) == Ordering::Less)
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
            assert!(!page.slots.is_empty() && page.slots.len() == page.text.starts().len());
            assert!(page.is_run() || page.text.len() <= PAGE_BYTES);
            page.text.verify();
            bytes += page.text.len() as u64;
            for (at, slot) in page.slots.iter().enumerate() {
                assert_eq!(page.text[page.text.range(at).end - 1], b'\n');
                let is_next = last.is_some_and(|(entry, is_run)| is_run && page.is_run() && entry == *slot);
                if !is_next {
                    let home = catalog.home(*slot).expect("a stored entry has a home");
                    assert_eq!(home.page, *id);
                    let order = last.map(|(last, _)| catalog.compare(last, *slot));
                    assert!(order.is_none_or(|order| order == Ordering::Less));
                }
                assert_eq!(catalog.is_own(*slot), page.kind == PageKind::Own);
                last = Some((*slot, page.is_run()));
            }
        }
        assert_eq!(bytes, self.bytes);
    }
}

impl Page {
    /// The slot of an entry that is in this page, tried at `hint` first.
    fn slot_of(&self, entry: Entry, hint: u16) -> usize {
        match self.slots.get(usize::from(hint)) {
            Some(slot) if *slot == entry => usize::from(hint),
            _ => self.slots.iter().position(|slot| *slot == entry).expect("an entry is in the page of its home"),
        }
    }
}
