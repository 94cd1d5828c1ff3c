//! The reader against hand-made files, damage at every byte, and its oracle.

use super::naive;
use super::types::TypeId;
use super::write::{self, Sender};
use super::{ForeignFamily, ForeignGroup, looks_like, read};
use crate::limits::{GOB_DEPTH_MAX, GOB_FIELDS_MAX, GOB_TYPES_MAX};
use crate::model::time::Timestamp;
use crate::random::Random;

fn family<'a>(name: &'a str, written: i64, message: &'a [u8]) -> ForeignFamily<'a> {
    ForeignFamily { name: name.as_bytes(), written: Timestamp(written), message }
}

fn groups() -> Vec<ForeignGroup<'static>> {
    let long = &[b'x'; 300];
    vec![
        ForeignGroup { labels: vec![(b"a", b""), (b"job", b"\xff")], families: vec![] },
        ForeignGroup {
            labels: vec![(b"instance", b""), (b"job", b"j")],
            families: vec![family("", 5, b"m"), family("b", 1_795_557_634_728_188_261, long), family("c", 0, b"")],
        },
        ForeignGroup { labels: vec![(b"job", b"j")], families: vec![family("push_time_seconds", i64::MAX, b"p")] },
    ]
}

fn senders() -> Vec<Sender> {
    (0..16).map(Sender::numbered).collect()
}

/// Reads a file with the reader and its oracle, which agree but for the reader's bounds.
fn read_twice(file: &[u8]) -> Result<Vec<ForeignGroup<'_>>, super::GobError> {
    let found = read(file);
    naive::compare(file, &found);
    found
}

#[test]
fn what_was_written_is_read() {
    for sender in senders() {
        for groups in [vec![], groups()] {
            let file = write::file(&groups, sender);
            assert!(looks_like(&file));
            assert_eq!(read_twice(&file), Ok(groups), "{sender:?}");
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for sender in senders() {
        let file = write::file(&groups(), sender);
        for len in 0..file.len() {
            let error = read_twice(&file[..len]).expect_err("the end is missing");
            assert_eq!(error.offset, len, "{error}");
            assert!(looks_like(&file[..len]) || len < 4, "{len}");
        }
        let error = read_twice(&[&file[..], b"\0"].concat()).expect_err("something follows");
        assert_eq!(error.to_string(), format!("expected the end of the file at byte {}", file.len()));
    }
}

/// Any byte can be any other: there is a value or an error inside the file, as the oracle says.
#[test]
fn any_byte_may_be_wrong() {
    let file = write::file(&groups(), Sender { has_extras: true, ..Sender::default() });
    let (mut errors, mut damaged) = (0, file.clone());
    for at in 0..file.len() {
        for byte in [0x00, 0x01, 0x7f, 0x80, 0xf8, 0xfe, 0xff, file[at] ^ 1, file[at].wrapping_add(1)] {
            damaged[at] = byte;
            errors += usize::from(read_twice(&damaged).is_err());
        }
        damaged[at] = file[at];
    }
    assert!(errors > file.len(), "only {errors} changes of {} bytes were noticed", file.len());
}

#[test]
fn random_damage_never_ends_badly() {
    for run in 0..3000 {
        let mut random = Random::for_test(run);
        let sender = senders()[random.index(16)];
        let mut file = write::file(&groups(), sender);
        for _ in 0..=random.below(6) {
            let at = random.index(file.len());
            match random.below(4) {
                0 => drop(file.remove(at)),
                1 => file.insert(at, random.bits() as u8),
                2 => file[at] ^= 1 << random.below(8),
                _ => {
                    let from = random.index(file.len());
                    let len = random.index(40).min(file.len() - from.max(at));
                    file.copy_within(from..from + len, at);
                }
            }
        }
        let _ = read_twice(&file);
    }
}

#[test]
fn other_files_are_told_apart() {
    let check = |file: &[u8], expected: bool| assert_eq!(looks_like(file), expected, "{}", file.escape_ascii());
    check(b"\x29\xff\x8d\x04\x01\x01\x18GroupingKeyToMetricGroup", true);
    check(b"\xfe\x01\x45\xff\xa9\x03", true);
    check(b"", false);
    check(b"\x29\xff\x8d", false);
    check(b"\x29\xff\x8d\x00", false);
    check(b"\x29\xff\x8d\x08", false);
    check(b"\x29\xff\x8e\x04", false);
    check(b"\x29\x7d\x04", false);
    check(b"redb\x1a\x0a\xa9\x0d\x0a\0\0\0", false);
    check(b"# TYPE a gauge\na 1\n", false);
    check(&[0; 64], false);
    check(&[0xff; 64], false);
    check(b"SQLite format 3\0", false);
    check(b"\x1f\x8b\x08\0\0\0\0\0", false);
    check(b"{\"a\": 1}", false);
}

/// A file of these messages that define types, and one with a value of the type.
fn file(definitions: &[Vec<u8>], id: i64, value: &[u8]) -> Vec<u8> {
    let mut file = definitions.concat();
    let mut message = Vec::new();
    write::int(&mut message, id);
    message.extend_from_slice(value);
    write::bytes(&mut file, &message);
    file
}

#[track_caller]
fn check(file: &[u8], expected: &str) {
    let error = read_twice(file).expect_err("the file is damaged").to_string();
    assert_eq!(error.split(" at byte").next(), Some(expected), "{error}: {}", file.escape_ascii());
}

#[test]
fn definitions_are_checked() {
    let one = |message: &[u8]| {
        let mut file = Vec::new();
        write::bytes(&mut file, message);
        file
    };
    check(b"", "expected the length of a message");
    check(b"\xf7123456789", "expected the length of a message");
    check(b"\x00", "expected a type");
    check(&one(b"\x7d"), "expected a type that can be defined");
    check(&one(b"\xf8\xff\xff\xff\xff\xff\xff\xff\xff"), "expected a type that can be defined");
    check(&one(b"\xff\x8d"), "expected the kind of a type");
    check(&one(b"\xff\x8d\x00"), "expected the kind of a type");
    check(&one(b"\xff\x8d\x08\x00\x00"), "expected the kind of a type");
    check(&one(b"\xff\x8d\x01\x01\x03"), "expected the name of a type");
    check(&one(b"\xff\x8d\x01\x01\x01\x05ab"), "expected the name of a type");
    check(&one(b"\xff\x8d\x01\x01\x02"), "expected the number of a type");
    check(&one(b"\xff\x8d\x01\x02"), "expected a type");
    check(&one(b"\xff\x8d\x01\x03\x01\x00"), "expected the length of an array");
    check(&one(b"\xff\x8d\x01\x04"), "expected a part of a type");
    check(&one(b"\xff\x8d\x02\x04"), "expected a part of a type");
    check(&one(b"\xff\x8d\x03\x02\x05\x00"), "expected the number of fields");
    check(&one(b"\xff\x8d\x03\x02\x01\x01\x05a"), "expected the name of a field");
    check(&one(b"\xff\x8d\x03\x02\x01\x03\x05a"), "expected a part of a field");
    check(&one(b"\xff\x8d\x03\x03"), "expected a part of a struct type");
    check(&one(b"\xff\x8d\x05\x00\x01"), "expected the kind of a type");
    check(&one(b"\xff\x8d\x05\x00\x00\x00"), "expected the end of a definition");
    let text = write::definition(64, 7, "t", &[]);
    check(&[&text[..], &text].concat(), "expected a type that is not defined yet");
    check(&[&text[..], b"\x05\x01"].concat(), "expected the rest of a message");
    let many: Vec<_> = (0..=GOB_TYPES_MAX as i64).map(|at| write::definition(100 + at, 7, "t", &[])).collect();
    check(&many.concat(), "expected a value, as there were so many types");
    let wide = write::fields(&vec![("f", 1); GOB_FIELDS_MAX + 1]);
    check(&write::definition(64, 3, "s", &wide), "expected a struct with fewer fields");
}

#[test]
fn types_are_those_of_the_original() {
    let map = |id, key, elem| write::definition(id, 4, "m", &write::parts(&[key, elem]));
    let group =
        |labels, metrics| write::definition(65, 3, "g", &write::fields(&[("Labels", labels), ("Metrics", metrics)]));
    let opaque = || write::definition(70, 5, "o", &[]);
    let family = |time, message| {
        write::definition(67, 3, "f", &write::fields(&[("Timestamp", time), ("GobbableMetricFamily", message)]))
    };
    let of = |definitions: &[Vec<u8>]| file(definitions, 64, b"\0\0");
    check(&file(&[], 64, b"\0\0"), "expected a map of groups");
    check(&file(&[], 6, b"\0\0"), "expected a map of groups");
    check(&of(&[opaque(), map(64, 6, 70)]), "expected a map of structs");
    check(
        &of(&[map(64, 6, 65), write::definition(65, 3, "g", &write::fields(&[("Labels", 6)]))]),
        "expected a struct with Labels and Metrics",
    );
    check(&of(&[map(64, 6, 65), group(6, 6)]), "expected a map of labels");
    check(&of(&[map(64, 6, 65), group(64, 6)]), "expected labels that are strings");
    check(&of(&[map(64, 6, 65), map(66, 6, 6), group(66, 6)]), "expected a map of families");
    let labels = [map(64, 6, 65), map(66, 6, 6), map(68, 3, 67), group(66, 68)];
    check(&of(&labels), "expected families by names that are strings");
    check(&of(&[map(64, 6, 65), map(66, 6, 6), group(66, 66)]), "expected a map of structs");
    let bytes = "expected a struct with Timestamp and GobbableMetricFamily as bytes";
    let rest = [map(64, 6, 65), map(66, 6, 6), map(68, 6, 67), group(66, 68), opaque()];
    check(&of(&[&rest[..], &[family(5, 70)]].concat()), bytes);
    check(&of(&[&rest[..], &[family(70, 6)]].concat()), bytes);
    check(&of(&[&rest[..], &[write::definition(67, 3, "f", &write::fields(&[("Timestamp", 70)]))]].concat()), bytes);
    assert_eq!(read_twice(&of(&[&rest[..], &[family(70, 70)]].concat())), Ok(vec![]));
}

#[test]
fn values_are_checked() {
    let value = |value: &[u8]| write::file_of_value(value, Sender::default());
    assert_eq!(read_twice(&value(b"\0\0")), Ok(vec![]));
    check(&value(b""), "expected a zero in front of the groups");
    check(&value(b"\x01\0"), "expected a zero in front of the groups");
    check(&value(b"\0"), "expected the number of groups");
    check(&value(b"\0\x03\0\0\0\0"), "expected the number of groups");
    check(&value(b"\0\0\0"), "expected the end of the groups");
    check(&value(b"\0\x01\x05ab"), "expected bytes");
    check(&value(b"\0\x01\0\0"), "expected a group with labels");
    check(&value(b"\0\x01\0\x01\0\0"), "expected a group with labels");
    check(&value(b"\0\x01\0\x03\0"), "expected a field of the struct");
    check(&value(b"\0\x01\0\x01\x01\0\x01v\0"), "expected the name of a label");
    check(&value(b"\0\x01\0\x01\x02\x01"), "expected the number of labels");
    check(&value(b"\0\x01\0\x01\x01\x01n\x02v"), "expected the value of a label");
    check(&value(b"\0\x01\0\x01\x02\x01n\x01v\x01n\x01w\0"), "expected labels with distinct names");
    check(&value(b"\0\x01\0\x01\x01\x01n\x01v"), "expected a field of the struct");
    check(&value(b"\0\x01\0\x01\x01\x01n\x01v\xf8\xff\xff\xff\xff\xff\xff\xff\xff"), "expected a field of the struct");
    check(&value(b"\0\x01\0\x02\x05\0"), "expected the number of families");
    check(&value(b"\0\x01\0\x02\x01\x02f"), "expected the name of a family");
    check(&value(b"\0\x01\0\x02\x01\x01f\x01\x03\x01ab"), "expected a time of version 1 or 2");
    check(&value(b"\0\x01\0\x02\x01\x01f\x02\x03ab"), "expected a family");
    check(&value(b"\0\x01\0\x02\x02\x01f\0\x01f\0\0"), "expected families with distinct names");
    let mut group = b"\0\x01\0\x01\x01\x01n\x01v\x01\x01\x01f\x01".to_vec();
    write::bytes(&mut group, &[&b"\x01\0\0\0\0\0\0\0\0"[..], &[0xff; 6]].concat());
    check(&value(&group), "expected a time whose nanoseconds are less than a second");
}

#[test]
fn skipped_values_are_checked() {
    // A field that nobody knows stands between those that are known.
    let check_skipped = |id: i64, value: &[u8], expected: &str| {
        let map = |id, key, elem| write::definition(id, 4, "m", &write::parts(&[key, elem]));
        let structure = |id, fields: &[(&str, i64)]| write::definition(id, 3, "s", &write::fields(fields));
        let definitions = [
            map(64, 6, 65),
            structure(65, &[("Labels", 66), ("New", id), ("Metrics", 68)]),
            map(66, 6, 6),
            structure(67, &[("Timestamp", 70), ("GobbableMetricFamily", 70)]),
            map(68, 6, 67),
            write::definition(70, 5, "o", &[]),
            write::definition(80, 1, "a", &write::parts(&[1, 2])),
            write::definition(81, 2, "l", &write::parts(&[81])),
            structure(82, &[("F", 1)]),
        ];
        let group = [b"\0\x01\0\x01\x01\x01n\x01v\x01", value, b"\0"].concat();
        let file = file(&definitions, 64, &group);
        if expected.is_empty() {
            assert_eq!(read_twice(&file).map(|groups| groups.len()), Ok(1));
        } else {
            check(&file, expected);
        }
    };
    check_skipped(1, b"\x01", "");
    check_skipped(4, b"\xf8", "expected a number");
    check_skipped(7, b"\x01\xf8", "expected a number");
    check_skipped(TypeId::STRING.0, b"\x05", "expected bytes");
    check_skipped(70, b"\x05", "expected bytes");
    check_skipped(8, b"\0", "");
    check_skipped(8, b"\x01a\x04\x01\x01", "expected an empty interface");
    check_skipped(9, b"\0", "expected a value of a type that was defined");
    check_skipped(0, b"\0", "expected a value of a type that was defined");
    check_skipped(80, b"\x02\x01\x01", "");
    check_skipped(80, b"\x01\x01", "expected the length of an array");
    check_skipped(80, b"\x7f", "expected the length of an array");
    check_skipped(81, b"\x01\x01\0", "");
    check_skipped(81, b"\x03", "expected the length of a slice");
    check_skipped(66, b"\x03\0\0\0", "expected the length of a map");
    check_skipped(82, b"\x02", "expected a field of the struct");
    check_skipped(81, &[&vec![1; GOB_DEPTH_MAX - 1][..], b"\0"].concat(), "");
    check_skipped(81, &[&vec![1; GOB_DEPTH_MAX][..], b"\0"].concat(), "expected a value that is not so deep in others");
    check_skipped(81, &vec![1; 100_000], "expected a value that is not so deep in others");
}
