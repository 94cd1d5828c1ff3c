//! A scrape on its way out: the pages of a snapshot, or their compressed forms as one gzip member.
//!
//! What exists already is sent from where it stands, with a length known from the start. A member of which much has
//! still to be made goes out in chunks, and no further ahead than the client reads. Owns no socket.

use std::io::IoSlice;

use smallvec::SmallVec;

use crate::app::App;
use crate::http::{Body, Connection};
use crate::limits::{DEFLATED_AHEAD_BYTES, WRITE_BYTES_PER_TURN_MAX, WRITE_PIECES_MAX};
use crate::net::{Progress, Stream};
use crate::store::{MEMBER_HEADER, MEMBER_TRAILER_BYTES, Snapshot};

/// One scrape.
pub(super) struct Scrape {
    snapshot: Snapshot,
    form: Form,
    /// The part to be sent or made next, and how much of it was sent.
    part: usize,
    offset: usize,
}

enum Form {
    /// Parts are the pages.
    Identity,
    /// Every page is compressed. Parts are the member's header, the runs, and this trailer.
    Member([u8; MEMBER_TRAILER_BYTES]),
    /// Pages are compressed as the client reads. Parts are the pages, and go through the session's output.
    Making,
}

impl Scrape {
    pub(super) fn identity(snapshot: Snapshot) -> Self {
        Self { snapshot, form: Form::Identity, part: 0, offset: 0 }
    }

    /// Compresses what is missing if the budget allows; otherwise it is done piece by piece, by [`Scrape::make`].
    pub(super) fn gzip(snapshot: Snapshot, app: &mut App, budget: &mut usize) -> Self {
        let is_complete = snapshot.pieces().iter().all(|page| {
            if page.run().is_none() && *budget > 0 {
                *budget = budget.saturating_sub(app.compress(page));
            }
            page.run().is_some()
        });
        let form = if is_complete { Form::Member(snapshot.member_trailer()) } else { Form::Making };
        Self { snapshot, form, part: 0, offset: 0 }
    }

    /// Memory that it holds beside the pages, bytes: the list of them, and what is made ahead of the client.
    pub(super) fn held_bytes(&self) -> usize {
        let ahead = if self.is_in_making() { 2 * DEFLATED_AHEAD_BYTES } else { 0 };
        size_of_val(self.snapshot.pieces()) + ahead
    }

    pub(super) fn body(&self) -> Body<'static> {
        match &self.form {
            Form::Identity => Body::Sized(self.snapshot.bytes()),
            Form::Member(trailer) => {
                let runs = self.snapshot.pieces().iter().filter_map(|page| page.run());
                let bytes: usize = runs.map(<[u8]>::len).sum();
                Body::Sized((MEMBER_HEADER.len() + bytes + trailer.len()) as u64)
            }
            Form::Making => Body::Chunked,
        }
    }

    pub(super) fn into_snapshot(self) -> Snapshot {
        self.snapshot
    }

    // ---- what exists already ----

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
        !self.is_in_making()
    }

    fn part(&self, at: usize) -> Option<&[u8]> {
        let pages = self.snapshot.pieces();
        match &self.form {
            Form::Identity => pages.get(at).map(|page| &***page),
            Form::Member(_) if at == 0 => Some(&MEMBER_HEADER),
            Form::Member(trailer) if at == pages.len() + 1 => Some(trailer),
            Form::Member(_) => pages.get(at - 1)?.run(),
            Form::Making => None,
        }
    }

    // ---- what has to be made ----

    pub(super) fn is_in_making(&self) -> bool {
        matches!(self.form, Form::Making)
    }

    /// Writes the next chunk to `out`, within the budget of text to be compressed; whether it was the last one.
    pub(super) fn make(&mut self, http: &Connection, app: &mut App, budget: &mut usize, out: &mut Vec<u8>) -> bool {
        let first = self.part;
        let mut bytes = 0;
        while let Some(page) = self.snapshot.pieces().get(self.part)
            && bytes < DEFLATED_AHEAD_BYTES
        {
            if page.run().is_none() && *budget > 0 {
                *budget = budget.saturating_sub(app.compress(page));
            }
            let Some(run) = page.run() else { break };
            bytes += run.len();
            self.part += 1;
        }
        let is_last = self.part == self.snapshot.pieces().len();
        let header: &[u8] = if first == 0 && self.part > 0 { &MEMBER_HEADER } else { &[] };
        let trailer = if is_last { &self.snapshot.member_trailer()[..] } else { &[] };
        bytes += header.len() + trailer.len();
        http.begin_chunk(bytes, out);
        out.extend_from_slice(header);
        for run in self.snapshot.pieces()[first..self.part].iter().filter_map(|page| page.run()) {
            out.extend_from_slice(run);
        }
        out.extend_from_slice(trailer);
        http.end_chunk(bytes, out);
        if is_last {
            http.write_last_chunk(out);
        }
        is_last
    }
}
