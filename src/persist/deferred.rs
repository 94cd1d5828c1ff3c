//! A file whose writes are kept back until it has been found to be whole: the database writes to it when it is opened,
//! and a file that is then refused has to be left as it was.

use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

/// The file. Clones are the same file.
#[derive(Debug)]
pub struct Deferred<B>(Arc<Shared<B>>);

#[derive(Debug)]
struct Shared<B> {
    file: B,
    /// `None` once writes go through.
    held: Mutex<Option<Held>>,
}

/// What was written, in order, and the length that the file has with it.
#[derive(Debug)]
struct Held {
    writes: Vec<(u64, Vec<u8>)>,
    len: u64,
    /// The shortest that it was meanwhile: what the file has behind that counts no more.
    kept: u64,
}

impl<B> Clone for Deferred<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: StorageBackend> Deferred<B> {
    /// Keeps back what is written to `file`.
    ///
    /// # Errors
    /// If its length cannot be read.
    pub fn new(file: B) -> io::Result<Self> {
        let len = file.len()?;
        let held = Held { writes: Vec::new(), len, kept: len };
        Ok(Self(Arc::new(Shared { file, held: Mutex::new(Some(held)) })))
    }

    /// Writes what was kept back, and everything from now on.
    ///
    /// # Errors
    /// Why the file cannot be written; some of it may have been.
    pub fn release(&self) -> io::Result<()> {
        let Some(Held { writes, len, kept }) = self.held().take() else { return Ok(()) };
        let Shared { file, .. } = &*self.0;
        for len in [kept, len] {
            if file.len()? != len {
                file.set_len(len)?;
            }
        }
        for (at, bytes) in writes.into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
            file.write(at, &bytes)?;
        }
        file.sync_data()
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Reads what the file would have from `offset` on.
    fn read(&self, file: &impl StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset + out.len() as u64;
        if end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let in_file = usize::try_from(self.kept.saturating_sub(offset)).map_or(out.len(), |left| left.min(out.len()));
        if in_file > 0 {
            file.read(offset, &mut out[..in_file])?;
        }
        out[in_file..].fill(0);
        for (at, bytes) in &self.writes {
            let (from, to) = (offset.max(*at), end.min(at + bytes.len() as u64));
            if from < to {
                let part = &bytes[(from - at) as usize..(to - at) as usize];
                out[(from - offset) as usize..(to - offset) as usize].copy_from_slice(part);
            }
        }
        Ok(())
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.kept = self.kept.min(len);
            for (at, bytes) in &mut self.writes {
                bytes.truncate(usize::try_from(len.saturating_sub(*at)).unwrap_or(usize::MAX));
            }
        }
        self.len = len;
    }
}

impl<B: StorageBackend> StorageBackend for Deferred<B> {
    fn len(&self) -> io::Result<u64> {
        match &*self.held() {
            Some(held) => Ok(held.len),
            None => self.0.file.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &*self.held() {
            Some(held) => held.read(&self.0.file, offset, out),
            None => self.0.file.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match &mut *self.held() {
            Some(held) => held.set_len(len),
            None => return self.0.file.set_len(len),
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        match &*self.held() {
            Some(_) => Ok(()),
            None => self.0.file.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match &mut *self.held() {
            Some(held) => {
                held.len = held.len.max(offset + data.len() as u64);
                held.writes.push((offset, data.to_vec()));
            }
            None => return self.0.file.write(offset, data),
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::random::Random;

    fn content(file: &impl StorageBackend) -> Vec<u8> {
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read(0, &mut bytes).unwrap();
        bytes
    }

    /// A shorter or longer file with some of it written, like the plain one beside it.
    fn change(file: &impl StorageBackend, plain: &mut Vec<u8>, random: &mut Random) {
        if random.below(3) == 0 {
            let len = random.below(200);
            file.set_len(len).unwrap();
            plain.resize(len as usize, 0);
        } else if !plain.is_empty() {
            let from = random.below(plain.len() as u64) as usize;
            let bytes = vec![random.below(256) as u8; random.below((plain.len() - from) as u64 + 1) as usize];
            file.write(from as u64, &bytes).unwrap();
            plain[from..from + bytes.len()].copy_from_slice(&bytes);
        }
    }

    #[test]
    fn writes_are_seen_and_come_later() {
        for seed in 0..300 {
            let mut random = Random::for_test(seed);
            let file = InMemoryBackend::new();
            file.set_len(random.below(200)).unwrap();
            let mut before = content(&file);
            change(&file, &mut before, &mut random);
            let deferred = Deferred::new(file).unwrap();
            let mut plain = before.clone();
            for _ in 0..20 {
                change(&deferred, &mut plain, &mut random);
                assert_eq!(content(&deferred), plain);
                let from = random.below(plain.len() as u64 + 1) as usize;
                let mut part = vec![0; random.below((plain.len() - from) as u64 + 1) as usize];
                deferred.read(from as u64, &mut part).unwrap();
                assert_eq!(part, plain[from..from + part.len()]);
                assert_eq!(content(&deferred.0.file), before);
            }
            assert!(deferred.read(plain.len() as u64, &mut [0]).is_err());
            deferred.release().unwrap();
            assert_eq!(content(&deferred.0.file), plain);
            change(&deferred, &mut plain, &mut random);
            assert_eq!(content(&deferred.0.file), plain);
        }
    }
}
