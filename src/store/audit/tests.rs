//! What audits look at, how much of it at a time, and when they end. That they find what is wrong is shown by the long
//! runs beside the oracle of the store.

use super::*;
use crate::limits::AUDITED_BYTES_PER_LINE;
use crate::model::sample::Kind;
use crate::model::time::Timestamp;
use crate::random::Random;
use crate::store::naive::{Labels, Push, PushedFamily, feed};
use crate::store::{GroupKey, Mode, Staged};

/// Series of a large family, and the budget of a step: it takes some.
const LARGE: usize = 2500;
const BUDGET: usize = 16 << 10;

/// Pushes a family of gauges with so many series, from this number on, to a group.
fn push(store: &mut Store, job: &str, family: &str, series: std::ops::Range<usize>, value: i64) {
    let labels = |at: usize| vec![("id".to_owned(), format!("{at:08}"))];
    push_metrics(store, job, family, Kind::Gauge, series.map(|at| (labels(at), value)).collect());
}

fn push_metrics(store: &mut Store, job: &str, family: &str, kind: Kind, metrics: Vec<(Labels, i64)>) {
    let push = Push {
        labels: vec![("job".to_owned(), job.to_owned())],
        is_replace: true,
        has_timestamp: false,
        is_interleaved: false,
        is_whole: false,
        families: vec![PushedFamily { name: family.to_owned(), kind, help: None, metrics }],
    };
    let mut staged = Staged::default();
    feed(&mut staged, &push);
    store.push(&mut staged, Mode::Replace, Timestamp(1)).expect("an unchecked store takes it");
}

fn delete(store: &mut Store, job: &str) {
    assert!(store.delete(&GroupKey::new([("job", job)])));
}

/// The families that are marked.
fn marked(store: &Store) -> Vec<&str> {
    let is_marked = |id: &FamilyId| store.audits.is_marked.get(id.0 as usize).copied().unwrap_or_default();
    let families = store.catalog.families().filter(|(id, _)| is_marked(id));
    families.map(|(_, family)| &*family.name).collect()
}

#[test]
fn only_what_changes_is_looked_at() {
    let mut store = Store::unchecked();
    let times = ["push_time_seconds", "push_failure_time_seconds"];
    let check = |store: &mut Store, expected: &[&str], count: usize| {
        assert_eq!(marked(store), expected);
        assert_eq!(store.audit().count(), count);
        assert_eq!(marked(store), [""; 0]);
    };
    push(&mut store, "a", "m", 0..3, 1);
    check(&mut store, &[&times[..], &["m"]].concat(), 0);
    push(&mut store, "a", "m", 0..3, 2);
    check(&mut store, &[], 0);
    push(&mut store, "a", "m", 0..4, 2);
    check(&mut store, &["m"], 0);
    push(&mut store, "a", "m", 1..5, 2);
    check(&mut store, &["m"], 0);
    push(&mut store, "b", "n", 0..1, 1);
    check(&mut store, &[&times[..], &["n"]].concat(), 0);
    push(&mut store, "a", "n", 0..1, 1);
    check(&mut store, &["n"], 0);
    delete(&mut store, "b");
    check(&mut store, &[&times[..], &["n"]].concat(), 0);
    // A part is another family's business.
    push_metrics(&mut store, "h", "h", Kind::Histogram, vec![(Labels::new(), 1)]);
    check(&mut store, &[&times[..], &["h"]].concat(), 0);
    push(&mut store, "p", "h_sum", 0..1, 1);
    check(&mut store, &[&times[..], &["h", "h_sum"]].concat(), 1);
    delete(&mut store, "p");
    check(&mut store, &[&times[..], &["h"]].concat(), 0);
    // The id of a family that is gone is given to another one.
    push(&mut store, "p", "h_count", 0..1, 1);
    delete(&mut store, "p");
    push(&mut store, "q", "other", 0..1, 1);
    check(&mut store, &[&times[..], &["h", "other"]].concat(), 0);
    store.wipe();
    check(&mut store, &[], 0);
}

/// How many steps it takes until a ticket is answered, with a change before each of them; and the answer.
fn steps(store: &mut Store, mut change: impl FnMut(&mut Store, usize)) -> (usize, usize) {
    let mut ticket = store.audit_ticket();
    for step in 1.. {
        change(store, step);
        if let Some(problems) = store.audit_bytes(&mut ticket, BUDGET) {
            return (step, problems.count());
        }
        assert!(step < 1000, "it ends");
    }
    unreachable!("there is no last step")
}

#[test]
fn a_large_family_takes_steps_and_what_is_known_takes_none() {
    let mut store = Store::unchecked();
    push(&mut store, "a", "large", 0..LARGE, 1);
    let (whole, count) = steps(&mut store, |_, _| {});
    let bytes = store.bytes() as usize + LARGE * AUDITED_BYTES_PER_LINE;
    assert!((bytes / BUDGET..bytes / BUDGET + 5).contains(&whole), "{whole}");
    assert_eq!((count, steps(&mut store, |_, _| {})), (0, (1, 0)));
    push(&mut store, "b", "small", 0..10, 1);
    assert_eq!(steps(&mut store, |_, _| {}), (1, 0));
    // Values change nothing.
    assert_eq!(steps(&mut store, |store, step| push(store, "b", "small", 0..10, step as i64)), (1, 0));
    // Each metric comes a second time.
    let metrics = (0..2 * LARGE).map(|at| (vec![("id".to_owned(), (at % LARGE).to_string())], 1)).collect();
    push_metrics(&mut store, "a", "large", Kind::Gauge, metrics);
    let (twice, count) = steps(&mut store, |_, _| {});
    assert_eq!(count, LARGE);
    assert!(twice < 6 * whole, "{twice}");
}

/// Changes before each step do not keep anybody waiting, be they of the family that is looked at or of others, and what
/// was wrong all the while is told.
#[test]
fn changes_do_not_put_an_answer_off() {
    let mut store = Store::unchecked();
    push(&mut store, "a", "large", 0..LARGE, 1);
    let (whole, _) = steps(&mut store, |_, _| {});
    push(&mut store, "a", "large", 0..LARGE + 1, 1);
    let most = (2 + AUDIT_ROUNDS_MAX as usize) * (whole + 2);
    let (count, problems) = steps(&mut store, |store, step| push(store, "c", "large", step..step + 1, 1));
    assert!(count > whole && count <= most && problems == 0, "{count} {problems}");
    let (count, problems) = steps(&mut store, |store, step| push(store, "a", "large", 0..LARGE + step % 2, 1));
    assert!(count > whole && count <= most && problems == 0, "{count} {problems}");
    let family = |step: usize| format!("f{step}");
    let (count, problems) = steps(&mut store, |store, step| push(store, "b", &family(step), 0..LARGE / 2, 1));
    assert!(count <= most && problems == 0, "{count} {problems}");
    push_metrics(&mut store, "d", "twice", Kind::Gauge, vec![(Labels::new(), 1), (Labels::new(), 1)]);
    for _ in 0..3 {
        let (_, problems) = steps(&mut store, |store, step| push(store, "a", "large", 0..LARGE + step % 2, 1));
        assert_eq!(problems, 1);
    }
    delete(&mut store, "d");
    let (_, problems) = steps(&mut store, |store, step| push(store, "a", "large", 0..LARGE + step % 2, 1));
    assert_eq!(problems, 0);
}

/// All who wait get on by each other's steps.
#[test]
fn an_audit_is_shared() {
    let mut store = Store::unchecked();
    push(&mut store, "a", "large", 0..LARGE, 1);
    let mut tickets = [0; 50].map(|_| store.audit_ticket());
    let mut steps = 0;
    while tickets.iter_mut().map(|ticket| store.audit_bytes(ticket, BUDGET)).filter(Option::is_none).count() > 0 {
        steps += 1;
    }
    assert!(steps <= 1, "{steps} rounds of fifty");
}

/// Of more families than can be listed some are, whichever of them are repaired.
#[test]
fn some_of_many_are_listed() {
    let mut store = Store::unchecked();
    let metrics = || vec![(Labels::new(), 1); 3];
    for at in 0..3 * ERRORS_LISTED_MAX {
        push_metrics(&mut store, &format!("j{at}"), &format!("f{at:03}"), Kind::Gauge, metrics());
    }
    let mut random = Random::for_test(5);
    let mut left: Vec<_> = (0..3 * ERRORS_LISTED_MAX).collect();
    random.shuffle(&mut left);
    while let Some(gone) = left.pop() {
        let problems = store.audit();
        let count = 2 * (left.len() + 1);
        assert_eq!(problems.count(), count);
        let text = problems.to_string();
        let listed = text.lines().filter(|line| line.contains("was collected before")).count();
        assert_eq!(listed, ERRORS_LISTED_MAX.min(count), "{text}");
        delete(&mut store, &format!("j{gone}"));
    }
    assert!(store.audit().is_empty());
}
