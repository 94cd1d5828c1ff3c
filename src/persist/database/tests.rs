//! The database on a disk that fails at every step, forgets what was not synced, and comes back damaged.

use std::collections::BTreeMap;

use super::*;
use crate::persist::simulated::ByteDisk;
use crate::random::Random;

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

fn contents(engine: &mut RedbEngine<ByteDisk>) -> Result<Groups, String> {
    let mut groups = Groups::new();
    engine.load(&mut |group| groups.insert(group.key, group.body).is_none())?;
    Ok(groups)
}

fn read(bytes: Vec<u8>) -> Result<Groups, String> {
    let disk = ByteDisk::of(bytes);
    contents(&mut RedbEngine::open(disk, true)?)
}

/// A database with some history, closed in good order, and what is in it.
fn example(random: &mut Random, commits: usize) -> (Vec<u8>, Groups) {
    let disk = ByteDisk::default();
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
    let bytes = disk.sectors().bytes();
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
            let disk = ByteDisk::of(bytes.clone());
            let mut engine = RedbEngine::open(disk.clone(), true).unwrap();
            engine.release().unwrap();
            disk.sectors().left = Some(step);
            let outcome = engine.commit(&batch);
            let crashed = disk.sectors().clone();
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
            disk.sectors().left = None;
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
        let disk = ByteDisk::of(bad.clone());
        match RedbEngine::open(disk.clone(), true).and_then(|mut engine| contents(&mut engine)) {
            Ok(found) => assert!(found == groups, "round {round}: something is lost"),
            Err(reason) => {
                refused += 1;
                assert!(disk.sectors().bytes() == bad, "round {round}: what is refused has changed: {reason}");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn other_databases_are_refused() {
    let foreign = |fill: &dyn Fn(&redb::WriteTransaction)| {
        let disk = ByteDisk::default();
        let database = Builder::new().create_with_backend(disk.clone()).unwrap();
        let transaction = database.begin_write().unwrap();
        fill(&transaction);
        transaction.commit().unwrap();
        drop(database);
        let bytes = disk.sectors().bytes();
        let reason = RedbEngine::open(disk.clone(), true).err().unwrap();
        assert!(disk.sectors().bytes() == bytes, "what is refused has changed");
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
    let disk = ByteDisk::default();
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
