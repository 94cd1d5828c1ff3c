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
use crate::model::sample::FamilyIx;

/// The details of one push.
#[derive(Debug, Default)]
pub struct StagedDetails {
    items: Vec<(FamilyIx, Item)>,
    /// Label sets and messages.
    bytes: Vec<u8>,
}

/// One detail, as places in a buffer.
#[derive(Clone, Debug)]
struct Item {
    labels: Range<usize>,
    message: Range<usize>,
}

impl StagedDetails {
    /// Adds one.
    pub fn add(&mut self, family: FamilyIx, labels: &[u8], message: &[u8]) {
        let item = append(&mut self.bytes, labels, message);
        self.items.push((family, item));
    }

    /// Forgets them; keeps the memory unless it was an unusual amount.
    pub fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
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

    /// The details of one family as one block. The families of a whole body come one after the other, so its items
    /// are neighbours.
    fn block(&self, family: FamilyIx, entry: Entry) -> Option<Block> {
        let start = self.items.partition_point(|(found, _)| *found < family);
        let own = self.items[start..].iter().take_while(|(found, _)| *found == family);
        let mut block = Block { entry, items: Vec::new(), bytes: Vec::new() };
        for (_, item) in own {
            let (labels, message) = (&self.bytes[item.labels.clone()], &self.bytes[item.message.clone()]);
            block.items.push(append(&mut block.bytes, labels, message));
        }
        (!block.items.is_empty()).then_some(block)
    }
}

/// What so many details take, bytes: text, places, and their part of the table.
fn size(bytes: &[u8], items: usize) -> u64 {
    (bytes.len() + items * (size_of::<Item>() + 2 * size_of::<Place>())) as u64
}

fn append(bytes: &mut Vec<u8>, labels: &[u8], message: &[u8]) -> Item {
    let start = bytes.len();
    bytes.extend_from_slice(labels);
    let middle = bytes.len();
    bytes.extend_from_slice(message);
    Item { labels: start..middle, message: middle..bytes.len() }
}

/// The details of one family in one group.
#[derive(Debug)]
pub struct Block {
    entry: Entry,
    items: Vec<Item>,
    bytes: Vec<u8>,
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
    }
}

fn series_hash(hasher: &RandomState, family: FamilyId, labels: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(labels);
    hasher.write_u32(family.0);
    hasher.finish()
}
