//! The journal against a database that fails, hangs and forgets when the test says so.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::persist::record;
use crate::persist::simulated::{FakeDisk, Fault};
use crate::random::Random;
use crate::store::naive::{Push, PushedFamily, feed};
use crate::store::{Mode, Staged};

/// A store whose changes a journal keeps.
struct Bench {
    disk: FakeDisk,
    woken: Receiver<()>,
    journal: Journal,
    store: Store,
    now: Duration,
    clock: i64,
}

impl Bench {
    fn start(disk: &FakeDisk, sync: Sync) -> Self {
        let (sender, woken) = channel();
        let wake = Box::new(move || sender.send(()).unwrap_or_default());
        let worker = Worker::start(Box::new(disk.clone()), wake).unwrap();
        let journal = Journal::new(worker, "fake".into(), sync);
        Self { disk: disk.clone(), woken, journal, store: Store::new(), now: Duration::ZERO, clock: 0 }
    }

    fn running(disk: &FakeDisk, sync: Sync) -> Self {
        let mut bench = Self::start(disk, sync);
        bench.load().unwrap();
        bench
    }

    /// Takes events until loading is over.
    fn load(&mut self) -> Result<bool, String> {
        loop {
            match self.next_event() {
                Event::Loaded(group) => {
                    let stored = record::parse(group.key.as_bytes(), &group.body, |_, _| 0).unwrap();
                    assert!(self.store.restore(&stored));
                }
                Event::Ready { is_verified } => return Ok(is_verified),
                Event::Refused(reason) => return Err(reason),
                event => panic!("{event:?}"),
            }
        }
    }

    fn event(&mut self) -> Option<Event> {
        self.journal.event(self.now, Timestamp(self.clock))
    }

    fn next_event(&mut self) -> Event {
        loop {
            if let Some(event) = self.event() {
                return event;
            }
            self.woken.recv_timeout(Duration::from_secs(20)).expect("the helper tells something");
        }
    }

    fn advance(&mut self) {
        while self.journal.advance(&self.store, self.now) {}
    }

    fn push(&mut self, job: u64, series: u64) -> Option<Ticket> {
        self.clock += 1;
        let mut staged = Staged::default();
        let metrics = (0..series).map(|at| (vec![("id".to_owned(), at.to_string())], self.clock)).collect();
        let family =
            PushedFamily { name: "a".to_owned(), kind: crate::model::sample::Kind::Gauge, help: None, metrics };
        let labels = vec![("job".to_owned(), job.to_string())];
        let [is_replace, has_timestamp, is_interleaved, is_whole] = [true, false, false, false];
        feed(
            &mut staged,
            &Push { labels, is_replace, has_timestamp, is_interleaved, is_whole, families: vec![family] },
        );
        self.store.push(&mut staged, Mode::Replace, Timestamp(self.clock)).unwrap();
        self.journal.mark(staged.key())
    }

    fn delete(&mut self, job: u64) -> Option<Ticket> {
        let key = GroupKey::new([("job", &*job.to_string())]);
        if self.store.delete(&key) { self.journal.mark(&key) } else { self.journal.mark_nothing() }
    }

    fn wipe(&mut self) -> Option<Ticket> {
        self.store.wipe();
        self.journal.mark_wipe()
    }

    /// Panics unless the disk holds what the store does.
    fn compare(&self) {
        let mut expected = BTreeMap::new();
        for group in self.store.groups_after(None) {
            let mut out = Vec::new();
            let key = group.key().as_bytes().to_vec();
            let mut encoder = Encoder::default();
            encoder.begin(&group, &mut out);
            assert!(encoder.advance(&self.store, &mut out, &mut usize::MAX.clone()));
            expected.insert(key, out);
        }
        assert!(self.disk.platter().groups == expected, "the disk and the store differ");
    }
}

const ALWAYS: Sync = Sync::Always;

#[test]
fn changes_share_a_commit_and_are_settled_in_order() {
    let disk = FakeDisk::default();
    let mut bench = Bench::running(&disk, ALWAYS);
    assert_eq!((bench.journal.refusal(), bench.journal.unreadiness()), (None, None));
    let (gate, held) = channel();
    disk.platter().gate = Some(held);
    let first = bench.push(1, 1).unwrap();
    bench.advance();
    // While the commit runs, changes pile up, and a group that changes often is written once.
    for at in 0..50 {
        bench.push(2, 1 + at % 3);
    }
    let last = bench.push(3, 1).unwrap();
    bench.advance();
    assert_eq!(bench.journal.readings().queue_length, 2);
    assert_eq!(bench.journal.settled(), None);
    gate.send(()).unwrap();
    assert!(matches!(bench.next_event(), Event::Committed { is_recovery: false, .. }));
    assert_eq!(bench.journal.settled(), Some(Settled { up_to: first, outcome: Ok(()) }));
    bench.advance();
    bench.next_event();
    assert_eq!(bench.journal.settled(), Some(Settled { up_to: last, outcome: Ok(()) }));
    assert_eq!(disk.platter().commits, 2);
    bench.compare();
    // A change that changes nothing waits for those before it only.
    assert_eq!(bench.delete(9), None);
    let ticket = bench.delete(3);
    assert_eq!(bench.delete(9), ticket);
    bench.wipe();
    bench.advance();
    bench.next_event();
    bench.compare();
    assert!(disk.platter().groups.is_empty());
}

#[test]
fn a_failed_commit_refuses_and_recovers() {
    for faults in [vec![(Fault::Commit, 0)], vec![(Fault::Commit, 0), (Fault::Reopen, 0)]] {
        let disk = FakeDisk::default();
        let mut bench = Bench::running(&disk, ALWAYS);
        bench.push(7, 1);
        bench.advance();
        bench.next_event();
        bench.journal.settled();
        let tries = faults.len();
        disk.platter().faults = faults;
        bench.wipe();
        let waiting = bench.push(1, 3).unwrap();
        bench.advance();
        let later = bench.push(2, 1).unwrap();
        for failures in 1..=tries {
            let Event::Failed(reason) = bench.next_event() else { panic!("it was to fail") };
            assert_eq!((bench.journal.refusal(), bench.journal.unreadiness()), (Some(&*reason), Some(&*reason)));
            assert_eq!(bench.journal.readings().failures, failures as u64);
            bench.advance();
            assert!(bench.event().is_none(), "it is not tried again at once");
            assert_eq!(bench.journal.deadline(), Some(bench.now + COMMIT_RETRY_INTERVAL));
            bench.now += COMMIT_RETRY_INTERVAL;
            bench.advance();
        }
        // All that waited is told, those too whose turn had not come.
        assert!(waiting < later);
        let settled = bench.journal.settled().unwrap();
        assert_eq!(settled.up_to, later);
        assert!(settled.outcome.unwrap_err().contains("Commit fails"));
        assert!(matches!(bench.next_event(), Event::Committed { is_recovery: true, .. }));
        assert_eq!(bench.journal.settled(), None);
        assert_eq!(bench.journal.refusal(), None);
        assert_eq!(disk.platter().opens, tries);
        bench.compare();
    }
}

#[test]
fn a_commit_that_hangs_is_given_up_and_may_still_succeed() {
    let disk = FakeDisk::default();
    let mut bench = Bench::running(&disk, ALWAYS);
    let (gate, held) = channel();
    disk.platter().gate = Some(held);
    let ticket = bench.push(1, 1).unwrap();
    bench.advance();
    assert_eq!(bench.journal.deadline(), Some(COMMIT_TIME_MAX));
    bench.now = COMMIT_TIME_MAX - Duration::from_millis(1);
    assert!(bench.event().is_none());
    bench.now = COMMIT_TIME_MAX;
    assert!(matches!(bench.event(), Some(Event::Failed(reason)) if reason.contains("10 seconds")));
    assert!(bench.event().is_none(), "it is told once");
    assert!(bench.journal.settled().is_some_and(|settled| settled.up_to == ticket && settled.outcome.is_err()));
    assert!(bench.journal.refusal().is_some());
    bench.journal.flush(bench.now);
    assert!(bench.journal.flushed().is_some_and(|outcome| outcome.is_err()));
    gate.send(()).unwrap();
    assert!(matches!(bench.next_event(), Event::Committed { is_recovery: true, .. }));
    assert_eq!((bench.journal.refusal(), bench.journal.flushed()), (None, Some(Ok(()))));
    bench.compare();
}

/// A group was deleted, which was not written for so long that its client was told so. Who deletes it again is answered
/// once it is gone from the disk, too.
#[test]
fn nothing_to_delete_waits_for_the_deletion_before_it() {
    for is_in_round in [false, true] {
        let disk = FakeDisk::default();
        let mut bench = Bench::running(&disk, ALWAYS);
        bench.push(1, 1);
        bench.advance();
        bench.next_event();
        bench.journal.settled();
        let (gate, held) = channel();
        disk.platter().gate = Some(held);
        if !is_in_round {
            bench.push(2, 1);
            bench.advance();
        }
        let first = bench.delete(1).unwrap();
        bench.advance();
        bench.now += COMMIT_TIME_MAX;
        assert!(matches!(bench.event(), Some(Event::Failed(_))));
        assert!(bench.journal.settled().is_some_and(|settled| settled.up_to == first && settled.outcome.is_err()));
        let mut again = is_in_round.then(|| bench.delete(1).unwrap());
        gate.send(()).unwrap();
        bench.next_event();
        if !is_in_round {
            assert!(bench.journal.refusal().is_none() && !disk.platter().groups.is_empty());
            again = Some(bench.delete(1).unwrap());
            assert_eq!(bench.journal.settled(), None);
            bench.advance();
            bench.next_event();
        }
        assert_eq!(bench.journal.settled(), again.map(|up_to| Settled { up_to, outcome: Ok(()) }));
        bench.compare();
        assert_eq!(bench.delete(1), None);
    }
}

/// SPEC 12.1: an interval after the start of the last write, at once if that is past.
#[test]
fn intervals_are_kept() {
    let interval = Duration::from_secs(100);
    let disk = FakeDisk::default();
    let mut bench = Bench::running(&disk, Sync::Interval(interval));
    assert_eq!((bench.push(1, 1), bench.journal.deadline()), (None, Some(interval)));
    bench.now = interval - Duration::from_millis(1);
    bench.advance();
    assert!(disk.platter().groups.is_empty());
    bench.now = 5 * interval;
    bench.advance();
    bench.next_event();
    bench.compare();
    assert_eq!(bench.journal.deadline(), None);
    // A burst behind it is written once, an interval later.
    bench.push(1, 2);
    bench.push(2, 1);
    assert_eq!(bench.journal.deadline(), Some(6 * interval));
    // A disk that fails is no reason to refuse what is not promised to be on it, but one not to be ready.
    bench.now = 6 * interval;
    disk.platter().faults.push((Fault::Commit, 0));
    bench.advance();
    assert!(matches!(bench.next_event(), Event::Failed(_)));
    assert_eq!((bench.journal.refusal(), bench.journal.unreadiness()), (None, Some("Commit fails")));
    // At the end everything is written at once.
    bench.journal.flush(bench.now);
    assert_eq!(bench.journal.flushed(), None);
    bench.advance();
    bench.next_event();
    assert_eq!(bench.journal.flushed(), Some(Ok(())));
    bench.compare();
    bench.journal.close();
}

#[test]
fn a_last_commit_that_fails_is_told() {
    let disk = FakeDisk::default();
    let mut bench = Bench::running(&disk, Sync::Interval(Duration::from_secs(100)));
    bench.push(1, 1);
    disk.platter().faults.push((Fault::Commit, 0));
    bench.journal.flush(bench.now);
    bench.advance();
    bench.next_event();
    assert_eq!(bench.journal.flushed(), Some(Err("Commit fails".into())));
}

#[test]
fn nothing_is_served_before_everything_is_loaded() {
    let disk = FakeDisk::default();
    let mut bench = Bench::running(&disk, ALWAYS);
    for job in 0..9000 {
        bench.push(job, 1);
    }
    bench.push(9000, 40_000);
    bench.advance();
    while bench.journal.readings().queue_length > 0 {
        bench.next_event();
        bench.advance();
    }
    bench.journal.close();
    bench.compare();
    disk.platter().is_unverified = true;
    let mut again = Bench::start(&disk, ALWAYS);
    assert!(again.journal.is_loading() && again.journal.refusal().is_some() && again.journal.unreadiness().is_some());
    assert_eq!(again.load(), Ok(false));
    assert_eq!(again.journal.refusal(), None);
    again.compare();
    for fault in [Fault::Open, Fault::Load] {
        disk.platter().faults.push((fault, 0));
        assert!(Bench::start(&disk, ALWAYS).load().unwrap_err().contains(&format!("{fault:?} fails")));
    }
    // Who ends while it loads does not wait for all of it; the helper may go on for a while.
    let mut ended = Bench::start(&disk, ALWAYS);
    assert_eq!(ended.journal.flushed(), Some(Ok(())));
    ended.journal.close();
}

/// Nothing of it is served before all of it is in the database and that has the file's name.
#[test]
fn a_foreign_file_is_imported_first() {
    for fault in [None, Some(Fault::Commit), Some(Fault::Replace)] {
        let disk = FakeDisk::default();
        disk.platter().foreign = Some(b"foreign".to_vec());
        disk.platter().faults.extend(fault.map(|fault| (fault, 0)));
        let mut bench = Bench::start(&disk, Sync::Interval(Duration::from_secs(100)));
        assert!(matches!(bench.next_event(), Event::Foreign(file) if file == b"foreign"));
        for job in 0..BATCH_GROUPS_MAX as u64 + 3 {
            bench.push(job, 1);
        }
        assert!(matches!(bench.next_event(), Event::Ready { is_verified: true }));
        assert!(bench.journal.is_loading() && bench.journal.refusal().is_some());
        let end = loop {
            bench.advance();
            match bench.next_event() {
                Event::Committed { .. } => assert!(bench.journal.is_loading()),
                event => break event,
            }
        };
        match (fault, end) {
            (None, Event::Imported(kept)) => {
                assert_eq!(kept, PathBuf::from("kept"));
                assert_eq!(bench.journal.unreadiness(), None);
                bench.compare();
            }
            (Some(fault), Event::Refused(reason)) => assert!(reason.contains(&format!("{fault:?} fails")), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}

/// Whatever fails and whenever, what was settled as stored is on the disk, and in the end everything is.
#[test]
fn random_runs_lose_nothing() {
    for seed in 0..40 {
        let mut random = Random::for_test(seed);
        let disk = FakeDisk::default();
        let sync = if random.below(4) == 0 { Sync::Interval(Duration::from_millis(500)) } else { ALWAYS };
        let mut bench = Bench::running(&disk, sync);
        // The last change of each group that is settled as stored, and the generation it had.
        let mut waiting: Vec<(Ticket, u64, i64)> = Vec::new();
        let mut latest: BTreeMap<u64, i64> = BTreeMap::new();
        for _ in 0..200 {
            bench.now += Duration::from_millis(random.below(300));
            if random.below(20) == 0 {
                let fault = if random.below(3) == 0 { Fault::Reopen } else { Fault::Commit };
                disk.platter().faults.push((fault, random.below(3) as usize));
            }
            while let Some(event) = bench.event() {
                assert!(matches!(event, Event::Committed { .. } | Event::Failed(_)));
            }
            while let Some(Settled { up_to, outcome }) = bench.journal.settled() {
                for (_, job, generation) in waiting.extract_if(.., |(ticket, _, _)| *ticket <= up_to) {
                    if outcome.is_ok() && latest.get(&job) == Some(&generation) {
                        assert_stored(&disk, job, generation);
                    }
                }
            }
            if bench.journal.refusal().is_none() {
                let job = random.below(5);
                let ticket = match random.below(12) {
                    0 => {
                        latest.clear();
                        bench.wipe()
                    }
                    1..=3 => {
                        latest.remove(&job);
                        bench.delete(job)
                    }
                    _ => {
                        let series = if random.below(9) == 0 { 4000 } else { random.below(3) };
                        let ticket = bench.push(job, series);
                        latest.insert(job, bench.clock);
                        ticket
                    }
                };
                waiting.extend(ticket.map(|ticket| (ticket, job, bench.clock)));
            }
            if random.below(3) > 0 {
                bench.journal.advance(&bench.store, bench.now);
            }
            if random.below(4) == 0 {
                let _ = bench.woken.recv_timeout(Duration::from_millis(1));
            }
        }
        disk.platter().faults.clear();
        bench.journal.flush(bench.now);
        while bench.journal.flushed() != Some(Ok(())) {
            bench.now += COMMIT_RETRY_INTERVAL;
            bench.advance();
            while bench.event().is_some() {}
            let _ = bench.woken.recv_timeout(Duration::from_millis(1));
        }
        bench.compare();
    }
}

fn assert_stored(disk: &FakeDisk, job: u64, generation: i64) {
    let key = GroupKey::new([("job", &*job.to_string())]);
    let platter = disk.platter();
    let packed = platter.groups.get(key.as_bytes()).unwrap_or_else(|| panic!("job {job} is gone"));
    let body = record::unpack(key.as_bytes(), packed).unwrap();
    assert_eq!(
        record::parse(key.as_bytes(), &body, |_, _| 0).unwrap().pushed.value,
        Timestamp(generation),
        "job {job}"
    );
}
