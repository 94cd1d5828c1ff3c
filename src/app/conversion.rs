//! A scrape in another format than the stored one, on its way out.
//!
//! Holds the text as it was when it was asked for; what text does not show comes from the store as it is meanwhile.

use crate::exposition::convert::{Converter, Source};
use crate::exposition::format::{Escaping, Format};
use crate::model::sample::Kind;
use crate::store::{Snapshot, Store};

/// The body of such a scrape, written while it is sent.
#[derive(Debug)]
pub struct Conversion {
    converter: Converter,
    snapshot: Snapshot,
}

impl Conversion {
    /// Starts at the beginning.
    pub fn new(format: Format, escaping: Escaping, snapshot: Snapshot) -> Self {
        Self { converter: Converter::new(format, escaping), snapshot }
    }

    /// Writes the next part: a bounded amount of work, which may yield nothing. Whether there is more to come.
    pub fn write(&mut self, store: &Store, out: &mut Vec<u8>) -> bool {
        self.converter.write(&Text { store, snapshot: &self.snapshot }, out)
    }

    /// Ends it, finished or not.
    pub fn into_snapshot(self) -> Snapshot {
        self.snapshot
    }
}

struct Text<'a> {
    store: &'a Store,
    snapshot: &'a Snapshot,
}

impl Source for Text<'_> {
    fn piece(&self, at: usize) -> Option<&[u8]> {
        self.snapshot.pieces().get(at).map(|piece| piece.as_slice())
    }

    /// Nothing that can be pushed yet is more than its lines.
    fn message(&self, _family: &str, _labels: &str) -> Option<&[u8]> {
        None
    }

    fn is_gauge_histogram(&self, family: &str) -> bool {
        self.store.kind(family) == Some(Kind::GaugeHistogram)
    }
}
