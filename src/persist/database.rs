//! The database: redb, one table of groups and one of what is known of the file.
//!
//! Each commit is a transaction that is synced before it returns. The file is checked as a whole when it is opened, so
//! that damage is found before anything is built on it.
//!
//! A long record is cut into parts. A value takes a power of two of bytes in the file, and all of it stands in memory
//! while it is written; parts just below such a size keep both small.

use std::ops::Range;

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, StorageError, Table,
    TableDefinition, TableError, WriteTransaction,
};

use super::batch::Batch;
use super::deferred::Deferred;
use super::engine::Engine;
use super::record::{self, RecordError};
use super::report::{LoadedGroup, bad_record};
use crate::limits::{DATABASE_CACHE_BYTES, RECORD_PART_BYTES};
use crate::store::GroupKey;

/// Group keys in comparable form with the number of a part, and parts of records. The first part begins with how many
/// there are, in four bytes.
const GROUPS: TableDefinition<'_, (&[u8], u32), &[u8]> = TableDefinition::new("groups");
/// What is known of the file.
const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");

/// The fact that says which form the file has.
const FORMAT: &str = "format";
/// What this program writes, and all that it reads.
const FORMAT_VERSION: u64 = 1;
/// The fact that is 1 if something may be stored that was not checked.
const UNCHECKED: &str = "unchecked";

/// What the file begins with.
pub const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// An open file.
pub struct RedbEngine<B> {
    database: Database,
    file: Deferred<B>,
    is_verified: bool,
}

impl<B: StorageBackend> RedbEngine<B> {
    /// Opens the database in `file`, or makes one there if it is empty. `is_checked` tells whether what is going to be
    /// stored was checked. Nothing is written before the first commit, or [`RedbEngine::release`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(file: B, is_checked: bool) -> Result<Self, String> {
        let mut builder = Builder::new();
        builder.set_cache_size(DATABASE_CACHE_BYTES).set_check_integrity_on_open(true);
        let file = Deferred::new(file).map_err(|error| format!("it cannot be read: {error}"))?;
        let database = builder.create_with_backend(file.clone()).map_err(|error| refusal(&error))?;
        let is_verified = read_facts(&database)?;
        let mut engine = Self { database, file, is_verified: is_verified.unwrap_or(true) };
        if is_verified.is_none() || (engine.is_verified && !is_checked) {
            engine.is_verified &= is_checked;
            engine.write_facts().map_err(|error| error.to_string())?;
        }
        Ok(engine)
    }

    /// Writes from now on, behind what opening had to write.
    ///
    /// # Errors
    /// Why the file cannot be written.
    pub fn release(&self) -> Result<(), String> {
        self.file.release().map_err(|error| format!("it cannot be written: {error}"))
    }

    /// Begins a commit that the header of the file points to only once all of it is on the disk. Otherwise damage in
    /// what the last commit wrote would look like a commit that was cut short, and the one before it be taken.
    fn begin(&self) -> Result<WriteTransaction, redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_two_phase_commit(true);
        Ok(transaction)
    }

    fn write_facts(&self) -> Result<(), redb::Error> {
        let transaction = self.begin()?;
        {
            let mut facts = transaction.open_table(FACTS)?;
            facts.insert(FORMAT, FORMAT_VERSION)?;
            facts.insert(UNCHECKED, u64::from(!self.is_verified))?;
            transaction.open_table(GROUPS)?;
        }
        Ok(transaction.commit()?)
    }

    fn try_commit(&mut self, batch: &Batch) -> Result<(), redb::Error> {
        let transaction = self.begin()?;
        if batch.is_wipe {
            transaction.delete_table(GROUPS)?;
        }
        {
            let mut groups = transaction.open_table(GROUPS)?;
            for (key, record) in batch.changes() {
                match record {
                    Some(record) => put(&mut groups, key.as_bytes(), record)?,
                    None => remove(&mut groups, key.as_bytes())?,
                }
            }
        }
        if batch.is_verified && !self.is_verified {
            transaction.open_table(FACTS)?.insert(UNCHECKED, 0)?;
        }
        transaction.commit()?;
        self.is_verified |= batch.is_verified;
        Ok(())
    }

    /// Hands over every group; what is wrong with one, if anything is.
    fn try_load(&self, each: &mut dyn FnMut(LoadedGroup) -> bool) -> Result<Result<(), String>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let groups = transaction.open_table(GROUPS)?;
        let (mut key, mut record, mut parts_left) = (Vec::new(), Vec::new(), 0);
        for entry in groups.iter()? {
            let (place, part) = entry?;
            let ((group, number), part) = (place.value(), part.value());
            if number == 0 && parts_left == 0 {
                let Some((parts, begin)) = part.split_first_chunk::<4>() else {
                    return Ok(Err(bad_record(group, RecordError::Damaged)));
                };
                (key, record, parts_left) = (group.to_vec(), begin.to_vec(), u32::from_le_bytes(*parts));
            } else if group == key && parts_left > 0 {
                record.extend_from_slice(part);
            } else {
                return Ok(Err(bad_record(group, RecordError::Damaged)));
            }
            parts_left = parts_left.saturating_sub(1);
            if parts_left > 0 {
                continue;
            }
            match loaded(&key, &record) {
                Ok(group) => {
                    if !each(group) {
                        break;
                    }
                }
                Err(error) => return Ok(Err(bad_record(&key, error))),
            }
        }
        Ok(if parts_left == 0 { Ok(()) } else { Err(bad_record(&key, RecordError::Damaged)) })
    }
}

type Groups<'a> = Table<'a, (&'static [u8], u32), &'static [u8]>;

/// Puts a record in the place of the one that the group has.
fn put(groups: &mut Groups<'_>, key: &[u8], record: &[u8]) -> Result<(), redb::Error> {
    let (begin, rest) = record.split_at(record.len().min(RECORD_PART_BYTES - 4));
    let parts = 1 + rest.len().div_ceil(RECORD_PART_BYTES) as u32;
    let first = [&parts.to_le_bytes(), begin].concat();
    let old = groups.insert((key, 0), &*first)?.map_or(0, |old| parts_of(old.value()));
    for (number, part) in (1..).zip(rest.chunks(RECORD_PART_BYTES)) {
        groups.insert((key, number), part)?;
    }
    remove_parts(groups, key, parts..old)
}

fn remove(groups: &mut Groups<'_>, key: &[u8]) -> Result<(), redb::Error> {
    let old = groups.remove((key, 0))?.map_or(0, |old| parts_of(old.value()));
    remove_parts(groups, key, 1..old)
}

fn remove_parts(groups: &mut Groups<'_>, key: &[u8], parts: Range<u32>) -> Result<(), redb::Error> {
    for number in parts {
        groups.remove((key, number))?;
    }
    Ok(())
}

/// How many parts the record has that begins so.
fn parts_of(first: &[u8]) -> u32 {
    first.first_chunk().map_or(0, |parts| u32::from_le_bytes(*parts))
}

/// A record as it is handed over.
fn loaded(key: &[u8], record: &[u8]) -> Result<LoadedGroup, RecordError> {
    let body = record::unpack(key, record)?;
    let key = GroupKey::from_bytes(key).ok_or(RecordError::Damaged)?;
    Ok(LoadedGroup { key, body })
}

impl<B: StorageBackend> Engine for RedbEngine<B> {
    fn load(&mut self, each: &mut dyn FnMut(LoadedGroup) -> bool) -> Result<(), String> {
        self.try_load(each).map_err(|error| format!("it cannot be read: {error}"))?
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), String> {
        self.release()?;
        self.try_commit(batch).map_err(|error| error.to_string())
    }

    fn is_verified(&self) -> bool {
        self.is_verified
    }
}

/// Whether all that is stored was checked; `None` if the database is new.
fn read_facts(database: &Database) -> Result<Option<bool>, String> {
    let read = || -> Result<Option<(u64, u64)>, redb::Error> {
        let transaction = database.begin_read()?;
        let facts = match transaction.open_table(FACTS) {
            Err(TableError::TableDoesNotExist(_)) if transaction.list_tables()?.next().is_none() => return Ok(None),
            facts => facts?,
        };
        let fact = |name: &str| -> Result<u64, redb::Error> { Ok(facts.get(name)?.map_or(0, |fact| fact.value())) };
        Ok(Some((fact(FORMAT)?, fact(UNCHECKED)?)))
    };
    match read() {
        Ok(None) => Ok(None),
        Ok(Some((FORMAT_VERSION, unchecked))) => Ok(Some(unchecked == 0)),
        Ok(Some((format, _))) if format > FORMAT_VERSION => {
            Err(format!("it is of a newer version of this program: its format is {format}, {FORMAT_VERSION} is known"))
        }
        Ok(Some(_)) | Err(redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. }) => {
            Err("it is a database of another program".to_owned())
        }
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}

fn refusal(error: &DatabaseError) -> String {
    match error {
        DatabaseError::DatabaseAlreadyOpen => "another process has it open".to_owned(),
        DatabaseError::UpgradeRequired(version) => format!("it has version {version} of its format, which is too old"),
        DatabaseError::Storage(StorageError::Corrupted(what)) => format!("it is damaged: {what}"),
        DatabaseError::Storage(StorageError::Io(error)) => format!("it cannot be read or written: {error}"),
        error => format!("it cannot be opened: {error}"),
    }
}

#[cfg(test)]
mod tests;
