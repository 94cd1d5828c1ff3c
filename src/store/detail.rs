//! Details: what a metric says beyond its lines, kept as the message that said it, by series.
//!
//! Nothing here looks into a message. A store without details pays for an empty look-up.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::rc::Rc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;

use super::entry::{Entry, FamilyId};
use crate::limits::STAGING_KEPT_BYTES_MAX;
use crate::model::sample::{Detail, FamilyIx};

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

    /// What they will take when they are stored, bytes.
    pub fn size(&self) -> u64 {
        size(&self.bytes, self.items.len())
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
    fn block(&self, family: FamilyIx, entry: Entry) -> Option<Block> {
        let own = self.of(family);
        let bytes = own.iter().map(|(_, item)| item.labels.len() + item.message.len()).sum();
        let (items, bytes) = (Vec::with_capacity(own.len()), Vec::with_capacity(bytes));
        let mut block = Block { entry, items, bytes, series: 0 };
        for (_, item) in own {
            let (labels, message) = (&self.bytes[item.labels.clone()], &self.bytes[item.message.clone()]);
            block.items.push(append(&mut block.bytes, labels, Detail { message, series: item.series }));
            block.series += item.series;
        }
        (!block.items.is_empty()).then_some(block)
    }
}

/// What so many details take, bytes: text, places, and their part of the table.
fn size(bytes: &[u8], items: usize) -> u64 {
    (bytes.len() + items * (size_of::<Item>() + 2 * size_of::<Place>())) as u64
}

fn append(bytes: &mut Vec<u8>, labels: &[u8], Detail { message, series }: Detail<'_>) -> Item {
    let start = bytes.len();
    bytes.extend_from_slice(labels);
    let middle = bytes.len();
    bytes.extend_from_slice(message);
    Item { labels: start..middle, message: middle..bytes.len(), series }
}

/// The details of one family in one group.
#[derive(Debug)]
pub struct Block {
    entry: Entry,
    items: Vec<Item>,
    bytes: Vec<u8>,
    /// How many series all of them count beside their lines.
    series: u64,
}

impl Block {
    /// Label sets and messages, in the order pushed.
    pub fn items(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.items.iter().map(|item| (&self.bytes[item.labels.clone()], &self.bytes[item.message.clone()]))
    }

    fn size(&self) -> u64 {
        size(&self.bytes, self.items.len())
    }

    fn labels(&self, item: u32) -> &[u8] {
        &self.bytes[self.items[item as usize].labels.clone()]
    }
}

/// One detail in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    block: u32,
    item: u32,
}

/// All details that are stored.
#[derive(Debug, Default)]
pub struct Details {
    blocks: Slab<Rc<Block>>,
    by_entry: HashMap<Entry, u32>,
    /// By family and label set.
    by_series: HashTable<Place>,
    hasher: RandomState,
    /// What the blocks are counted with.
    bytes: u64,
    /// How many series they count beside lines.
    series: u64,
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
        self.by_entry.get(&entry).map_or(0, |at| self.blocks[*at as usize].size())
    }

    /// How many series they count beside the lines of their metrics: native buckets and spans.
    pub fn series(&self) -> u64 {
        self.series
    }

    /// How many of these are those of an entry.
    pub fn series_of(&self, entry: Entry) -> u64 {
        self.by_entry.get(&entry).map_or(0, |at| self.blocks[*at as usize].series)
    }

    /// The blocks alone, to be freed one by one.
    pub fn into_blocks(self) -> Slab<Rc<Block>> {
        self.blocks
    }

    /// The detail of a series.
    pub fn find(&self, family: FamilyId, labels: &[u8]) -> Option<&[u8]> {
        let is_it = |place: &Place| {
            let block = &self.blocks[place.block as usize];
            block.entry.family == family && block.labels(place.item) == labels
        };
        let place = self.by_series.find(series_hash(&self.hasher, family, labels), is_it)?;
        let block = &self.blocks[place.block as usize];
        Some(&block.bytes[block.items[place.item as usize].message.clone()])
    }

    /// The details of an entry, held alive.
    pub fn block(&self, entry: Entry) -> Option<Rc<Block>> {
        self.by_entry.get(&entry).map(|at| Rc::clone(&self.blocks[*at as usize]))
    }

    /// Puts the details of a pushed family in the place of those that the entry had.
    pub fn replace(&mut self, entry: Entry, staged: &StagedDetails, family: FamilyIx) {
        self.remove(entry);
        let Some(block) = staged.block(family, entry) else { return };
        self.bytes += block.size();
        self.series += block.series;
        let at = self.blocks.insert(Rc::new(block)) as u32;
        self.by_entry.insert(entry, at);
        let Self { blocks, by_series, hasher, .. } = self;
        let hash_of = |place: &Place| {
            let block = &blocks[place.block as usize];
            series_hash(hasher, block.entry.family, block.labels(place.item))
        };
        for item in 0..blocks[at as usize].items.len() as u32 {
            let place = Place { block: at, item };
            by_series.insert_unique(hash_of(&place), place, hash_of);
        }
    }

    /// Forgets the details of an entry.
    pub fn remove(&mut self, entry: Entry) {
        let Some(at) = self.by_entry.remove(&entry) else { return };
        let block = self.blocks.remove(at as usize);
        self.bytes -= block.size();
        self.series -= block.series;
        for item in 0..block.items.len() as u32 {
            let hash = series_hash(&self.hasher, entry.family, block.labels(item));
            match self.by_series.find_entry(hash, |place| *place == Place { block: at, item }) {
                Ok(found) => drop(found.remove()),
                Err(_) => unreachable!("every detail is found by its series"),
            }
        }
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl Details {
    /// Panics if they were counted wrong.
    pub fn verify(&self) {
        assert_eq!(self.bytes, self.blocks.iter().map(|(_, block)| block.size()).sum::<u64>());
        let series = self.blocks.iter().flat_map(|(_, block)| &block.items).map(|item| item.series);
        assert_eq!(self.series, series.sum::<u64>());
    }
}

fn series_hash(hasher: &RandomState, family: FamilyId, labels: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(labels);
    hasher.write_u32(family.0);
    hasher.finish()
}
