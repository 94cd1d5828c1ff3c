//! Writes files as the original does, and as its future versions may: for tests and fuzzing, never part of the product.

use super::ForeignGroup;
use crate::model::time::Timestamp;

/// How a sender's types differ from those of the original.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sender {
    /// Structs have their fields the other way round.
    pub is_reversed: bool,
    /// Structs have fields that nobody knows, of all kinds of types.
    pub has_extras: bool,
    /// Keys of groups are integers, as those of the original once were.
    pub has_number_keys: bool,
    /// Times have a zone with seconds.
    pub has_seconds: bool,
}

impl Sender {
    /// One of sixteen, by the lowest bits of a number.
    pub fn numbered(number: u8) -> Self {
        let bit = |at: u8| number >> at & 1 == 1;
        Self { is_reversed: bit(0), has_extras: bit(1), has_number_keys: bit(2), has_seconds: bit(3) }
    }
}

const FILE: i64 = 71;
const GROUP: i64 = 65;
const LABELS: i64 = 66;
const METRICS: i64 = 70;
const FAMILY: i64 = 67;
const TIME: i64 = 68;
const MESSAGE: i64 = 69;

/// Types of fields that nobody knows, one of each kind, and a value of each: a list, an array, and a struct that holds
/// another one of its own type, by itself and in a map, are among them.
const EXTRAS: [(i64, &[u8]); 13] = [
    (1, b"\x01"),
    (2, b"\xfe\x01\x00"),
    (3, b"\x07"),
    (4, b"\xfe\x31\x40"),
    (5, b"\x02\xff\x00"),
    (6, b"\x01e"),
    (7, b"\x01\xfe\x31\x40"),
    (8, b"\x00"),
    (ARRAY, b"\x02\x04\x06"),
    (SLICE, b"\x03\x01a\x00\x01b"),
    (MAP, b"\x01\x01k\x02\x01x\x01\x01\x01\x00\x00"),
    (NODE, b"\x02\x01y\x01\x01\x01\x00\x00"),
    (TEXT, b"\x04????"),
];
const ARRAY: i64 = 80;
const SLICE: i64 = 81;
const MAP: i64 = 82;
const NODE: i64 = 83;
const TEXT: i64 = 84;

/// The file of these groups.
pub fn file(groups: &[ForeignGroup<'_>], sender: Sender) -> Vec<u8> {
    file_of_value(&value(groups, sender), sender)
}

/// The file of a value, whatever it is.
pub fn file_of_value(value: &[u8], sender: Sender) -> Vec<u8> {
    let mut file = definitions(sender);
    let mut message = Vec::new();
    int(&mut message, FILE);
    message.extend_from_slice(value);
    bytes(&mut file, &message);
    file
}

/// The value that is these groups.
pub fn value(groups: &[ForeignGroup<'_>], sender: Sender) -> Vec<u8> {
    let mut value = vec![0];
    uint(&mut value, groups.len() as u64);
    for (at, group) in groups.iter().enumerate() {
        if sender.has_number_keys {
            uint(&mut value, at as u64 * 1000);
        } else {
            let words: Vec<_> = group.labels.iter().flat_map(|(name, value)| [*name, *value]).collect();
            bytes(&mut value, &words.join(&0xff));
        }
        write_group(&mut value, group, sender);
    }
    value
}

/// An unsigned integer.
pub fn uint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        out.push(value as u8);
        return;
    }
    let digits = &value.to_be_bytes()[value.leading_zeros() as usize / 8..];
    out.push((digits.len() as u8).wrapping_neg());
    out.extend_from_slice(digits);
}

/// A signed integer.
pub fn int(out: &mut Vec<u8>, value: i64) {
    let bits = (value << 1) as u64;
    uint(out, if value < 0 { !bits } else { bits });
}

/// Bytes behind their length.
pub fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    uint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A time in Go's binary form.
pub fn time(value: Timestamp, has_seconds: bool) -> Vec<u8> {
    let mut out = vec![if has_seconds { 2 } else { 1 }];
    out.extend_from_slice(&(value.unix() + 62_135_596_800).to_be_bytes());
    out.extend_from_slice(&(value.0.rem_euclid(1_000_000_000) as u32).to_be_bytes());
    out.extend_from_slice(if has_seconds { b"\x00\x34\x1e" } else { b"\xff\xff" });
    out
}

/// A message that defines a type: the number of its kind, and what it says behind its name.
pub fn definition(id: i64, kind: u64, name: &str, parts: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    int(&mut message, -id);
    uint(&mut message, kind);
    message.push(1);
    if !name.is_empty() {
        message.push(1);
        bytes(&mut message, name.as_bytes());
    }
    message.push(if name.is_empty() { 2 } else { 1 });
    int(&mut message, id);
    message.push(0);
    message.extend_from_slice(parts);
    message.extend_from_slice(b"\0\0");
    let mut file = Vec::new();
    bytes(&mut file, &message);
    file
}

/// The parts of a definition that are numbers.
pub fn parts(values: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        out.push(1);
        int(&mut out, *value);
    }
    out
}

/// The part of the definition of a struct that names its fields.
pub fn fields(fields: &[(&str, i64)]) -> Vec<u8> {
    let mut out = vec![1];
    uint(&mut out, fields.len() as u64);
    for (name, id) in fields {
        out.push(1);
        bytes(&mut out, name.as_bytes());
        out.push(1);
        int(&mut out, *id);
        out.push(0);
    }
    out
}

fn definitions(sender: Sender) -> Vec<u8> {
    let structure = |names: [&str; 2], ids: [i64; 2]| {
        let mut all = vec![(names[0], ids[0]), (names[1], ids[1])];
        if sender.is_reversed {
            all.reverse();
        }
        if sender.has_extras {
            let extras: Vec<_> = EXTRAS.iter().map(|(id, _)| ("Extra", *id)).collect();
            all.splice(1..1, extras);
        }
        fields(&all)
    };
    let key = if sender.has_number_keys { 3 } else { 6 };
    let mut all = vec![
        definition(FILE, 4, "GroupingKeyToMetricGroup", &parts(&[key, GROUP])),
        definition(GROUP, 3, "", &structure(["Labels", "Metrics"], [LABELS, METRICS])),
        definition(LABELS, 4, "map[string]string", &parts(&[6, 6])),
        definition(METRICS, 4, "NameToTimestampedMetricFamilyMap", &parts(&[6, FAMILY])),
        definition(FAMILY, 3, "", &structure(["Timestamp", "GobbableMetricFamily"], [TIME, MESSAGE])),
        definition(TIME, 5, "Time", &[]),
        definition(MESSAGE, 6, "", &[]),
    ];
    if sender.has_extras {
        all.extend([
            definition(ARRAY, 1, "[2]int", &parts(&[2, 2])),
            definition(SLICE, 2, "[]string", &parts(&[6])),
            definition(MAP, 4, "map[string]node", &parts(&[6, NODE])),
            definition(NODE, 3, "node", &fields(&[("Flag", 1), ("Name", 6), ("Next", NODE)])),
            definition(TEXT, 7, "text", &[]),
        ]);
    }
    all.concat()
}

/// A struct with two fields, of which those that are zero are not sent, and the extras between them.
fn structure(out: &mut Vec<u8>, values: [Option<Vec<u8>>; 2], sender: Sender) {
    let [first, second] = values;
    let (first, second) = if sender.is_reversed { (second, first) } else { (first, second) };
    let mut step = 1;
    let mut write = |value: Option<&[u8]>| match value {
        Some(value) => {
            out.push(step);
            out.extend_from_slice(value);
            step = 1;
        }
        None => step += 1,
    };
    write(first.as_deref());
    if sender.has_extras {
        for (_, extra) in EXTRAS {
            write(Some(extra));
        }
    }
    write(second.as_deref());
    out.push(0);
}

fn write_group(out: &mut Vec<u8>, group: &ForeignGroup<'_>, sender: Sender) {
    let mut labels = Vec::new();
    uint(&mut labels, group.labels.len() as u64);
    for (name, value) in &group.labels {
        bytes(&mut labels, name);
        bytes(&mut labels, value);
    }
    let mut families = Vec::new();
    uint(&mut families, group.families.len() as u64);
    for family in &group.families {
        bytes(&mut families, family.name);
        let opaque = |value: &[u8]| {
            let mut out = Vec::new();
            bytes(&mut out, value);
            out
        };
        let is_written = family.written != Timestamp::default();
        let written = is_written.then(|| opaque(&time(family.written, sender.has_seconds)));
        let message = (!family.message.is_empty()).then(|| opaque(family.message));
        structure(&mut families, [written, message], sender);
    }
    let families = (!group.families.is_empty()).then_some(families);
    structure(out, [Some(labels), families], sender);
}
