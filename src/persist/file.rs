//! The file that `--persistence.file` names: what it is, how a new one comes to be, and what is said if it is no good.
//!
//! A file that is there is changed only once it has been opened as a database and found whole. A new one is made under
//! another name and renamed, so that there is never half a file under the name itself; in the place of a file of the
//! original that is done once all its groups are in the new one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;

use super::database::{MAGIC, RedbEngine};
use super::engine::{Disk, Engine, Found};
use super::gob;
use crate::limits::KEPT_FILES_MAX;

/// The file.
#[derive(Debug)]
pub struct DatabaseFile {
    path: PathBuf,
    /// Whether pushes are checked before they are stored.
    is_checked: bool,
    /// The database does not have its name yet.
    is_unfinished: bool,
}

impl DatabaseFile {
    /// The file at this path.
    pub fn new(path: PathBuf, is_checked: bool) -> Self {
        Self { path, is_checked, is_unfinished: false }
    }

    fn open_file(&self, path: &Path) -> Result<RedbEngine<FileBackend>, String> {
        let file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| format!("it cannot be opened: {error}"))?;
        let backend = FileBackend::new(file).map_err(|error| error.to_string())?;
        RedbEngine::open(backend, self.is_checked)
    }

    /// Makes a new database under another name; [`DatabaseFile::adopt`] gives it its own.
    fn create(&mut self) -> Result<RedbEngine<FileBackend>, String> {
        let path = self.unfinished();
        let cannot = |error: io::Error| format!("{} cannot be made: {error}", path.display());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
            _ => {}
        }
        File::create_new(&path).map_err(cannot)?;
        let engine = self.open_file(&path)?;
        engine.release()?;
        self.is_unfinished = true;
        Ok(engine)
    }

    /// Where the database is now.
    fn current(&self) -> PathBuf {
        if self.is_unfinished { self.unfinished() } else { self.path.clone() }
    }

    /// Gives the new database its name, in the place of what has it now.
    fn adopt(&mut self) -> Result<(), String> {
        let unfinished = self.unfinished();
        let cannot = |error: io::Error| format!("{} cannot be renamed: {error}", unfinished.display());
        fs::rename(&unfinished, &self.path).map_err(cannot)?;
        self.is_unfinished = false;
        sync_directory_of(&self.path).map_err(cannot)
    }

    /// Gives the file another name, too; which.
    fn keep(&self) -> io::Result<PathBuf> {
        for number in 0..KEPT_FILES_MAX {
            let suffix = if number == 0 { ".original".to_owned() } else { format!(".original.{number}") };
            let kept = with_suffix(&self.path, &suffix);
            match fs::hard_link(&self.path, &kept) {
                Ok(()) => return Ok(kept),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    // A start that was cut short had kept it already.
                    if fs::read(&kept)? == fs::read(&self.path)? {
                        return Ok(kept);
                    }
                }
                // Not every file system has links.
                Err(_) => {
                    let mut copy = File::create_new(&kept)?;
                    io::copy(&mut File::open(&self.path)?, &mut copy)?;
                    copy.sync_all()?;
                    return Ok(kept);
                }
            }
        }
        Err(io::Error::other("too many files of the original were kept already"))
    }

    /// The name of a database that is being made.
    fn unfinished(&self) -> PathBuf {
        with_suffix(&self.path, ".new")
    }
}

impl Disk for DatabaseFile {
    fn open(&mut self) -> Result<Found, String> {
        let found = kind_of(&self.path).and_then(|kind| match kind {
            Kind::Missing => {
                let engine = self.create()?;
                self.adopt()?;
                Ok((engine, None))
            }
            Kind::Database => Ok((self.open_file(&self.path)?, None)),
            Kind::Empty => Err("it is empty, which no file of this program is".to_owned()),
            Kind::Other => {
                let foreign = read_foreign(&self.path)?;
                Ok((self.create()?, Some(foreign)))
            }
        });
        let (engine, foreign) = found.map_err(|reason| super::refusal(&self.path, &reason))?;
        Ok(Found { engine: Box::new(engine), foreign })
    }

    fn replace_foreign(&mut self) -> Result<PathBuf, String> {
        let kept = self
            .keep()
            .map_err(|error| super::refusal(&self.path, &format!("it cannot be kept under another name: {error}")))?;
        self.adopt().map_err(|reason| super::refusal(&self.path, &reason))?;
        Ok(kept)
    }

    fn reopen(&mut self) -> Result<Box<dyn Engine>, String> {
        // It was there: an empty one in its place would look as if nothing had been stored.
        let engine = self.open_file(&self.current())?;
        engine.release()?;
        Ok(Box::new(engine))
    }

    fn bytes(&self) -> u64 {
        fs::metadata(self.current()).map_or(0, |metadata| metadata.len())
    }

    fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

enum Kind {
    Missing,
    Empty,
    Database,
    Other,
}

fn kind_of(path: &Path) -> Result<Kind, String> {
    let cannot = |error: io::Error| format!("it cannot be read: {error}");
    match fs::metadata(path) {
        // Opening a pipe would wait for somebody who writes to it.
        Ok(metadata) if !metadata.is_file() => return Err("it is no regular file".to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kind::Missing),
        Err(error) => return Err(cannot(error)),
    }
    let file = File::open(path).map_err(cannot)?;
    let mut head = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut head).map_err(cannot)?;
    Ok(match &*head {
        b"" => Kind::Empty,
        MAGIC => Kind::Database,
        _ => Kind::Other,
    })
}

/// The original's file, which has been read once.
fn read_foreign(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = fs::read(path).map_err(|error| format!("it cannot be read: {error}"))?;
    match gob::read(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) if gob::looks_like(&bytes) => {
            Err(format!("it is of the original Pushgateway, and damaged: {error}"))
        }
        Err(_) => Err("it is no persistence file, neither of this program nor of the original Pushgateway".to_owned()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes sure that names in the directory of a file are on the disk.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
