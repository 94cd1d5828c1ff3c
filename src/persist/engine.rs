//! What the helper thread asks of a database, so that tests can put one in its place that fails when they say.

use std::path::PathBuf;

use super::batch::Batch;
use super::report::LoadedGroup;

/// An open database.
pub trait Engine {
    /// Hands over every group, in the order of keys, until `each` says that nobody wants more.
    ///
    /// # Errors
    /// What is wrong with the file.
    fn load(&mut self, each: &mut dyn FnMut(LoadedGroup) -> bool) -> Result<(), String>;

    /// Makes these changes, all of them or none, and returns when they are on the disk.
    ///
    /// # Errors
    /// Why nothing has changed. The engine has to be opened anew.
    fn commit(&mut self, batch: &Batch) -> Result<(), String>;

    /// Whether all that is stored was checked when it was pushed.
    fn is_verified(&self) -> bool;
}

/// What was found at the start.
pub struct Found {
    /// The database.
    pub engine: Box<dyn Engine>,
    /// The original's file, whose groups are to be put into the database, which takes its place behind that.
    pub foreign: Option<Vec<u8>>,
}

/// Where the database is.
pub trait Disk: Send {
    /// Opens the database for the first time; makes a new one where there is none.
    ///
    /// # Errors
    /// What is wrong, and the way out. Nothing that was there has been changed.
    fn open(&mut self) -> Result<Found, String>;

    /// Puts the database in the place of the original's file; under which name that is kept.
    ///
    /// # Errors
    /// Why it cannot. The original's file has its name still.
    fn replace_foreign(&mut self) -> Result<PathBuf, String>;

    /// Opens it again behind an error.
    ///
    /// # Errors
    /// Why it cannot be opened now; it may be later.
    fn reopen(&mut self) -> Result<Box<dyn Engine>, String>;

    /// Whether the file still has its name.
    ///
    /// # Errors
    /// What has become of it.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// The length of the file, bytes; 0 if it cannot be told.
    fn bytes(&self) -> u64;

    /// The file, for messages.
    fn path(&self) -> PathBuf;
}
