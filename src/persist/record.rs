//! The form in which one group is kept: everything that the store knows of it, with a version and a checksum.
//!
//! ```text
//! record:  version (1 byte) | CRC-32C of key and blocks (4) | block ...
//! block:   length before compression | length behind it | snappy
//! body:    flags | push times | when they were written | why one failed | families: name, kind, help, metrics, time, notes, details, lines
//! ```
//! The labels are the key under which the database keeps the record. Numbers are LEB128 unless a size is given. Lines
//! repeat themselves: snappy leaves about a quarter of them, at a speed that the loop can afford.

use std::fmt;

use crate::limits::{RECORD_BLOCK_BYTES, RECORD_FAMILIES_PER_STEP};
use crate::model::sample::{Detail, Kind};
use crate::model::time::Timestamp;
use crate::store::{
    FamilyId, FamilyView, GroupKey, GroupView, LineNote, PushTime, RESERVED_NAMES, Remark, Store, StoredFamily,
    StoredGroup,
};

/// What this program writes, and all that it reads.
const VERSION: u8 = 1;

/// Version and checksum.
const HEAD_BYTES: usize = 5;

const QUOTED_NAMES: u8 = 1;

/// What stands in front of a family's help text: whether there is one, and whether it is the one that is shown.
const NO_HELP: u8 = 0;
const OTHER_HELP: u8 = 1;
const SHOWN_HELP: u8 = 2;

const KINDS: [Kind; 6] =
    [Kind::Counter, Kind::Gauge, Kind::Summary, Kind::Untyped, Kind::Histogram, Kind::GaugeHistogram];

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// A later program wrote it, with this version.
    Newer(u8),
    /// Its bytes are not those that were written.
    Damaged,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(version) => write!(f, "a record has version {version}, and this program reads {VERSION}"),
            Self::Damaged => f.write_str("the checksum or form of a record does not hold"),
        }
    }
}

impl std::error::Error for RecordError {}

// ---- writing ----

/// Writes records, a bounded piece at a time. Reused for its memory.
pub struct Encoder {
    open: Option<Open>,
    /// Where the record starts in the output.
    start: usize,
    block: Vec<u8>,
    snappy: snap::raw::Encoder,
}

/// The group whose record is under way.
#[derive(Debug)]
struct Open {
    key: GroupKey,
    /// Where further families are to be asked for, if the group is large; it must not change meanwhile.
    next: Option<FamilyId>,
    /// Families that are still to be written, as they were when they were asked for.
    families: std::vec::IntoIter<FamilyView>,
    family: Option<(FamilyView, Part)>,
}

/// What of a family is written next.
#[derive(Clone, Copy, Debug)]
enum Part {
    Head,
    /// One of its details.
    Detail(usize),
    /// The length of its lines.
    Length,
    /// A piece of its lines.
    Piece(usize),
}

impl Default for Encoder {
    fn default() -> Self {
        Self { open: None, start: 0, block: Vec::new(), snappy: snap::raw::Encoder::new() }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Encoder {
    /// Starts the record of a group at the end of `out`.
    pub fn begin(&mut self, group: &GroupView<'_>, out: &mut Vec<u8>) {
        self.start = out.len();
        out.extend_from_slice(&[VERSION, 0, 0, 0, 0]);
        self.block.clear();
        self.block.push(if group.has_quoted_names() { QUOTED_NAMES } else { 0 });
        for time in [group.pushed(), group.failed()] {
            put_time(&mut self.block, time);
        }
        let (families, next) = if group.is_large() {
            group.families_from(FamilyId(0), RECORD_FAMILIES_PER_STEP)
        } else {
            (group.families(), None)
        };
        for name in RESERVED_NAMES {
            let family = families.iter().find(|family| family.name() == name);
            put_time(&mut self.block, family.map_or(Timestamp::default(), FamilyView::written));
        }
        put_bytes(&mut self.block, group.failure().unwrap_or_default().as_bytes());
        put_number(&mut self.block, group.family_count() as u64);
        self.open = Some(Open { key: group.key().clone(), next, families: families.into_iter(), family: None });
    }

    /// Whether a record is under way.
    pub fn is_busy(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the record of a group is under way that is written from the store as it is, so that it must not change.
    pub fn is_reading(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.next.is_some())
    }

    /// Goes on with the record, until it is complete or about `budget` bytes are encoded, which are taken from it;
    /// whether it is complete.
    pub fn advance(&mut self, store: &Store, out: &mut Vec<u8>, budget: &mut usize) -> bool {
        let Some(mut open) = self.open.take() else { return true };
        while *budget > 0 {
            let before = self.block.len() + out.len();
            let Some((family, part)) = open.family.take() else {
                if let Some(family) = open.families.next() {
                    open.family = (!family.is_reserved()).then_some((family, Part::Head));
                } else if let Some(next) = open.next {
                    let group = store.group(&open.key);
                    let families = group.map(|group| group.families_from(next, RECORD_FAMILIES_PER_STEP));
                    let (families, next) = families.unwrap_or_default();
                    (open.families, open.next) = (families.into_iter(), next);
                } else {
                    self.end(open.key.as_bytes(), out);
                    return true;
                }
                *budget = budget.saturating_sub(64);
                continue;
            };
            open.family = self.put_part(&family, part, out).map(|part| (family, part));
            // What is compressed counts less; it was counted when it came into the block.
            *budget = budget.saturating_sub((self.block.len() + out.len()).saturating_sub(before).max(64));
        }
        self.open = Some(open);
        false
    }

    fn end(&mut self, key: &[u8], out: &mut Vec<u8>) {
        self.end_block(out);
        let checksum = checksum(key, &out[self.start + HEAD_BYTES..]);
        out[self.start + 1..self.start + HEAD_BYTES].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Writes a part of a family; what comes next of it.
    fn put_part(&mut self, family: &FamilyView, part: Part, out: &mut Vec<u8>) -> Option<Part> {
        match part {
            Part::Head => {
                self.put_family_head(family, out);
                Some(Part::Detail(0))
            }
            Part::Detail(at) => {
                let Some((labels, message)) = family.detail(at) else { return Some(Part::Length) };
                for bytes in [labels, message] {
                    let mut length = Vec::new();
                    put_number(&mut length, bytes.len() as u64);
                    self.put(&length, out);
                    self.put(bytes, out);
                }
                Some(Part::Detail(at + 1))
            }
            Part::Length => {
                let mut length = Vec::new();
                put_number(&mut length, family.texts().map(|piece| piece.len() as u64).sum());
                self.put(&length, out);
                Some(Part::Piece(0))
            }
            Part::Piece(at) => {
                self.put(family.text_at(at)?, out);
                Some(Part::Piece(at + 1))
            }
        }
    }

    fn put_family_head(&mut self, family: &FamilyView, out: &mut Vec<u8>) {
        let mut head = Vec::with_capacity(128);
        put_bytes(&mut head, family.name().as_bytes());
        head.push(KINDS.iter().position(|kind| *kind == family.kind()).unwrap_or_default() as u8);
        match family.help() {
            None => head.push(NO_HELP),
            Some(help) => {
                head.push(if family.is_help_shown() { SHOWN_HELP } else { OTHER_HELP });
                put_bytes(&mut head, help);
            }
        }
        put_number(&mut head, u64::from(family.metrics()));
        put_time(&mut head, family.written());
        put_number(&mut head, family.notes().len() as u64);
        for LineNote { line, remark } in family.notes() {
            put_number(&mut head, u64::from(*line));
            head.push(u8::from(*remark == Remark::AddedInfinity));
        }
        put_number(&mut head, family.details().count() as u64);
        self.put(&head, out);
    }

    fn put(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while self.block.len() + rest.len() > RECORD_BLOCK_BYTES {
            let (fitting, behind) = rest.split_at(RECORD_BLOCK_BYTES - self.block.len());
            self.block.extend_from_slice(fitting);
            self.end_block(out);
            rest = behind;
        }
        self.block.extend_from_slice(rest);
    }

    fn end_block(&mut self, out: &mut Vec<u8>) {
        put_number(out, self.block.len() as u64);
        // Both lengths take at most three bytes; the second is known only behind the compression.
        let (at, bytes_max) = (out.len(), snap::raw::max_compress_len(self.block.len()));
        out.resize(at + 3 + bytes_max, 0);
        let bytes = self.snappy.compress(&self.block, &mut out[at + 3..]);
        let bytes = bytes.expect("the output has the room that snappy asks for");
        out[at..at + 3].copy_from_slice(&(bytes as u32).to_le_bytes()[..3]);
        out.truncate(at + 3 + bytes);
        self.block.clear();
    }
}

fn checksum(key: &[u8], blocks: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), blocks)
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    out.extend_from_slice(&time.0.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

// ---- reading ----

/// Checks a record and takes it out of its blocks, to be read by [`parse`].
pub fn unpack(key: &[u8], record: &[u8]) -> Result<Vec<u8>, RecordError> {
    let Some((&version, rest)) = record.split_first() else { return Err(RecordError::Damaged) };
    if version > VERSION {
        return Err(RecordError::Newer(version));
    }
    let (stated, blocks) = rest.split_first_chunk::<4>().ok_or(RecordError::Damaged)?;
    if version != VERSION || checksum(key, blocks) != u32::from_le_bytes(*stated) {
        return Err(RecordError::Damaged);
    }
    unpack_blocks(blocks).ok_or(RecordError::Damaged)
}

fn unpack_blocks(blocks: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let mut rest = Cursor(blocks);
    let mut snappy = snap::raw::Decoder::new();
    while !rest.0.is_empty() {
        let bytes = usize::try_from(rest.number()?).ok().filter(|bytes| *bytes <= RECORD_BLOCK_BYTES)?;
        let [a, b, c] = *rest.chunk::<3>()?;
        let packed = rest.take(u32::from_le_bytes([a, b, c, 0]) as usize)?;
        let start = body.len();
        body.resize(start + bytes, 0);
        let unpacked = snappy.decompress(packed, &mut body[start..]).ok()?;
        if unpacked != bytes {
            return None;
        }
    }
    Some(body)
}

/// Gives how many series the message of a metric of this kind counts beside the lines of the metric.
pub type SeriesOf = fn(Kind, &[u8]) -> u64;

/// Reads what [`unpack`] took out. Nothing here knows messages: `series_of` does.
pub fn parse<'a>(key: &[u8], body: &'a [u8], series_of: SeriesOf) -> Result<StoredGroup<'a>, RecordError> {
    let group = || {
        let key = GroupKey::from_bytes(key)?;
        let mut rest = Cursor(body);
        let flags = rest.byte()?;
        let values = [rest.time()?, rest.time()?];
        let written = [rest.time()?, rest.time()?];
        let [pushed, failed] = [0, 1].map(|at| PushTime { value: values[at], written: written[at] });
        let failure = Some(str::from_utf8(rest.bytes()?).ok()?).filter(|failure| !failure.is_empty());
        let count = rest.count()?;
        let families = (0..count).map(|_| rest.family(series_of)).collect::<Option<Vec<_>>>()?;
        let has_quoted_names = flags & QUOTED_NAMES != 0;
        let group = StoredGroup { key, pushed, failed, failure, has_quoted_names, families };
        (rest.0.is_empty() && flags <= QUOTED_NAMES).then_some(group)
    };
    group().ok_or(RecordError::Damaged)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.chunk::<1>().map(|byte| byte[0])
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// How many things follow: no more than there are bytes, so that memory for them can be had at once.
    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= self.0.len())
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let bytes = self.count()?;
        self.take(bytes)
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.chunk::<8>().map(|bytes| Timestamp(i64::from_le_bytes(*bytes)))
    }

    fn family(&mut self, series_of: SeriesOf) -> Option<StoredFamily<'a>> {
        let name = str::from_utf8(self.bytes()?).ok()?;
        let kind = *KINDS.get(usize::from(self.byte()?))?;
        let (help, is_help_shown) = match self.byte()? {
            NO_HELP => (None, false),
            OTHER_HELP => (Some(self.bytes()?), false),
            SHOWN_HELP => (Some(self.bytes()?), true),
            _ => return None,
        };
        let metrics = u32::try_from(self.number()?).ok()?;
        let written = self.time()?;
        let notes = (0..self.count()?).map(|_| self.note()).collect::<Option<Vec<_>>>()?;
        let details = (0..self.count()?).map(|_| self.detail(kind, series_of)).collect::<Option<Vec<_>>>()?;
        let text = self.bytes()?;
        let is_whole = text.last().is_none_or(|last| *last == b'\n');
        is_whole.then_some(StoredFamily { name, kind, help, is_help_shown, metrics, written, notes, details, text })
    }

    fn detail(&mut self, kind: Kind, series_of: SeriesOf) -> Option<(&'a [u8], Detail<'a>)> {
        let (labels, message) = (self.bytes()?, self.bytes()?);
        Some((labels, Detail { message, series: series_of(kind, message) }))
    }

    fn note(&mut self) -> Option<LineNote> {
        let line = u32::try_from(self.number()?).ok()?;
        let remark = match self.byte()? {
            0 => Remark::NegativeZero,
            1 => Remark::AddedInfinity,
            _ => return None,
        };
        Some(LineNote { line, remark })
    }
}

#[cfg(test)]
pub mod tests;
