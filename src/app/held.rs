//! A request that says its body is gzip: nothing is decided about it before the gzip header has been read, as in the
//! original, where this reader stands in front of the routes (SPEC 1.5).

use crate::http::coding::{CodingError, GzipHeader};
use crate::http::{KeptRequest, Request};
use crate::limits::HELD_KEPT_BYTES_MAX;

/// Such a request. Reused for its memory.
#[derive(Debug, Default)]
pub struct Held {
    head: KeptRequest,
    header: GzipHeader,
}

impl Held {
    /// Holds a request.
    pub fn begin(&mut self, request: &Request<'_>) {
        self.head.keep(request);
        self.header = GzipHeader::default();
    }

    /// Takes a piece of the body; how much of it belongs to the gzip header.
    pub fn feed(&mut self, piece: &[u8]) -> Result<usize, CodingError> {
        self.header.read(piece)
    }

    /// Whether the gzip header is complete, so that the request may be decided about.
    pub fn is_complete(&self) -> bool {
        self.header.is_complete()
    }

    /// What is wrong if the body ends here.
    pub fn cut_short(&self) -> CodingError {
        self.header.cut_short()
    }

    /// The request.
    pub fn request(&self) -> Request<'_> {
        self.head.request()
    }

    /// The gzip header, for whoever reads on.
    pub fn take_header(&mut self) -> GzipHeader {
        std::mem::take(&mut self.header)
    }

    /// Memory that it takes, bytes.
    pub fn held_bytes(&self) -> usize {
        self.head.bytes()
    }

    /// Gives back what an unusual request took.
    pub fn clear(&mut self) {
        self.head.shrink_to(HELD_KEPT_BYTES_MAX);
    }
}
