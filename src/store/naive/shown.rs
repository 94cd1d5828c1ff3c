//! What clients read out of a snapshot, and lines as the gateway writes them.

use std::io::Read;

use super::{LabelSet, OWN};
use crate::model::sample::Kind;
use crate::store::{Member, PageText, Snapshot};

/// The exposition.
pub(super) fn text(snapshot: &Snapshot) -> String {
    let bytes: Vec<u8> = snapshot.pieces().iter().flat_map(|piece| piece.iter().copied()).collect();
    assert_eq!(bytes.len() as u64, snapshot.bytes());
    String::from_utf8(bytes).expect("the exposition is text")
}

/// What a client reads out of a compressed snapshot.
pub(super) fn gunzipped(snapshot: &Snapshot) -> String {
    let member = whole_member(snapshot, |_| panic!("all pages were compressed"));
    let mut text = String::new();
    let mut decoder = flate2::bufread::GzDecoder::new(&*member);
    decoder.read_to_string(&mut text).expect("it is gzip");
    assert!(decoder.into_inner().is_empty(), "it is one member");
    text
}

/// All of the member of a snapshot.
pub fn whole_member(snapshot: &Snapshot, compress: impl FnMut(&PageText)) -> Vec<u8> {
    let mut member = Member::NONE;
    let bytes = member.extend(snapshot, usize::MAX, compress);
    assert!(member.is_complete());
    let parts: Vec<u8> = (0..).map_while(|at| member.part(snapshot, at)).flatten().copied().collect();
    assert_eq!(parts.len(), bytes);
    parts
}

pub(super) fn own_lines(at: usize, value: i64) -> String {
    let name = OWN[at].0;
    match OWN[at].1 {
        Kind::Summary => format!("{name}_sum {value}\n{name}_count 1\n"),
        _ => format!("{name} {value}\n"),
    }
}

pub(super) fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

pub(super) fn written(labels: &LabelSet) -> String {
    let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    pairs.join(",")
}
