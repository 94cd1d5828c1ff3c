//! A scrape on its way out: the pages of a snapshot, or their compressed forms as one gzip member.
//!
//! Both are sent from where they stand, with a length known from the start unless much has still to be compressed: then
//! chunk by chunk, no further ahead than the client reads. Owns no socket.

use std::io::IoSlice;

use smallvec::SmallVec;

use crate::app::App;
use crate::http::{Body, Connection};
use crate::limits::{WRITE_BYTES_PER_TURN_MAX, WRITE_PIECES_MAX};
use crate::net::{Progress, Stream};
use crate::store::{Member, Snapshot};

/// One scrape.
pub(super) struct Scrape {
    snapshot: Snapshot,
    form: Form,
    /// The part to be sent next, and how much of it was.
    part: usize,
    offset: usize,
}

enum Form {
    /// Parts are the pages.
    Identity,
    /// Everything is compressed, and so many bytes.
    Member(Member, usize),
    /// Pages are compressed as the client reads. So many bytes were not announced yet as a chunk.
    Making(Member, usize),
}

impl Scrape {
    pub(super) fn identity(snapshot: Snapshot) -> Self {
        Self { snapshot, form: Form::Identity, part: 0, offset: 0 }
    }

    /// Compresses what is missing if the budget allows; otherwise it is done piece by piece, by [`Scrape::make`].
    pub(super) fn gzip(snapshot: Snapshot, app: &mut App, budget: &mut usize) -> Self {
        let mut member = Member::NONE;
        let bytes = member.extend(&snapshot, usize::MAX, |page| app.compress(page, budget));
        let form = if member.is_complete() { Form::Member(member, bytes) } else { Form::Making(member, bytes) };
        Self { snapshot, form, part: 0, offset: 0 }
    }

    /// Memory that it holds beside the pages, bytes: the list of them.
    pub(super) fn held_bytes(&self) -> usize {
        self.snapshot.held_bytes()
    }

    pub(super) fn body(&self) -> Body<'static> {
        match &self.form {
            Form::Identity => Body::Sized(self.snapshot.bytes()),
            Form::Member(_, bytes) => Body::Sized(*bytes as u64),
            Form::Making(..) => Body::Chunked,
        }
    }

    pub(super) fn into_snapshot(self) -> Snapshot {
        self.snapshot
    }

    /// Writes `output` and behind it what can be sent next.
    // Out of line: the list takes 16 KiB of stack, and most answers are no scrapes.
    #[inline(never)]
    pub(super) fn write_behind(&self, output: &[u8], stream: &mut Stream) -> Progress {
        let mut slices: SmallVec<[IoSlice<'_>; WRITE_PIECES_MAX]> = SmallVec::new();
        if !output.is_empty() {
            slices.push(IoSlice::new(output));
        }
        // What the stream leaves would be listed again for the next call.
        let bytes_max = stream.write_bytes_max().min(WRITE_BYTES_PER_TURN_MAX);
        let mut bytes = output.len();
        let mut offset = self.offset;
        for part in (self.part..).map_while(|at| self.part(at)) {
            if slices.len() == WRITE_PIECES_MAX || bytes >= bytes_max {
                break;
            }
            slices.push(IoSlice::new(&part[offset..]));
            bytes += part.len() - offset;
            offset = 0;
        }
        stream.write(&slices)
    }

    /// So much of that was sent; whether all was.
    pub(super) fn note_sent(&mut self, mut bytes: usize) -> bool {
        while let Some(part) = self.part(self.part) {
            let left = part.len() - self.offset;
            if bytes < left {
                self.offset += bytes;
                return false;
            }
            bytes -= left;
            (self.part, self.offset) = (self.part + 1, 0);
        }
        !matches!(self.form, Form::Making(..))
    }

    fn part(&self, at: usize) -> Option<&[u8]> {
        match &self.form {
            Form::Identity => self.snapshot.pieces().get(at).map(|page| &***page),
            Form::Member(member, _) | Form::Making(member, _) => member.part(&self.snapshot, at),
        }
    }

    /// Whether what can be sent was sent, but that is not all.
    pub(super) fn is_to_be_made(&self) -> bool {
        matches!(self.form, Form::Making(_, unannounced) if unannounced > 0 || self.part(self.part).is_none())
    }

    /// Compresses more, within the budget, and writes to `out` what goes before it; whether that is the end.
    pub(super) fn make(&mut self, http: &Connection, app: &mut App, budget: &mut usize, out: &mut Vec<u8>) -> bool {
        let Form::Making(member, unannounced) = &mut self.form else { return false };
        let is_over = member.is_complete();
        let made = member.extend(&self.snapshot, WRITE_BYTES_PER_TURN_MAX, |page| app.compress(page, budget));
        let bytes = made + std::mem::take(unannounced);
        if self.part > 0 && (bytes > 0 || is_over) {
            http.end_chunk(out);
        }
        if bytes > 0 {
            http.begin_chunk(bytes, out);
        }
        if is_over {
            http.write_last_chunk(out);
        }
        is_over
    }
}
