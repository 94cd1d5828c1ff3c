//! The database on a disk that fails at every step, forgets what was not synced, and comes back damaged.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::*;
use crate::random::Random;

/// A disk: what is safe, and what was written since the last sync.
#[derive(Clone, Debug, Default)]
struct Disk {
    safe: Vec<u8>,
    written: Vec<Write>,
    /// Operations that still work; `None` if all do.
    left: Option<usize>,
}

#[derive(Clone, Debug)]
enum Write {
    Bytes(usize, Vec<u8>),
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

impl Disk {
    fn of(bytes: Vec<u8>) -> Self {
        Self { safe: bytes, ..Self::default() }
    }

    /// What a process that starts now reads.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.safe.clone();
        self.written.iter().for_each(|write| write.apply(&mut bytes));
        bytes
    }

    /// What is there when the power comes back: of what was not synced, some in whole sectors, in any order.
    fn after_power_loss(&self, random: &mut Random) -> Vec<u8> {
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

#[derive(Clone, Debug, Default)]
struct SimulatedDisk(Arc<Mutex<Disk>>);

impl SimulatedDisk {
    fn step(&self) -> io::Result<std::sync::MutexGuard<'_, Disk>> {
        let mut disk = self.0.lock().unwrap();
        match &mut disk.left {
            Some(0) => return Err(io::Error::from(io::ErrorKind::StorageFull)),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(disk)
    }
}

impl StorageBackend for SimulatedDisk {
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

type Groups = BTreeMap<GroupKey, Vec<u8>>;

fn key(at: u64) -> GroupKey {
    GroupKey::new([("job", &*format!("j{at:03}"))])
}

fn body(random: &mut Random) -> Vec<u8> {
    let bytes = [30_000, 300_000, 300, 300, 300, 300, 300, 300][random.below(8) as usize];
    (0..random.below(bytes)).map(|_| random.below(256) as u8).collect()
}

/// Some changes, and what is there behind them.
fn batch(random: &mut Random, groups: &Groups) -> (Batch, Groups) {
    let (mut batch, mut after) = (Batch::default(), groups.clone());
    if random.below(8) == 0 {
        batch.is_wipe = true;
        after.clear();
    }
    for _ in 0..random.below(12) {
        let key = key(random.below(30));
        if random.below(4) == 0 {
            after.remove(&key);
            batch.remove(key);
        } else {
            let body = body(random);
            let start = batch.records.len();
            record::tests::pack(key.as_bytes(), &body, &mut batch.records);
            after.insert(key.clone(), body);
            batch.put(key, start);
        }
    }
    (batch, after)
}

fn contents(engine: &mut RedbEngine<SimulatedDisk>) -> Result<Groups, String> {
    let mut groups = Groups::new();
    engine.load(&mut |group| groups.insert(group.key, group.body).is_none())?;
    Ok(groups)
}

fn read(bytes: Vec<u8>) -> Result<Groups, String> {
    let disk = SimulatedDisk(Arc::new(Mutex::new(Disk::of(bytes))));
    contents(&mut RedbEngine::open(disk, true)?)
}

/// A database with some history, closed in good order, and what is in it.
fn example(random: &mut Random, commits: usize) -> (Vec<u8>, Groups) {
    let disk = SimulatedDisk::default();
    let mut engine = RedbEngine::open(disk.clone(), true).unwrap();
    engine.release().unwrap();
    let mut groups = Groups::new();
    for _ in 0..commits {
        let (batch, after) = batch(random, &groups);
        engine.commit(&batch).unwrap();
        groups = after;
    }
    assert_eq!(contents(&mut engine), Ok(groups.clone()));
    drop(engine);
    let bytes = disk.0.lock().unwrap().bytes();
    (bytes, groups)
}

/// Whatever fails in a commit, and whether or not the power fails with it: all of it is there afterwards or nothing,
/// and the next try succeeds.
#[test]
fn a_commit_that_fails_at_any_step_changes_all_or_nothing() {
    let mut random = Random::for_test(1);
    for _ in 0..4 {
        let (bytes, before) = example(&mut random, 6);
        let (batch, after) = batch(&mut random, &before);
        for step in 0.. {
            let disk = SimulatedDisk(Arc::new(Mutex::new(Disk::of(bytes.clone()))));
            let mut engine = RedbEngine::open(disk.clone(), true).unwrap();
            engine.release().unwrap();
            disk.0.lock().unwrap().left = Some(step);
            let outcome = engine.commit(&batch);
            let crashed = disk.0.lock().unwrap().clone();
            let expected = |found: Result<Groups, String>| match found {
                Ok(found) if outcome.is_ok() => assert!(found == after, "step {step}: a commit is lost"),
                Ok(found) => assert!(found == before || found == after, "step {step}: a commit by halves"),
                Err(reason) => panic!("step {step}: {reason}"),
            };
            expected(read(crashed.bytes()));
            for _ in 0..3 {
                expected(read(crashed.after_power_loss(&mut random)));
            }
            if outcome.is_ok() {
                break;
            }
            drop(engine);
            disk.0.lock().unwrap().left = None;
            let mut again = RedbEngine::open(disk.clone(), true).unwrap();
            again.release().unwrap();
            again.commit(&batch).unwrap();
            assert!(contents(&mut again).unwrap() == after);
        }
    }
}

/// A file that is damaged is refused or whole; nothing panics, and what is refused is not changed.
#[test]
fn damage_is_found() {
    let mut random = Random::for_test(2);
    let (bytes, groups) = example(&mut random, 12);
    let mut refused = 0;
    for round in 0..400 {
        let mut bad = bytes.clone();
        if round % 4 == 0 {
            bad.truncate(1 + random.below(bad.len() as u64 - 1) as usize);
        } else {
            for _ in 0..1 + random.below(3) {
                // Half of them where the database has its own notes.
                let end = if random.below(2) == 0 { 512 } else { bad.len() };
                let at = MAGIC.len() + random.below((end - MAGIC.len()) as u64) as usize;
                bad[at] ^= 1 << random.below(8);
            }
        }
        let disk = SimulatedDisk(Arc::new(Mutex::new(Disk::of(bad.clone()))));
        match RedbEngine::open(disk.clone(), true).and_then(|mut engine| contents(&mut engine)) {
            Ok(found) => assert!(found == groups, "round {round}: something is lost"),
            Err(reason) => {
                refused += 1;
                assert!(disk.0.lock().unwrap().bytes() == bad, "round {round}: what is refused has changed: {reason}");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn other_databases_are_refused() {
    let foreign = |fill: &dyn Fn(&redb::WriteTransaction)| {
        let disk = SimulatedDisk::default();
        let database = Builder::new().create_with_backend(disk.clone()).unwrap();
        let transaction = database.begin_write().unwrap();
        fill(&transaction);
        transaction.commit().unwrap();
        drop(database);
        let bytes = disk.0.lock().unwrap().bytes();
        let reason = RedbEngine::open(disk.clone(), true).err().unwrap();
        assert!(disk.0.lock().unwrap().bytes() == bytes, "what is refused has changed");
        reason
    };
    const OTHER: TableDefinition<'_, u64, u64> = TableDefinition::new("other");
    const OTHER_FACTS: TableDefinition<'_, u64, u64> = TableDefinition::new("facts");
    let check = |message: String, expected: &str| assert!(message.contains(expected), "{message}");
    check(foreign(&|transaction| drop(transaction.open_table(OTHER).unwrap())), "another program");
    check(foreign(&|transaction| drop(transaction.open_table(OTHER_FACTS).unwrap())), "another program");
    check(foreign(&|transaction| drop(transaction.open_table(FACTS).unwrap())), "another program");
    let newer = foreign(&|transaction| {
        transaction.open_table(FACTS).unwrap().insert(FORMAT, 2).unwrap();
    });
    check(newer, "newer version of this program: its format is 2");
}

#[test]
fn what_was_not_checked_is_known_until_it_is() {
    let disk = SimulatedDisk::default();
    let open = |is_checked| {
        let engine = RedbEngine::open(disk.clone(), is_checked).unwrap();
        engine.release().unwrap();
        engine
    };
    assert!(open(true).is_verified());
    assert!(!open(false).is_verified());
    assert!(!open(true).is_verified(), "it is not checked by being opened");
    let mut verified = Batch::default();
    verified.is_verified = true;
    open(true).commit(&verified).unwrap();
    assert!(open(true).is_verified());
}
