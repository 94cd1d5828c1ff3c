//! The names by which families are shown when names are escaped.
//!
//! Different names may be the same when they are escaped, or that of a part (`_count`) of another family. Many scrapers
//! take nothing of an exposition in which that happens. So before anything is converted the headers are looked through,
//! twice: for the names that are escaped, and for others that are in conflict with those. Whoever has a classic name is
//! shown by it. An escaped name that is in conflict is replaced by that of [`Escaping::Values`], which is different for
//! different names; a family for which that is in conflict, too, is left out.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use memchr::memmem;

use super::Source;
use crate::exposition::format::Escaping;
use crate::model::line::Header;
use crate::model::table::Table;

const TYPE: &[u8] = b"# TYPE ";

/// What the parts of summaries and histograms add to the name, those of summaries first.
const SUFFIXES: [&str; 3] = ["_sum", "_count", "_bucket"];

/// The suffixes of a family of the kind that a header has.
fn suffixes(kind: &[u8]) -> &'static [&'static str] {
    match kind {
        b"histogram" => &SUFFIXES,
        b"summary" => &SUFFIXES[..2],
        _ => &[],
    }
}

/// A name by which a family may be shown that has no classic one.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Names are compared by this: it is seeded, and a family that is renamed for no reason does no harm.
    hash: u64,
    /// How many suffixes are taken by families that may have it.
    suffixes: usize,
    is_in_conflict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// Looks for names that are not classic.
    Collect,
    /// Compares names with those.
    Compare,
    Done,
}

/// See the module.
#[derive(Debug)]
pub struct Names {
    escaping: Escaping,
    pass: Pass,
    /// The piece that is looked through next, and where in it.
    piece: usize,
    offset: usize,
    candidates: Table<Candidate>,
    hasher: RandomState,
    /// Working memory: a name.
    scratch: Vec<u8>,
}

impl Names {
    /// Nothing is known yet, unless nothing is escaped.
    pub fn new(escaping: Escaping) -> Self {
        Self {
            escaping,
            pass: if escaping == Escaping::AllowUtf8 { Pass::Done } else { Pass::Collect },
            piece: 0,
            offset: 0,
            candidates: Table::default(),
            hasher: RandomState::default(),
            scratch: Vec::new(),
        }
    }

    /// Whether all of them are known.
    pub fn are_known(&self) -> bool {
        self.pass == Pass::Done
    }

    /// Memory that it holds, bytes.
    pub fn held_bytes(&self) -> usize {
        self.candidates.allocation_size() + self.scratch.capacity()
    }

    /// Looks through headers, about so many bytes of the text.
    pub fn advance(&mut self, source: &impl Source, bytes: usize) {
        let mut left = bytes.max(1);
        while self.pass != Pass::Done && left > 0 {
            let Some(piece) = source.piece(self.piece) else {
                self.end_pass();
                continue;
            };
            let rest = &piece[self.offset..];
            let is_header = rest.starts_with(TYPE) && (self.offset == 0 || piece[self.offset - 1] == b'\n');
            let start = if is_header { Some(0) } else { memmem::find(rest, b"\n# TYPE ").map(|at| at + 1) };
            let Some(start) = start else {
                left = left.saturating_sub(rest.len().max(1));
                (self.piece, self.offset) = (self.piece + 1, 0);
                continue;
            };
            let line = &rest[start..];
            let line = &line[..memchr::memchr(b'\n', line).unwrap_or(line.len())];
            if let Some(header) = Header::parse(line) {
                self.take(header);
            }
            self.offset += start + line.len();
            // A header is more work than the lines that are skipped.
            left = left.saturating_sub(start + 4 * line.len());
        }
    }

    fn end_pass(&mut self) {
        (self.piece, self.offset) = (0, 0);
        let has_candidates = self.candidates.allocation_size() > 0;
        self.pass = if self.pass == Pass::Collect && has_candidates { Pass::Compare } else { Pass::Done };
    }

    fn take(&mut self, header: Header<'_>) {
        let mut name = std::mem::take(&mut self.scratch);
        let suffixes = suffixes(header.rest);
        for escaping in self.candidates_of(header) {
            name.clear();
            escaping.write(&mut name, header.name);
            match self.pass {
                Pass::Collect => self.add(&name, suffixes),
                _ => self.compare(&mut name, suffixes, true),
            }
        }
        if self.pass == Pass::Compare && !header.is_quoted {
            name.clear();
            name.extend_from_slice(header.name.as_bytes());
            self.compare(&mut name, suffixes, false);
        }
        self.scratch = name;
    }

    /// By which escapings a family may be shown; none if it has a classic name.
    fn candidates_of(&self, header: Header<'_>) -> impl Iterator<Item = Escaping> + use<> {
        let first = header.is_quoted.then_some(self.escaping);
        let second = first.filter(|first| *first != Escaping::Values).map(|_| Escaping::Values);
        first.into_iter().chain(second)
    }

    fn add(&mut self, name: &[u8], suffixes: &[&str]) {
        let hash = self.hasher.hash_one(name);
        if let Ok(mut found) = self.candidates.find_entry(hash, |candidate| candidate.hash == hash) {
            let found = found.get_mut();
            found.is_in_conflict = true;
            found.suffixes = found.suffixes.max(suffixes.len());
            return;
        }
        let candidate = Candidate { hash, suffixes: suffixes.len(), is_in_conflict: false };
        self.candidates.insert_unique(hash, candidate, |candidate| candidate.hash);
    }

    /// Compares a name with the candidates, of which it may be one. It is restored.
    fn compare(&mut self, name: &mut Vec<u8>, suffixes: &[&str], is_candidate: bool) {
        if !is_candidate {
            self.mark(name, 0);
            for (at, suffix) in SUFFIXES.iter().enumerate() {
                if let Some(whole) = name.strip_suffix(suffix.as_bytes()) {
                    self.mark(whole, at + 1);
                }
            }
        }
        let len = name.len();
        for suffix in suffixes {
            name.extend_from_slice(suffix.as_bytes());
            if self.mark(name, 0) && is_candidate {
                self.mark(&name[..len], 0);
            }
            name.truncate(len);
        }
    }

    /// Notes that a candidate is in conflict if it takes so many suffixes; whether there is such a one.
    fn mark(&mut self, name: &[u8], suffixes: usize) -> bool {
        let hash = self.hasher.hash_one(name);
        let is_it = |candidate: &Candidate| candidate.hash == hash && candidate.suffixes >= suffixes;
        let found = self.candidates.find_entry(hash, is_it);
        found.map(|mut found| found.get_mut().is_in_conflict = true).is_ok()
    }

    /// Writes the name by which a family is shown whose name is written like this; `false`, and nothing is written, if
    /// it is not shown.
    pub fn write(&self, out: &mut Vec<u8>, header: Header<'_>) -> bool {
        let start = out.len();
        if !header.is_quoted || self.escaping == Escaping::AllowUtf8 {
            self.escaping.write(out, header.name);
            return true;
        }
        for escaping in self.candidates_of(header) {
            escaping.write(out, header.name);
            let hash = self.hasher.hash_one(&out[start..]);
            let found = self.candidates.find(hash, |candidate| candidate.hash == hash);
            if !found.is_some_and(|candidate| candidate.is_in_conflict) {
                return true;
            }
            out.truncate(start);
        }
        false
    }
}
