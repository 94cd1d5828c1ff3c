//! Fuzzes the scrape: what is pushed says the same in every format, and no `Accept` header does harm.

use crate::app::negotiation;
use crate::exposition::convert::Converter;
use crate::exposition::convert::naive::{self, Pieces, converted, families_of_protobuf, families_of_text};
use crate::exposition::format::{Escaping, Format};
use crate::exposition::text::Parser;
use crate::model::name::Names;
use crate::model::time::Timestamp;
use crate::store::{Mode, Snapshot, Staged, Store};

const ESCAPINGS: [Escaping; 4] = [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values];

/// Pushes `data` as a text body and converts what is stored. Its first byte chooses the escaping and the bounds.
///
/// # Panics
/// If protobuf and the stored text differ, or an escaped text has other lines, or the store does not know its quotes.
pub fn exposition_convert(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let escaping = ESCAPINGS[usize::from(choice & 3)];
    let bounds = (usize::from(choice >> 2 & 7) * 50 + 1, usize::from(choice >> 5) * 100);
    let mut store = Store::new();
    if !push(&mut store, body) {
        return;
    }
    let mut snapshot = Snapshot::default();
    store.snapshot(&mut snapshot);
    let text: Vec<u8> = snapshot.pieces().iter().flat_map(|piece| piece.iter().copied()).collect();
    let pieces = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let source = Pieces { pieces, ..Pieces::default() };
    let run = |format| converted(Converter::new(format, escaping).with_bounds(bounds.0, bounds.1), &source).0;
    assert_eq!(families_of_protobuf(&run(Format::ProtoDelimited)), families_of_text(&text, escaping));
    let escaped = run(Format::Text);
    let lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    let is_whole = naive::names_of_text(&text, escaping).iter().all(Option::is_some);
    assert!(lines(&escaped) == lines(&text) || !is_whole && lines(&escaped) < lines(&text), "families are left out");
    assert!(store.has_quoted_names() || escaped == text, "names are quoted");
    for format in [Format::ProtoText, Format::ProtoCompact] {
        assert!(run(format).ends_with(b"\n"));
    }
}

/// Whether the body is accepted.
fn push(store: &mut Store, body: &[u8]) -> bool {
    let (mut parser, mut staged) = (Parser::new(), Staged::default());
    parser.reset(Names::Utf8);
    staged.begin([("g.l", "v"), ("job", "j")][usize::from(body.len().is_multiple_of(2))..].iter().copied());
    let read = parser.feed(body, &mut staged).and_then(|()| parser.finish(&mut staged));
    staged.seal();
    read.is_ok() && store.push(&mut staged, Mode::Merge, Timestamp(1)).is_ok()
}

/// Reads `data` as an `Accept` and as an `Accept-Encoding` header.
///
/// # Panics
/// If the content type that is chosen would, as a header, not choose itself.
pub fn accept_header(data: &[u8]) {
    let chosen = negotiation::negotiate(Some(data));
    let content_type = negotiation::content_type(chosen.0, chosen.1);
    assert_eq!(negotiation::negotiate(Some(content_type.as_bytes())), chosen);
    let whole = negotiation::accepts_gzip([data].into_iter());
    let clauses = data.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect::<Vec<_>>();
    // Cut at its commas, a header can only say more: what is not understood drops the rest of its header only.
    if clauses.iter().all(|clause| clause.iter().all(u8::is_ascii_alphabetic) && !clause.is_empty()) {
        assert_eq!(negotiation::accepts_gzip(clauses.into_iter()), whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_pass() {
        let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
        let count = |target: &str, body: fn(&[u8])| {
            let files = std::fs::read_dir(seeds.join(target)).unwrap();
            files.map(|seed| body(&std::fs::read(seed.unwrap().path()).unwrap())).count()
        };
        assert!(count("exposition_convert", exposition_convert) >= 10);
        assert!(count("accept_header", accept_header) >= 10);
    }
}
