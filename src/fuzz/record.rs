//! Fuzz body of the records of the persistence file: bytes are a group or refused, and a group that a store takes is
//! written as it was read.

use crate::exposition::protobuf::native_series;
use crate::persist::record::{Encoder, parse, unpack};
use crate::store::{GroupKey, Store};

/// Reads `data` as a record, and as the body that a record was taken out of, whose checksum held.
///
/// # Panics
/// If an invariant of the store does not hold, or a group does not come back as it was.
pub fn record_reader(data: &[u8]) {
    let key = GroupKey::new([("instance", "i\0"), ("job", "j")]);
    if let Ok(body) = unpack(key.as_bytes(), data) {
        check(&key, &body);
    }
    check(&key, data);
}

fn check(key: &GroupKey, body: &[u8]) {
    let Ok(group) = parse(key.as_bytes(), body, native_series) else { return };
    let mut store = Store::new();
    if !store.restore(&group) {
        return;
    }
    store.verify();
    let kept = store.group(key).expect("it was just restored");
    let (mut encoder, mut record) = (Encoder::default(), Vec::new());
    encoder.begin(&kept, &mut record);
    while !encoder.advance(&store, &mut record, &mut 100) {}
    let body = unpack(key.as_bytes(), &record).expect("it was just written");
    let mut again = parse(key.as_bytes(), &body, native_series).expect("it was just written");
    // A group has its families in the order of their names.
    let mut group = group;
    group.families.sort_by_key(|family| family.name);
    again.families.sort_by_key(|family| family.name);
    assert_eq!(again.families.len(), group.families.len());
    for (again, before) in again.families.iter().zip(&group.families) {
        assert_eq!((again.name, again.kind, again.help), (before.name, before.kind, before.help));
        assert_eq!((again.text, &again.notes, again.written), (before.text, &before.notes, before.written));
        assert_eq!(again.details, before.details);
    }
    assert_eq!((again.pushed, again.failed), (group.pushed, group.failed));
    assert!(store.delete(key));
    store.verify();
    assert_eq!(store.bytes(), 0);
}
