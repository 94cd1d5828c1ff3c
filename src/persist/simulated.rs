//! Disks for tests: one that holds records, and one that holds the bytes of a database. They fail, hang and forget when
//! the test says so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard};

use super::batch::Batch;
use super::engine::{Engine, Found};
use super::record;
use super::report::LoadedGroup;
use crate::store::GroupKey;

pub use super::engine::Disk;
pub use super::worker::inline::{Hand, Told};

/// What fails next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Opening for the first time.
    Open,
    /// Reading what is there.
    Load,
    /// A commit, of which nothing is there then.
    Commit,
    /// Opening behind an error.
    Reopen,
    /// Taking the place of the original's file.
    Replace,
}

/// A disk, as the test sees it.
#[derive(Default)]
pub struct Platter {
    /// Keys and records.
    pub groups: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What fails, and how many times it works before.
    pub faults: Vec<(Fault, usize)>,
    /// Something may not have been checked.
    pub is_unverified: bool,
    /// A file of the original.
    pub foreign: Option<Vec<u8>>,
    /// Commits that succeeded.
    pub commits: usize,
    /// How often it was opened behind an error.
    pub opens: usize,
    /// While it is there, a commit waits for the test.
    pub gate: Option<Receiver<()>>,
}

impl Platter {
    fn fails(&mut self, what: Fault) -> Result<(), String> {
        let Some(at) = self.faults.iter().position(|(fault, _)| *fault == what) else { return Ok(()) };
        if self.faults[at].1 > 0 {
            self.faults[at].1 -= 1;
            return Ok(());
        }
        self.faults.remove(at);
        Err(format!("{what:?} fails"))
    }
}

/// A disk without a database on it. Clones are the same disk.
#[derive(Clone, Default)]
pub struct FakeDisk(Arc<Mutex<Platter>>);

impl FakeDisk {
    /// What is on it.
    pub fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }
}

impl Disk for FakeDisk {
    fn open(&mut self) -> Result<Found, String> {
        self.platter().fails(Fault::Open)?;
        let foreign = self.platter().foreign.clone();
        Ok(Found { engine: Box::new(self.clone()), foreign })
    }

    fn replace_foreign(&mut self) -> Result<PathBuf, String> {
        self.platter().fails(Fault::Replace)?;
        Ok("kept".into())
    }

    fn reopen(&mut self) -> Result<Box<dyn Engine>, String> {
        self.platter().opens += 1;
        self.platter().fails(Fault::Reopen)?;
        Ok(Box::new(self.clone()))
    }

    fn bytes(&self) -> u64 {
        self.platter().groups.values().map(|record| record.len() as u64).sum()
    }

    fn path(&self) -> PathBuf {
        "fake".into()
    }
}

impl Engine for FakeDisk {
    fn load(&mut self, each: &mut dyn FnMut(LoadedGroup) -> bool) -> Result<(), String> {
        self.platter().fails(Fault::Load)?;
        let groups = self.platter().groups.clone();
        for (key, packed) in groups {
            let body = record::unpack(&key, &packed).unwrap();
            if !each(LoadedGroup { key: GroupKey::from_bytes(&key).unwrap(), body }) {
                break;
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), String> {
        let gate = self.platter().gate.take();
        if let Some(gate) = gate {
            let _ = gate.recv();
        }
        let mut platter = self.platter();
        platter.fails(Fault::Commit)?;
        platter.commits += 1;
        if batch.is_wipe {
            platter.groups.clear();
        }
        for (key, packed) in batch.changes() {
            match packed {
                Some(packed) => drop(platter.groups.insert(key.as_bytes().to_vec(), packed.to_vec())),
                None => drop(platter.groups.remove(key.as_bytes())),
            }
        }
        Ok(())
    }

    fn is_verified(&self) -> bool {
        !self.platter().is_unverified
    }
}

#[cfg(feature = "persistence")]
pub use bytes::{ByteDisk, Sectors, Write};

#[cfg(feature = "persistence")]
mod bytes {
    //! The disk that holds bytes.

    use std::io;

    use redb::StorageBackend;

    use super::super::database::RedbEngine;
    use super::*;
    use crate::random::Random;

    /// A disk: what is safe, and what was written since the last sync.
    #[derive(Clone, Debug, Default)]
    pub struct Sectors {
        safe: Vec<u8>,
        written: Vec<Write>,
        /// Operations that still work; `None` if all do.
        pub left: Option<usize>,
    }

    /// Something written.
    #[derive(Clone, Debug)]
    pub enum Write {
        /// Bytes at a place.
        Bytes(usize, Vec<u8>),
        /// A new length.
        Length(usize),
    }

    impl Write {
        fn apply(&self, to: &mut Vec<u8>) {
            match self {
                Self::Bytes(at, bytes) => {
                    to.resize(to.len().max(at + bytes.len()), 0);
                    to[*at..at + bytes.len()].copy_from_slice(bytes);
                }
                Self::Length(length) => to.resize(*length, 0),
            }
        }
    }

    impl Sectors {
        /// A disk with these bytes.
        pub fn of(bytes: Vec<u8>) -> Self {
            Self { safe: bytes, ..Self::default() }
        }

        /// What a process that starts now reads.
        pub fn bytes(&self) -> Vec<u8> {
            let mut bytes = self.safe.clone();
            self.written.iter().for_each(|write| write.apply(&mut bytes));
            bytes
        }

        /// What is there when the power comes back: of what was not synced, some in whole sectors, in any order.
        pub fn after_power_loss(&self, random: &mut Random) -> Vec<u8> {
            let mut bytes = self.safe.clone();
            for write in &self.written {
                match write {
                    Write::Bytes(at, written) => {
                        for (sector, part) in written.chunks(512).enumerate() {
                            if random.below(2) == 0 {
                                Write::Bytes(at + 512 * sector, part.to_vec()).apply(&mut bytes);
                            }
                        }
                    }
                    Write::Length(length) => bytes.resize(bytes.len().max(*length), 0),
                }
            }
            bytes
        }
    }

    /// The disk. Clones are the same one.
    #[derive(Clone, Debug, Default)]
    pub struct ByteDisk(pub Arc<Mutex<Sectors>>);

    impl ByteDisk {
        /// A disk with these bytes.
        pub fn of(bytes: Vec<u8>) -> Self {
            Self(Arc::new(Mutex::new(Sectors::of(bytes))))
        }

        /// What is on it.
        pub fn sectors(&self) -> MutexGuard<'_, Sectors> {
            self.0.lock().unwrap()
        }

        fn step(&self) -> io::Result<MutexGuard<'_, Sectors>> {
            let mut disk = self.sectors();
            match &mut disk.left {
                Some(0) => return Err(io::Error::from(io::ErrorKind::StorageFull)),
                Some(left) => *left -= 1,
                None => {}
            }
            Ok(disk)
        }
    }

    impl StorageBackend for ByteDisk {
        fn len(&self) -> io::Result<u64> {
            Ok(self.step()?.bytes().len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let bytes = self.step()?.bytes();
            let found = bytes.get(offset as usize..).and_then(|bytes| bytes.get(..out.len()));
            out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.step()?.written.push(Write::Length(len as usize));
            Ok(())
        }

        fn sync_data(&self) -> io::Result<()> {
            let mut disk = self.step()?;
            disk.safe = disk.bytes();
            disk.written.clear();
            Ok(())
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.step()?.written.push(Write::Bytes(offset as usize, data.to_vec()));
            Ok(())
        }
    }

    impl ByteDisk {
        fn engine(&self) -> Result<Box<dyn Engine>, String> {
            let engine = RedbEngine::open(self.clone(), true)?;
            engine.release()?;
            Ok(Box::new(engine))
        }
    }

    impl Disk for ByteDisk {
        fn open(&mut self) -> Result<Found, String> {
            Ok(Found { engine: self.engine()?, foreign: None })
        }

        fn replace_foreign(&mut self) -> Result<PathBuf, String> {
            Err("there is none".to_owned())
        }

        fn reopen(&mut self) -> Result<Box<dyn Engine>, String> {
            self.engine()
        }

        fn bytes(&self) -> u64 {
            self.sectors().bytes().len() as u64
        }

        fn path(&self) -> PathBuf {
            "simulated".into()
        }
    }
}
