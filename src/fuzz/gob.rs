//! Fuzz body of the reader of the original's files: it reads what a plain one reads, and whatever that is, a store takes it
//! or says why not.

use crate::app::import::Importer;
use crate::limits::ERROR_BYTES_MAX;
use crate::persist::gob::write::{self, Sender};
use crate::persist::gob::{looks_like, naive, read};
use crate::store::Store;

/// Reads `data` as a file of the original, and as the value in such a file, whose last byte says how the types are.
///
/// # Panics
/// If the reader and its oracle differ, or an invariant of the store does not hold.
pub fn gob_reader(data: &[u8]) {
    check(data, Sender::default());
    if let Some((choice, value)) = data.split_last() {
        let sender = Sender::numbered(*choice);
        check(&write::file_of_value(value, sender), sender);
    }
}

/// Reads a file, imports what is in it, and reads it again as `sender` would write it.
fn check(file: &[u8], sender: Sender) {
    let found = read(file);
    naive::compare(file, &found);
    let Ok(groups) = found else { return };
    assert!(looks_like(file), "{}", file.escape_ascii());
    let elements: usize = groups.iter().map(|group| 1 + group.labels.len() + group.families.len()).sum();
    assert!(elements < file.len(), "{}", file.escape_ascii());
    let mut store = Store::new();
    let errors = Importer::default().import_all(&mut store, &groups);
    store.verify();
    for error in &errors {
        // The labels of the group and the name of the family, and what a refusal may be.
        assert!(error.to_string().len() <= 2 * ERROR_BYTES_MAX, "{}", file.escape_ascii());
    }
    assert!(store.audit().is_empty(), "{}", file.escape_ascii());
    assert!(!errors.is_empty() || store.group_count() == groups.len(), "{}", file.escape_ascii());
    assert_eq!(read(&write::file(&groups, sender)), Ok(groups), "{sender:?}: {}", file.escape_ascii());
}
