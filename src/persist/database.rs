//! The database: redb, one table of groups and one of what is known of the file.
//!
//! Each commit is a transaction that is synced before it returns. The file is checked as a whole when it is opened, so
//! that damage is found before anything is built on it.

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, StorageError, TableDefinition,
    TableError,
};

use super::batch::Batch;
use super::engine::{Engine, LoadedGroup, bad_record};
use super::record;
use crate::limits::DATABASE_CACHE_BYTES;
use crate::store::GroupKey;

/// Group keys in comparable form, and records.
const GROUPS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("groups");
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
pub struct RedbEngine {
    database: Database,
    is_verified: bool,
}

impl RedbEngine {
    /// Opens the database in `backend`, or makes one there if it is empty. `is_checked` tells whether what is going to
    /// be stored was checked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(backend: impl StorageBackend, is_checked: bool) -> Result<Self, String> {
        let mut builder = Builder::new();
        builder.set_cache_size(DATABASE_CACHE_BYTES).set_check_integrity_on_open(true);
        let database = builder.create_with_backend(backend).map_err(|error| refusal(&error))?;
        let is_verified = read_facts(&database)?;
        let mut engine = Self { database, is_verified: is_verified.unwrap_or(true) };
        if is_verified.is_none() || (engine.is_verified && !is_checked) {
            engine.is_verified &= is_checked;
            engine.write_facts().map_err(|error| error.to_string())?;
        }
        Ok(engine)
    }

    fn write_facts(&self) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut facts = transaction.open_table(FACTS)?;
            facts.insert(FORMAT, FORMAT_VERSION)?;
            facts.insert(UNCHECKED, u64::from(!self.is_verified))?;
            transaction.open_table(GROUPS)?;
        }
        Ok(transaction.commit()?)
    }

    fn try_commit(&mut self, batch: &Batch) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        if batch.is_wipe {
            transaction.delete_table(GROUPS)?;
        }
        {
            let mut groups = transaction.open_table(GROUPS)?;
            for (key, record) in batch.changes() {
                match record {
                    Some(record) => drop(groups.insert(key.as_bytes(), record)?),
                    None => drop(groups.remove(key.as_bytes())?),
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

    fn try_load(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<bool, String>) -> Result<(), LoadError> {
        let transaction = self.database.begin_read().map_err(redb::Error::from)?;
        let groups = transaction.open_table(GROUPS).map_err(redb::Error::from)?;
        for entry in groups.iter().map_err(redb::Error::from)? {
            let (key, record) = entry.map_err(redb::Error::from)?;
            if !each(key.value(), record.value()).map_err(LoadError::Record)? {
                break;
            }
        }
        Ok(())
    }
}

enum LoadError {
    Database(redb::Error),
    Record(String),
}

impl From<redb::Error> for LoadError {
    fn from(error: redb::Error) -> Self {
        Self::Database(error)
    }
}

impl Engine for RedbEngine {
    fn load(&mut self, each: &mut dyn FnMut(LoadedGroup) -> bool) -> Result<(), String> {
        let outcome = self.try_load(&mut |key, packed| {
            let body = record::unpack(key, packed).map_err(|error| bad_record(key, error))?;
            let key = GroupKey::from_bytes(key).ok_or_else(|| bad_record(key, record::RecordError::Damaged))?;
            Ok(each(LoadedGroup { key, body }))
        });
        outcome.map_err(|error| match error {
            LoadError::Database(error) => error.to_string(),
            LoadError::Record(message) => message,
        })
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), String> {
        self.try_commit(batch).map_err(|error| error.to_string())
    }

    fn compact(&mut self) -> Result<(), String> {
        self.database.compact().map(drop).map_err(|error| error.to_string())
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
