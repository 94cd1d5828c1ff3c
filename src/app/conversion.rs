//! A scrape in another format than the stored one, on its way out.
//!
//! Holds text and details as they were when the scrape was asked for.

use std::fmt;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::exposition::convert::{Converter, Source};
use crate::exposition::format::{Escaping, Format};
use crate::limits::GZIP_ENCODER_BYTES;
use crate::model::mark::Mark;
use crate::model::sample::Kind;
use crate::store::Snapshot;

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
    pub fn write(&mut self, out: &mut Vec<u8>) -> bool {
        let source = Kept(&self.snapshot);
        let Some(Gzip { encoder, plain }) = &mut self.gzip else { return self.converter.write(&source, out) };
        plain.clear();
        let has_more = self.converter.write(&source, plain);
        let compressed = encoder.write_all(plain).and_then(|()| if has_more { Ok(()) } else { encoder.try_finish() });
        compressed.expect("a vector takes everything");
        out.append(encoder.get_mut());
        has_more
    }

    /// Memory that it holds beside what it holds alive, bytes.
    pub fn held_bytes(&self) -> usize {
        let plain = self.gzip.as_ref().map_or(0, |gzip| GZIP_ENCODER_BYTES + gzip.plain.capacity());
        self.converter.held_bytes() + self.snapshot.held_bytes() + plain
    }

    /// Ends it, finished or not.
    pub fn into_snapshot(self) -> Snapshot {
        self.snapshot
    }
}

/// What was stored when the scrape was asked for.
struct Kept<'a>(&'a Snapshot);

impl Source for Kept<'_> {
    fn piece(&self, at: usize) -> Option<&[u8]> {
        self.0.pieces().get(at).map(|piece| &***piece)
    }

    fn message(&self, mark: &mut Mark, family: &str, labels: &str) -> Option<&[u8]> {
        self.0.details().message(mark, family, labels.as_bytes())
    }

    fn is_gauge_histogram(&self, mark: &mut Mark, family: &str) -> bool {
        self.0.details().kind(mark, family) == Some(Kind::GaugeHistogram)
    }
}
