//! The file that `--persistence.file` names: what it is, how a new one comes to be, and what is said if it is no good.
//!
//! A file that is there is changed only once it has been opened as a database and found whole. A new one is made under
//! another name and renamed, so that there is never half a file under the name itself; in the place of a file of the
//! original that is done once all its groups are in the new one. Who makes one holds a lock on the directory meanwhile:
//! of several processes that start at once, the others find the file of the first.
//!
//! What is committed to a file that has lost its name would be lost with the process, so every commit ends with a look at
//! what the name leads to.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;

use super::database::{MAGIC, RedbEngine};
use super::engine::{Disk, Engine, Found};
use super::gob;
use crate::limits::{KEPT_FILES_MAX, LINKS_FOLLOWED_MAX};

/// The file.
#[derive(Debug)]
pub struct DatabaseFile {
    /// The name that was given, for messages.
    name: PathBuf,
    /// Where that leads to.
    path: PathBuf,
    /// Whether pushes are checked before they are stored.
    is_checked: bool,
    /// The database does not have its name yet: the lock on the directory, where there are such.
    unfinished: Option<Option<File>>,
    /// The file that was opened first; none other is gone on with.
    identity: Option<Identity>,
}

/// What tells a file from all others: device and number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

impl DatabaseFile {
    /// The file at this path.
    pub fn new(path: PathBuf, is_checked: bool) -> Self {
        Self { name: path.clone(), path, is_checked, unfinished: None, identity: None }
    }

    fn open_file(&mut self, path: &Path) -> Result<RedbEngine<FileBackend>, String> {
        let file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| format!("it cannot be opened: {error}"))?;
        let identity = Identity::of(&file.metadata().map_err(|error| format!("it cannot be read: {error}"))?);
        if *self.identity.get_or_insert(identity) != identity {
            return Err(MISPLACED.to_owned());
        }
        let backend = FileBackend::new(file).map_err(|error| error.to_string())?;
        RedbEngine::open(backend, self.is_checked)
    }

    /// Makes a new database under another name; [`DatabaseFile::adopt`] gives it its own.
    fn create(&mut self, lock: Option<File>) -> Result<RedbEngine<FileBackend>, String> {
        let path = self.unfinished_path();
        let cannot = |error: io::Error| format!("{} cannot be made: {error}", path.display());
        if let Ok(left) = File::open(&path) {
            // What a start that was cut short has left. Should it be in use after all, its user has a lock on it.
            left.try_lock().map_err(|error| cannot(error.into()))?;
            fs::remove_file(&path).map_err(cannot)?;
        }
        File::create_new(&path).map_err(cannot)?;
        let made = self.open_file(&path).and_then(|engine| engine.release().map(|()| engine));
        match made {
            Ok(engine) => {
                self.unfinished = Some(lock);
                Ok(engine)
            }
            Err(reason) => {
                // Nobody needs half of it; if it stays, the next start removes it.
                let _ = fs::remove_file(&path);
                Err(format!("{} cannot be made: {reason}", path.display()))
            }
        }
    }

    /// Where the database is now.
    fn current(&self) -> PathBuf {
        if self.unfinished.is_some() { self.unfinished_path() } else { self.path.clone() }
    }

    /// Gives the new database its name, in the place of what has it now.
    fn adopt(&mut self) -> Result<(), String> {
        let unfinished = self.unfinished_path();
        let cannot = |error: io::Error| format!("{} cannot be renamed: {error}", unfinished.display());
        fs::rename(&unfinished, &self.path).map_err(cannot)?;
        self.unfinished = None;
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
    fn unfinished_path(&self) -> PathBuf {
        with_suffix(&self.path, ".unfinished")
    }

    /// Opens what is there, or makes what is not.
    fn find(&mut self) -> Result<(RedbEngine<FileBackend>, Option<Vec<u8>>), String> {
        self.path = target_of(&self.name);
        let mut kind = kind_of(&self.path)?;
        let mut lock = None;
        if matches!(kind, Kind::Missing | Kind::Other) {
            lock = lock_directory_of(&self.path);
            kind = kind_of(&self.path)?;
        }
        let path = self.path.clone();
        match kind {
            Kind::Missing => {
                let engine = self.create(lock)?;
                self.adopt()?;
                Ok((engine, None))
            }
            Kind::Database => Ok((self.open_file(&path)?, None)),
            Kind::Empty => Err("it is empty, which no file of this program is".to_owned()),
            Kind::Other => {
                let foreign = read_foreign(&path)?;
                Ok((self.create(lock)?, Some(foreign)))
            }
        }
    }
}

impl Disk for DatabaseFile {
    fn open(&mut self) -> Result<Found, String> {
        let (engine, foreign) = self.find().map_err(|reason| super::refusal(&self.name, &reason))?;
        Ok(Found { engine: Box::new(engine), foreign })
    }

    fn replace_foreign(&mut self) -> Result<PathBuf, String> {
        let kept = self
            .keep()
            .map_err(|error| super::refusal(&self.name, &format!("it cannot be kept under another name: {error}")))?;
        self.adopt().map_err(|reason| super::refusal(&self.name, &reason))?;
        Ok(kept)
    }

    fn reopen(&mut self) -> Result<Box<dyn Engine>, String> {
        // It was there: an empty one in its place would look as if nothing had been stored.
        let path = self.current();
        let engine = self.open_file(&path)?;
        engine.release()?;
        Ok(Box::new(engine))
    }

    fn check(&self) -> Result<(), String> {
        let found = fs::metadata(self.current()).map(|metadata| Identity::of(&metadata)).ok();
        if found == self.identity { Ok(()) } else { Err(MISPLACED.to_owned()) }
    }

    fn bytes(&self) -> u64 {
        fs::metadata(self.current()).map_or(0, |metadata| metadata.len())
    }

    fn path(&self) -> PathBuf {
        self.name.clone()
    }
}

/// Why nothing is committed any more.
const MISPLACED: &str = "the persistence file has been removed or replaced; put it back in its place";

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

/// What a name leads to through links, whether or not there is anything.
fn target_of(name: &Path) -> PathBuf {
    let mut path = name.to_owned();
    for _ in 0..LINKS_FOLLOWED_MAX {
        let Ok(link) = fs::read_link(&path) else { break };
        path = directory_of(&path).join(link);
    }
    path
}

/// Waits until nobody else makes a file there. There are file systems without such locks.
fn lock_directory_of(path: &Path) -> Option<File> {
    let directory = File::open(directory_of(path)).ok()?;
    directory.lock().ok()?;
    Some(directory)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes sure that names in the directory of a file are on the disk.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}
