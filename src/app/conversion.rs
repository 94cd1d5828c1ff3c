//! A scrape in another format than the stored one, on its way out.
//!
//! Holds the text as it was when it was asked for; what text does not show comes from the store as it is meanwhile.

use std::fmt;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::exposition::convert::{Converter, Source};
use crate::exposition::format::{Escaping, Format};
use crate::model::sample::Kind;
use crate::store::{Snapshot, Store};

/// The body of such a scrape, written while it is sent.
#[derive(Debug)]
pub struct Conversion {
    converter: Converter,
    snapshot: Snapshot,
    gzip: Option<Gzip>,
}

/// Compresses what was converted.
struct Gzip {
    encoder: GzEncoder<Vec<u8>>,
    /// What is converted but not compressed yet.
    plain: Vec<u8>,
}

impl fmt::Debug for Gzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gzip")
    }
}

impl Conversion {
    /// Starts at the beginning.
    pub fn new(format: Format, escaping: Escaping, is_gzip: bool, snapshot: Snapshot) -> Self {
        let gzip = || Gzip { encoder: GzEncoder::new(Vec::new(), Compression::fast()), plain: Vec::new() };
        Self { converter: Converter::new(format, escaping), snapshot, gzip: is_gzip.then(gzip) }
    }

    /// Writes the next part: a bounded amount of work, which may yield nothing. Whether there is more to come.
    pub fn write(&mut self, store: &Store, out: &mut Vec<u8>) -> bool {
        let text = Text { store, snapshot: &self.snapshot };
        let Some(Gzip { encoder, plain }) = &mut self.gzip else { return self.converter.write(&text, out) };
        plain.clear();
        let has_more = self.converter.write(&text, plain);
        let compressed = encoder.write_all(plain).and_then(|()| if has_more { Ok(()) } else { encoder.try_finish() });
        compressed.expect("a vector takes everything");
        out.append(encoder.get_mut());
        has_more
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
        self.snapshot.pieces().get(at).map(|piece| &***piece)
    }

    fn message(&self, family: &str, labels: &str) -> Option<&[u8]> {
        self.store.detail(family, labels)
    }

    fn is_gauge_histogram(&self, family: &str) -> bool {
        self.store.kind(family) == Some(Kind::GaugeHistogram)
    }
}
