//! Persistence: groups in and out of an embedded database, off the loop.
//!
//! Owns the form of a group on disk, the helper thread that does all file work, and the decision what is written when.
//! It never sees a request or a socket, and the loop's side of it ([`Journal`]) never waits for a disk.

mod batch;
#[cfg(feature = "persistence")]
mod database;
#[cfg(feature = "persistence")]
mod deferred;
#[cfg(feature = "persistence")]
mod engine;
#[cfg(feature = "persistence")]
mod file;
pub mod gob;
mod journal;
pub mod record;
mod report;
#[cfg(test)]
pub mod simulated;
#[cfg_attr(not(feature = "persistence"), path = "persist/no_worker.rs")]
mod worker;

use std::path::{Path, PathBuf};

pub use journal::{Event, Journal, Readings, Settled, Sync, Ticket};
pub use report::{LoadedGroup, Wake, bad_record};

/// How groups are to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The file.
    pub path: PathBuf,
    /// When changes are written.
    pub sync: Sync,
    /// Whether pushes are checked before they are stored.
    pub is_checked: bool,
}

/// Starts to load what is kept. What comes of it are the journal's events; `wake` is called when there is one.
///
/// # Errors
/// If no thread can be started, or this build cannot keep anything.
#[cfg(feature = "persistence")]
pub fn start(options: &Options, wake: Wake) -> Result<Journal, String> {
    let disk = file::DatabaseFile::new(options.path.clone(), options.is_checked);
    let worker =
        worker::Worker::start(Box::new(disk), wake).map_err(|error| format!("cannot start a thread: {error}"))?;
    Ok(Journal::new(worker, options.path.clone(), options.sync))
}

/// See there.
///
/// # Errors
/// Always: this build cannot keep anything.
#[cfg(not(feature = "persistence"))]
pub fn start(_: &Options, _: Wake) -> Result<Journal, String> {
    Err("not supported by this build: --persistence.file".to_owned())
}

/// The message about a file that cannot be used.
pub fn refusal(path: &Path, reason: &str) -> String {
    format!(
        "the persistence file {} was left as it is: {reason}. Move it away to start with an empty store, or name another \
         one with --persistence.file",
        path.display()
    )
}
