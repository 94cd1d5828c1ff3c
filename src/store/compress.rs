//! The compressed form of pages: each text keeps its own deflate run, and runs one behind the other make a gzip member.
//!
//! A run (RFC 1951) refers to nothing before it and ends on a byte boundary, with a sync flush. So a change of one page
//! costs one run, and a scrape is a header, the runs as they stand, and a trailer (RFC 1952). Runs are made when
//! somebody asks; who may make how many at a time is the caller's business.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use flate2::{Compress, Compression, FlushCompress, Status};

use super::Snapshot;
use super::checksum::Checksum;
use crate::limits::{DEFLATE_LEVEL, PAGE_BYTES};

/// The beginning of a gzip member: no name, no time, an unknown system.
pub const MEMBER_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The length of [`Snapshot::member_trailer`].
pub const MEMBER_TRAILER_BYTES: usize = 10;

/// An empty final block.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// The text of a page, shared by the page and the snapshots of it.
#[derive(Debug)]
pub struct PageText {
    bytes: Vec<u8>,
    is_own: bool,
    /// Invariant: made from `bytes` as they are.
    run: OnceCell<Run>,
    /// Set once no page has this text any more, while somebody still reads it: how much that is, bytes, and where it is
    /// counted.
    replaced: OnceCell<(usize, Meter)>,
}

/// How many bytes texts hold that no page has any more. Shared by those texts, as each is let go of by whoever happens to
/// have read it last.
#[derive(Clone, Debug, Default)]
pub struct Meter(Rc<Cell<usize>>);

impl Meter {
    /// The number.
    pub fn bytes(&self) -> usize {
        self.0.get()
    }

    /// Takes note that a page lets go of a text; who reads it keeps it.
    pub(super) fn release(&self, text: Rc<PageText>) {
        if Rc::strong_count(&text) > 1 {
            let bytes = text.bytes.capacity() + text.run().map_or(0, <[u8]>::len);
            if text.replaced.set((bytes, self.clone())).is_ok() {
                self.0.set(self.0.get() + bytes);
            }
        }
    }
}

impl Drop for PageText {
    fn drop(&mut self) {
        if let Some((bytes, meter)) = self.replaced.get() {
            meter.0.set(meter.0.get() - bytes);
        }
    }
}

/// Compressed text.
#[derive(Debug)]
struct Run {
    deflated: Box<[u8]>,
    /// Of the text.
    checksum: Checksum,
}

impl PageText {
    /// A text without a run.
    pub fn new(bytes: Vec<u8>, is_own: bool) -> Self {
        Self { bytes, is_own, run: OnceCell::new(), replaced: OnceCell::new() }
    }

    /// The text, to change it; the run is dropped.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        self.run.take();
        &mut self.bytes
    }

    /// Whether these are the gateway's own lines, which change with every scrape.
    pub fn is_own(&self) -> bool {
        self.is_own
    }

    /// The deflate run, once it was made.
    pub fn run(&self) -> Option<&[u8]> {
        self.run.get().map(|run| &*run.deflated)
    }

    /// Panics if there is a run of another text.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn verify(&self) {
        let Some(run) = self.run.get() else { return };
        assert_eq!(run.checksum, Checksum::of(&self.bytes), "a run outlived its text");
    }
}

impl Deref for PageText {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Snapshot {
    /// The end of the gzip member: an empty final block, then checksum and length of the whole text.
    ///
    /// # Panics
    /// If a page has no run.
    pub fn member_trailer(&self) -> [u8; MEMBER_TRAILER_BYTES] {
        let runs = self.pieces().iter().map(|text| text.run.get().expect("the trailer comes behind the last run"));
        let checksum = runs.fold(Checksum::EMPTY, |whole, run| whole.followed_by(run.checksum));
        let mut trailer = [0; MEMBER_TRAILER_BYTES];
        trailer[..2].copy_from_slice(&LAST_BLOCK);
        trailer[2..6].copy_from_slice(&checksum.sum().to_le_bytes());
        trailer[6..].copy_from_slice(&(self.bytes() as u32).to_le_bytes()); // Modulo 2^32, as the RFC has it.
        trailer
    }
}

/// Makes runs; its working memory is used again and again.
#[derive(Default)]
pub struct Deflater {
    /// A quarter of a megabyte, so there is none before somebody asks for gzip.
    state: Option<Box<Compress>>,
    scratch: Vec<u8>,
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").finish_non_exhaustive()
    }
}

impl Deflater {
    /// Makes the run of a text, unless it has one; whether it had none.
    pub fn compress(&mut self, text: &PageText) -> bool {
        let is_new = text.run.get().is_none();
        text.run.get_or_init(|| self.run(text));
        is_new
    }

    fn run(&mut self, text: &[u8]) -> Run {
        let state = self.state.get_or_insert_with(|| Box::new(Compress::new(Compression::new(DEFLATE_LEVEL), false)));
        state.reset();
        self.scratch.clear();
        // Deflate adds five bytes to what it cannot compress, per block of a few KiB at least.
        self.scratch.reserve(text.len() + text.len() / 64 + 64);
        let status = state.compress_vec(text, &mut self.scratch, FlushCompress::Sync);
        assert!(matches!(status, Ok(Status::Ok)) && state.total_in() == text.len() as u64, "a run fits: {status:?}");
        assert!(self.scratch.len() < self.scratch.capacity() && self.scratch.ends_with(&[0, 0, 255, 255]));
        let deflated = self.scratch.as_slice().into();
        self.scratch.shrink_to(PAGE_BYTES * 2);
        Run { deflated, checksum: Checksum::of(text) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::model::sample::Kind;
    use crate::model::time::Timestamp;
    use crate::store::{Mode, Staged, Store, naive};

    fn gunzip(member: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut decoder = flate2::bufread::GzDecoder::new(member);
        decoder.read_to_end(&mut text).unwrap();
        assert!(decoder.into_inner().is_empty(), "it is one member and nothing else");
        text
    }

    #[test]
    fn runs_make_one_member() {
        let mut deflater = Deflater::default();
        let mut random = crate::random::Random::for_test(7);
        let noise: Vec<u8> = (0..300_000).map(|_| random.below(256) as u8).collect();
        let check = |texts: &[&[u8]], deflater: &mut Deflater| {
            let snapshot = Snapshot::of(texts);
            let mut member = MEMBER_HEADER.to_vec();
            for text in snapshot.pieces() {
                assert!(deflater.compress(text) && !deflater.compress(text));
                member.extend_from_slice(text.run().unwrap());
            }
            member.extend_from_slice(&snapshot.member_trailer());
            assert!(gunzip(&member) == texts.concat(), "{:?}", texts.iter().map(|text| text.len()).collect::<Vec<_>>());
        };
        check(&[], &mut deflater);
        check(&[b"a 1\n"], &mut deflater);
        check(&[b"a 1\n", b"a 1\n", b"a 1\n"], &mut deflater);
        check(&[&[b'x'; 100_000], b"y"], &mut deflater);
        check(&[&noise, &noise[..PAGE_BYTES], b"\n", &noise[..1]], &mut deflater);
        for _ in 0..50 {
            let cut = random.below(3000) as usize;
            check(&[&noise[..cut], &noise[cut..cut + 1 + random.below(5000) as usize]], &mut deflater);
        }
    }

    #[test]
    fn a_change_drops_the_run() {
        let mut text = PageText::new(b"a 1\n".to_vec(), false);
        let mut deflater = Deflater::default();
        deflater.compress(&text);
        text.bytes_mut()[2] = b'2';
        assert!(text.run().is_none());
        assert!(deflater.compress(&text));
        text.verify();
    }

    /// What a change of the gateway's own lines, and what a push costs a scraper that asks for gzip.
    #[test]
    fn only_changed_pages_lose_their_run() {
        let mut store = Store::new();
        let own = ["batch_b", "process_x"].map(|name| store.declare_own(name, Kind::Gauge, "Own.", false));
        let mut deflater = Deflater::default();
        let mut scrape = |store: &mut Store, value: &str| {
            for (id, name) in own.iter().zip(["batch_b", "process_x"]) {
                store.set_own(*id, format!("{name} {value}\n").as_bytes());
            }
            let mut snapshot = Snapshot::default();
            store.snapshot(&mut snapshot);
            store.verify();
            let made = snapshot.pieces().iter().filter(|text| deflater.compress(text));
            let (own, pushed): (Vec<_>, Vec<_>) = made.partition(|text| text.is_own());
            (own.len(), pushed.len())
        };
        for group in 0..400 {
            push(&mut store, group, 1);
        }
        let (own, pushed) = scrape(&mut store, "1");
        assert!(own == 2 && pushed > 6, "{own} {pushed}");
        assert_eq!(scrape(&mut store, "2"), (2, 0));
        assert_eq!(scrape(&mut store, "22"), (2, 0));
        push(&mut store, 17, 2); // A gauge and a time, on a page each.
        assert_eq!(scrape(&mut store, "3"), (2, 2));
        assert_eq!(scrape(&mut store, "3"), (0, 0));
    }

    fn push(store: &mut Store, group: u64, value: i64) {
        let metrics = vec![(vec![("pad".to_owned(), "p".repeat(200))], value)];
        let family = naive::PushedFamily { name: "batch_c".to_owned(), kind: Kind::Gauge, help: None, metrics };
        let push = naive::Push {
            labels: vec![("job".to_owned(), format!("{group:04}"))],
            is_replace: true,
            has_timestamp: false,
            is_interleaved: false,
            is_whole: false,
            families: vec![family],
        };
        let mut staged = Staged::default();
        naive::feed(&mut staged, &push);
        store.push(&mut staged, Mode::Merge, Timestamp(value)).unwrap();
    }
}
