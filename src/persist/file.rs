//! The file that `--persistence.file` names: what it is, how a new one comes to be, and what is said if it is no good.
//!
//! A file that is there is changed only once it has been opened as a database and found whole. A new one is made under
//! another name and renamed, so that there is never half a file under the name itself.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;

use super::database::{MAGIC, RedbEngine};
use super::engine::{Disk, Engine};

/// The file.
#[derive(Debug)]
pub struct DatabaseFile {
    path: PathBuf,
    /// Whether pushes are checked before they are stored.
    is_checked: bool,
}

impl DatabaseFile {
    /// The file at this path.
    pub fn new(path: PathBuf, is_checked: bool) -> Self {
        Self { path, is_checked }
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
    fn create(&self) -> Result<RedbEngine<FileBackend>, String> {
        let path = self.unfinished();
        let cannot = |error: io::Error| format!("{} cannot be made: {error}", path.display());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
            _ => {}
        }
        File::create_new(&path).map_err(cannot)?;
        let engine = self.open_file(&path)?;
        engine.release()?;
        Ok(engine)
    }

    /// Gives the new database its name, in the place of what has it now.
    fn adopt(&self) -> Result<(), String> {
        let cannot = |error: io::Error| format!("{} cannot be renamed: {error}", self.unfinished().display());
        fs::rename(self.unfinished(), &self.path).map_err(cannot)?;
        sync_directory_of(&self.path).map_err(cannot)
    }

    /// The name of a database that is being made.
    fn unfinished(&self) -> PathBuf {
        with_suffix(&self.path, ".new")
    }
}

impl Disk for DatabaseFile {
    fn open(&mut self) -> Result<Box<dyn Engine>, String> {
        let found = kind_of(&self.path).and_then(|kind| match kind {
            Kind::Missing => {
                let engine = self.create()?;
                self.adopt()?;
                Ok(engine)
            }
            Kind::Database => self.open_file(&self.path),
            Kind::Empty => Err("it is empty, which no file of this program is".to_owned()),
            Kind::Other => Err("it is no persistence file of this program".to_owned()),
        });
        Ok(Box::new(found.map_err(|reason| super::refusal(&self.path, &reason))?))
    }

    fn reopen(&mut self) -> Result<Box<dyn Engine>, String> {
        // It was there: an empty one in its place would look as if nothing had been stored.
        let engine = self.open_file(&self.path)?;
        engine.release()?;
        Ok(Box::new(engine))
    }

    fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
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
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kind::Missing),
        Err(error) => return Err(cannot(error)),
    };
    let mut head = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut head).map_err(cannot)?;
    Ok(match &*head {
        b"" => Kind::Empty,
        MAGIC => Kind::Database,
        _ => Kind::Other,
    })
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
