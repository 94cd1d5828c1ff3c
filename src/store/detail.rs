//! Details: what a metric says beyond its lines, kept as the message that said it.
//!
//! The details of one family in one group are a *block*. Blocks stand in the order of the exposition, in shelves of some
//! dozens that are copied when one of them changes while a reader has it: so a reader keeps the details of its moment, and
//! finds them by going along, as they come in the order of the lines. Nothing here looks into a message. A store without
//! details pays for an empty look-up.

use std::cmp::Ordering;
use std::collections::{HashMap, hash_map};
use std::ops::Range;
use std::rc::Rc;
use std::vec;

use foldhash::fast::RandomState;

use super::catalog::Catalog;
use super::entry::Entry;
use super::text::{Meter, Replaced};
use crate::limits::{DETAIL_BLOCK_BYTES, DETAIL_BLOCKS_PER_SHELF_MAX, STAGING_KEPT_BYTES_MAX};
use crate::model::mark::Mark;
use crate::model::sample::{Detail, FamilyIx, Kind};

/// The details of one push.
#[derive(Debug, Default)]
pub struct StagedDetails {
    items: Vec<(FamilyIx, Item)>,
    /// Label sets and messages.
    bytes: Vec<u8>,
    /// How many series all of them count beside their lines.
    series: u64,
}

/// One detail, as places in a buffer.
#[derive(Clone, Debug)]
struct Item {
    labels: Range<usize>,
    message: Range<usize>,
    /// How many series it counts beside the lines of its metric.
    series: u64,
}

impl StagedDetails {
    /// Adds one.
    pub fn add(&mut self, family: FamilyIx, labels: &[u8], detail: Detail<'_>) {
        let item = append(&mut self.bytes, labels, detail);
        self.items.push((family, item));
        self.series += detail.series;
    }

    /// Forgets them; keeps the memory unless it was an unusual amount.
    pub fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
        self.series = 0;
        self.items.shrink_to(STAGING_KEPT_BYTES_MAX / size_of::<(FamilyIx, Item)>());
        self.bytes.shrink_to(STAGING_KEPT_BYTES_MAX);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What they will take when they are stored, bytes, without [`DETAIL_BLOCK_BYTES`] for each family that has a block.
    pub fn size(&self) -> u64 {
        size(&self.bytes, self.items.len())
    }

    /// What one family takes when it is stored in a block, bytes: 0 if it needs none.
    pub fn block_size(&self, family: FamilyIx, kind: Kind) -> u64 {
        if needs_block(kind, self.of(family)) { DETAIL_BLOCK_BYTES } else { 0 }
    }

    /// How many series all of them count beside their lines.
    pub fn series(&self) -> u64 {
        self.series
    }

    /// How many of these are those of one family.
    pub fn series_of(&self, family: FamilyIx) -> u64 {
        self.of(family).iter().map(|(_, item)| item.series).sum()
    }

    /// The details of one family. The families of a whole body come one after the other, so its items are neighbours.
    fn of(&self, family: FamilyIx) -> &[(FamilyIx, Item)] {
        let start = self.items.partition_point(|(found, _)| *found < family);
        let len = self.items[start..].partition_point(|(found, _)| *found == family);
        &self.items[start..start + len]
    }

    /// The details of one family as one block, which takes no more memory than it is counted with.
    fn block(&self, family: FamilyIx, head: BlockHead) -> Option<Block> {
        let own = self.of(family);
        if !needs_block(head.kind, own) {
            return None;
        }
        let bytes = own.iter().map(|(_, item)| item.labels.len() + item.message.len()).sum();
        let (items, bytes) = (Vec::with_capacity(own.len()), Vec::with_capacity(bytes));
        let mut block = Block { head, items, bytes, series: 0, replaced: Replaced::default() };
        for (_, item) in own {
            let (labels, message) = (&self.bytes[item.labels.clone()], &self.bytes[item.message.clone()]);
            block.items.push(append(&mut block.bytes, labels, Detail { message, series: item.series }));
            block.series += item.series;
        }
        Some(block)
    }
}

/// Whether a family has a block: it has details, or is of a kind that its text does not show.
fn needs_block(kind: Kind, details: &[(FamilyIx, Item)]) -> bool {
    kind == Kind::GaugeHistogram || !details.is_empty()
}

/// What so many details take, bytes: text and places.
fn size(bytes: &[u8], items: usize) -> u64 {
    (bytes.len() + size_of::<Item>() * items) as u64
}

fn append(bytes: &mut Vec<u8>, labels: &[u8], Detail { message, series }: Detail<'_>) -> Item {
    let start = bytes.len();
    bytes.extend_from_slice(labels);
    let middle = bytes.len();
    bytes.extend_from_slice(message);
    Item { labels: start..middle, message: middle..bytes.len(), series }
}

/// Whose details a block has.
#[derive(Clone, Debug)]
struct BlockHead {
    entry: Entry,
    /// The name of the family, unescaped.
    family: Rc<str>,
    kind: Kind,
}

/// The details of one family in one group.
#[derive(Debug)]
pub struct Block {
    head: BlockHead,
    items: Vec<Item>,
    bytes: Vec<u8>,
    /// How many series all of them count beside their lines.
    series: u64,
    replaced: Replaced,
}

impl Block {
    /// Label sets and messages, in the order pushed.
    pub fn items(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.items.len()).filter_map(|at| self.item(at))
    }

    /// Label set and message of the detail at a place.
    pub fn item(&self, at: usize) -> Option<(&[u8], &[u8])> {
        let item = self.items.get(at)?;
        Some((&self.bytes[item.labels.clone()], &self.bytes[item.message.clone()]))
    }

    fn size(&self) -> u64 {
        DETAIL_BLOCK_BYTES + size(&self.bytes, self.items.len())
    }

    /// To be called once the store has let go of it.
    fn release(self: Rc<Self>, meter: &Meter) {
        if Rc::strong_count(&self) > 1 {
            self.replaced.count(self.size() as usize, meter);
        }
    }
}

/// Some blocks, in order; never empty.
type Shelf = Rc<Vec<Rc<Block>>>;

/// All details that are stored.
#[derive(Debug, Default)]
pub struct Details {
    by_entry: HashMap<Entry, Rc<Block>, RandomState>,
    shelves: Vec<Shelf>,
    /// What the blocks are counted with.
    bytes: u64,
    /// How many series they count beside lines.
    series: u64,
}

/// The details as they were at one moment.
#[derive(Clone, Debug, Default)]
pub struct KeptDetails(Vec<Shelf>);

impl KeptDetails {
    /// The kind of a family that has details, or is of a kind that its text does not show. The families that are asked for
    /// come in order.
    pub fn kind(&self, mark: &mut Mark, family: &str) -> Option<Kind> {
        self.block(mark, family, false).map(|block| block.head.kind)
    }

    /// The message of a metric that has one. The metrics that are asked for come in the order of the exposition, each once.
    pub fn message(&self, mark: &mut Mark, family: &str, labels: &[u8]) -> Option<&[u8]> {
        let block = self.block(mark, family, true)?;
        let (found, message) = block.item(mark.item)?;
        (found == labels).then(|| {
            mark.item += 1;
            message
        })
    }

    /// The first block from the mark on, if it is of this family; with `has_more`, the first one with a detail that the
    /// mark has not passed.
    fn block(&self, mark: &mut Mark, family: &str, has_more: bool) -> Option<&Rc<Block>> {
        loop {
            let shelf = self.0.get(mark.shelf)?;
            let Some(block) = shelf.get(mark.block) else {
                *mark = Mark { shelf: mark.shelf + 1, ..Mark::default() };
                continue;
            };
            match (*block.head.family).cmp(family) {
                Ordering::Less => {}
                Ordering::Equal if has_more && mark.item >= block.items.len() => {}
                Ordering::Equal => return Some(block),
                Ordering::Greater => return None,
            }
            *mark = Mark { block: mark.block + 1, item: 0, ..*mark };
        }
    }

    /// Memory that it holds beside what is stored, bytes.
    pub fn held_bytes(&self) -> usize {
        size_of_val(&*self.0)
    }

    /// Lets go of the details, keeping the memory of the list.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// What is left of details that were wiped, to be freed in steps.
#[derive(Debug)]
pub struct DiscardedDetails {
    shelves: vec::IntoIter<Shelf>,
    blocks: hash_map::IntoValues<Entry, Rc<Block>>,
}

impl DiscardedDetails {
    /// Frees some; whether there was something.
    pub fn free_one(&mut self, replaced: &Meter) -> bool {
        self.shelves.next().is_some() || self.blocks.next().map(|block| block.release(replaced)).is_some()
    }
}

impl Details {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_entry.is_empty()
    }

    /// What they take, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What those of an entry take, bytes.
    pub fn bytes_of(&self, entry: Entry) -> u64 {
        self.by_entry.get(&entry).map_or(0, |block| block.size())
    }

    /// How many series they count beside the lines of their metrics: native buckets and spans.
    pub fn series(&self) -> u64 {
        self.series
    }

    /// How many of these are those of an entry.
    pub fn series_of(&self, entry: Entry) -> u64 {
        self.by_entry.get(&entry).map_or(0, |block| block.series)
    }

    /// Takes it apart, to be freed in steps.
    pub fn into_parts(self) -> DiscardedDetails {
        DiscardedDetails { shelves: self.shelves.into_iter(), blocks: self.by_entry.into_values() }
    }

    /// The details of an entry, held alive.
    pub fn block(&self, entry: Entry) -> Option<Rc<Block>> {
        self.by_entry.get(&entry).map(Rc::clone)
    }

    /// All details as they are now.
    pub fn keep(&self, into: &mut KeptDetails) {
        into.0.clone_from(&self.shelves);
    }

    /// Puts the details of a pushed family of this kind in the place of those that the entry had.
    pub fn replace(
        &mut self,
        catalog: &Catalog,
        entry: Entry,
        (staged, family, kind): (&StagedDetails, FamilyIx, Kind),
        replaced: &Meter,
    ) {
        self.remove(catalog, entry, replaced);
        let head = BlockHead { entry, family: Rc::clone(&catalog.family(entry.family).name), kind };
        let Some(block) = staged.block(family, head) else { return };
        self.bytes += block.size();
        self.series += block.series;
        let block = Rc::new(block);
        self.by_entry.insert(entry, Rc::clone(&block));
        let Some(at) = self.shelf_of(catalog, entry) else { return self.shelves.push(Rc::new(vec![block])) };
        let shelf = Rc::make_mut(&mut self.shelves[at]);
        let place = shelf.partition_point(|block| catalog.compare(block.head.entry, entry).is_lt());
        shelf.insert(place, block);
        if shelf.len() > DETAIL_BLOCKS_PER_SHELF_MAX {
            let half = shelf.split_off(shelf.len() / 2);
            self.shelves.insert(at + 1, Rc::new(half));
        }
    }

    /// Forgets the details of an entry.
    pub fn remove(&mut self, catalog: &Catalog, entry: Entry, replaced: &Meter) {
        let Some(block) = self.by_entry.remove(&entry) else { return };
        self.bytes -= block.size();
        self.series -= block.series;
        let at = self.shelf_of(catalog, entry).unwrap_or_else(|| unreachable!("every block stands on a shelf"));
        let shelf = Rc::make_mut(&mut self.shelves[at]);
        shelf.retain(|found| !Rc::ptr_eq(found, &block));
        if shelf.is_empty() {
            self.shelves.remove(at);
        } else if let len = shelf.len()
            && self.shelves.get(at + 1).is_some_and(|next| len + next.len() <= DETAIL_BLOCKS_PER_SHELF_MAX / 2)
        {
            let next = self.shelves.remove(at + 1);
            Rc::make_mut(&mut self.shelves[at]).extend(next.iter().map(Rc::clone));
        }
        block.release(replaced);
    }

    /// The shelf where an entry stands or would stand: the last one that does not begin after it, or the first one.
    fn shelf_of(&self, catalog: &Catalog, entry: Entry) -> Option<usize> {
        let begins_before = |shelf: &Shelf| catalog.compare(shelf[0].head.entry, entry).is_le();
        (!self.shelves.is_empty()).then(|| self.shelves.partition_point(begins_before).saturating_sub(1))
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl Details {
    /// The message of a metric, if it has one.
    pub fn find(&self, family: &str, labels: &str) -> Option<&[u8]> {
        let blocks = self.shelves.iter().flat_map(|shelf| shelf.iter()).filter(|block| *block.head.family == *family);
        let mut items = blocks.flat_map(|block| block.items());
        items.find(|(found, _)| *found == labels.as_bytes()).map(|(_, message)| message)
    }

    /// Panics if they were counted wrong, or are out of order. `label_sets` gives the label sets of the metrics of an entry,
    /// in order, without `le` and `quantile`.
    pub fn verify(&self, catalog: &Catalog, mut label_sets: impl FnMut(Entry, Kind) -> Vec<Vec<u8>>) {
        let blocks: Vec<_> = self.shelves.iter().flat_map(|shelf| shelf.iter()).collect();
        assert_eq!(blocks.len(), self.by_entry.len());
        assert!(self.shelves.iter().all(|shelf| (1..=DETAIL_BLOCKS_PER_SHELF_MAX).contains(&shelf.len())));
        assert!(blocks.is_sorted_by(|left, right| catalog.compare(left.head.entry, right.head.entry).is_lt()));
        assert_eq!(self.bytes, blocks.iter().map(|block| block.size()).sum::<u64>());
        assert_eq!(self.series, blocks.iter().flat_map(|block| &block.items).map(|item| item.series).sum::<u64>());
        for block in blocks {
            assert!(Rc::ptr_eq(block, &self.by_entry[&block.head.entry]));
            assert_eq!(block.head.family, catalog.family(block.head.entry.family).name);
            let mut sets = label_sets(block.head.entry, block.head.kind).into_iter();
            for (labels, _) in block.items() {
                assert!(sets.any(|set| set == labels), "details stand in the order of the lines");
            }
        }
    }
}
