//! Series that two groups would have: found whatever sets of label names groups have, at a cost that is not multiplied by
//! them.

use std::collections::BTreeSet;

use super::*;
use crate::limits::CHECKED_PER_STEP_MAX;
use crate::model::sample::Kind;
use crate::random::Random;
use crate::store::naive::{Labels, Push, PushedFamily, Step, Twins, feed};
use crate::store::{GroupKey, Refusal, Snapshot, Store, StoredFamily, StoredGroup};

fn labels(labels: &[(&str, &str)]) -> Labels {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn family(name: &str, series: Vec<Labels>) -> PushedFamily {
    let metrics = series.into_iter().map(|labels| (labels, 1)).collect();
    PushedFamily { name: name.to_owned(), kind: Kind::Gauge, help: None, metrics }
}

fn push(labels: Labels, families: Vec<PushedFamily>) -> Push {
    Push { labels, families, is_replace: true, has_timestamp: false, is_interleaved: false, is_whole: false }
}

/// A store and a clock.
struct Gateway {
    store: Store,
    staged: Staged,
    clock: i64,
}

impl Gateway {
    fn new() -> Self {
        Self { store: Store::new(), staged: Staged::default(), clock: 0 }
    }

    fn push(&mut self, group: Labels, families: Vec<PushedFamily>) -> Result<(), Refusal> {
        self.clock += 1;
        feed(&mut self.staged, &push(group, families));
        let outcome = self.store.push(&mut self.staged, Mode::Replace, Timestamp(self.clock));
        self.store.verify();
        outcome
    }

    /// What the last push has looked up.
    fn lookups(&self) -> u64 {
        self.store.progress.lookups()
    }

    /// A group of one series for each subset of labels of the same value, beside a job.
    fn with_sets(names: usize, value: &str) -> Self {
        let mut gateway = Self::new();
        for set in 1..1usize << names {
            let chosen = (0..names).filter(|at| set >> at & 1 == 1).map(|at| (format!("l{at}"), value.to_owned()));
            let group = chosen.chain(labels(&[("job", "x")])).collect();
            gateway.push(group, vec![family("f", vec![vec![]])]).expect("nothing is wrong with it");
        }
        gateway
    }
}

/// Series with such labels, each with a number in those that are `_`.
fn series(count: usize, pattern: &[(&str, &str)]) -> Vec<Labels> {
    let value = |at: usize, value: &str| if value == "_" { at.to_string() } else { value.to_owned() };
    (0..count).map(|at| pattern.iter().map(|(name, text)| ((*name).to_owned(), value(at, text))).collect()).collect()
}

#[test]
fn sets_of_label_names_do_not_multiply_look_ups() {
    let names = ["l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7"];
    // Bits are chosen by chance: names that share one are taken for each other.
    let shares_bits = |gateway: &Gateway| {
        let prefixes = gateway.store.catalog.prefixes();
        let bits = names.iter().chain(&["job", "instance"]).map(|name| prefixes.name_bit(name));
        bits.collect::<BTreeSet<_>>().len() < names.len() + 2
    };
    let mut gateway = Gateway::with_sets(8, "v");
    while shares_bits(&gateway) {
        gateway = Gateway::with_sets(8, "v");
    }
    // A name that cannot be taken for one that groups have.
    let prefixes = gateway.store.catalog.prefixes();
    let is_other = |name: &String| !prefixes.has_name(prefixes.name_bit(name));
    let id = (0..).map(|at| format!("id{at}")).find(is_other).expect("a few names do not have all bits");
    let mut check = |job: &str, values: [&str; 8], more: &[(&str, &str)], most: u64| {
        let pattern: Vec<_> = names.into_iter().zip(values).chain(more.iter().copied()).collect();
        let group = labels(&[("job", job)]);
        gateway.push(group.clone(), vec![family("f", series(500, &pattern))]).expect("nothing is wrong with it");
        let first = gateway.lookups();
        assert!(first <= most, "{job} {values:?}: {first}");
        gateway.push(group.clone(), vec![family("f", series(500, &pattern))]).expect("it is the same again");
        assert_eq!(gateway.lookups(), 0, "what the group has needs no look-up");
        gateway.store.delete(&GroupKey::new([("job", job)]));
    };
    let id = (&*id, "_");
    // Another job: no key goes on from there. Once, if nothing has changed from series to series.
    check("y", ["v"; 8], &[id], 40);
    check("y", ["_"; 8], &[], 500 * 8);
    // The same job, but no such value.
    check("x", ["_"; 8], &[], 500 * 20);
    check("x", ["w"; 8], &[id], 40);
    // All 255 groups are read, but found and read once.
    check("x", ["v"; 8], &[id], 255 * 16);
    // Half of the groups are found once; nothing ends with the number, but it may come next everywhere.
    check("x", ["v", "v", "v", "v", "v", "v", "v", "_"], &[], 255 * 16 + 500 * 3 * 128);
}

#[test]
fn a_push_that_takes_too_many_look_ups_changes_nothing() {
    let mut gateway = Gateway::with_sets(6, "v");
    let names = ["l0", "l1", "l2", "l3", "l4", "l5"].map(|name| (name, "v"));
    let series = || vec![family("f", series(3, &[&names[..], &[("z", "_")]].concat())), family("new", vec![vec![]])];
    let group = || labels(&[("job", "x")]);
    let before = gateway.store.usage();
    gateway.push(group(), series()).expect("nothing is wrong with it");
    let takes = gateway.store.progress.dear_lookups();
    gateway.store.delete(&GroupKey::new([("job", "x")]));
    assert_eq!(gateway.store.usage(), before);

    let limits = Limits::default().with(Limit::PushLookups, takes - 1);
    gateway.store.set_limits(limits);
    let refused = gateway.push(group(), series()).expect_err("it takes one more");
    assert_eq!(refused, Refusal::NoRoom(limits.reached(Limit::PushLookups)));
    let flag = format!("(--limit.push-lookups={})", takes - 1);
    let text = format!("the push takes more than {} look-ups of groups with other label names {flag}", takes - 1);
    assert_eq!((refused.to_string(), limits.reached(Limit::PushLookups).limit.status()), (text, 413));
    assert_eq!(
        (gateway.store.usage(), gateway.store.catalog.find_family("new")),
        (before, None),
        "not even its group is there"
    );
    assert_eq!(gateway.store.progress.held_bytes() / (64 << 10), 0);

    gateway.push(group(), vec![family("new", vec![vec![]])]).expect("it is in no other group");
    gateway.push(group(), series()).expect_err("as before");
    assert!(gateway.store.catalog.find_family("f").is_some() && gateway.store.catalog.find_family("new").is_some());
    assert_eq!(gateway.store.group(&GroupKey::new([("job", "x")])).expect("it was there").failed(), Timestamp(0));
    gateway.store.set_limits(limits.with(Limit::PushLookups, takes));
    gateway.push(group(), series()).expect("it takes as many");
}

/// Few series are searched for as text and many are looked up; series may be on many pages, and be pushed in parts again.
#[test]
fn a_series_of_a_long_family_is_found() {
    let mut gateway = Gateway::new();
    let both = |at: usize| labels(&[("id", &format!("{at:06}")), ("instance", "i")]);
    gateway.push(labels(&[("job", "j")]), vec![family("f", (0..5000).map(both).collect())]).expect("it is the first");
    let instance = labels(&[("instance", "i"), ("job", "j")]);
    let mut refused = |ids: &[usize]| {
        let outcome = gateway.push(instance.clone(), vec![family("f", ids.iter().copied().map(both).collect())]);
        outcome.err().map(|refusal| refusal.to_string())
    };
    assert_eq!(refused(&[5000]), None);
    let text = |id: &str| {
        let labels = [("id", id), ("instance", "i"), ("job", "j")];
        let labels = labels.map(|(name, value)| format!(" label:{{name:\"{name}\" value:\"{value}\"}}")).concat();
        format!(
            "collected metric \"f\" {{{labels} gauge:{{value:1}}}} was collected before with the same name and label values"
        )
    };
    let told = "pushed metrics are invalid or inconsistent with existing metrics: ";
    for id in [0, 1, 2500, 4999] {
        assert_eq!(refused(&[5000, id]), Some(format!("{told}{}", text(&format!("{id:06}")))));
    }
    let many: Vec<_> = (4900..5100).rev().collect();
    let listed: String = (4900..4920).map(|id| format!("\n* {}", text(&format!("{id:06}")))).collect();
    assert_eq!(refused(&many), Some(format!("{told}100 error(s) occurred:{listed}\n* and 80 more")));
    // Series go, come and change; all but the last one are new to nobody else.
    let parts = [(5000..9000).collect::<Vec<_>>(), (5001..9001).collect(), (5001..9000).step_by(2).collect()];
    for ids in parts {
        assert_eq!(refused(&ids), None);
        assert_eq!(refused(&[&ids[..], &[17]].concat()), Some(format!("{told}{}", text("000017"))));
    }
}

/// What a group holds is not compared again, but only where it was checked when it came.
#[test]
fn what_was_put_back_is_checked_once() {
    let mut gateway = Gateway::new();
    let mut restore = |labels: &[(&str, &str)], written: i64| {
        let time = super::super::PushTime { value: Timestamp(written), written: Timestamp(written) };
        let text = b"f{instance=\"i\",job=\"j\"} 1\n";
        let family = StoredFamily {
            name: "f",
            kind: Kind::Gauge,
            help: None,
            is_help_shown: false,
            metrics: 1,
            written: Timestamp(written),
            notes: Vec::new(),
            details: Vec::new(),
            text,
        };
        let key = GroupKey::new(labels.iter().copied());
        let families = vec![family];
        let group = StoredGroup { key, pushed: time, failed: time, failure: None, has_quoted_names: false, families };
        assert!(gateway.store.restore(&group));
    };
    restore(&[("job", "j")], 7);
    restore(&[("instance", "i"), ("job", "j")], 5);
    gateway.clock = 10;
    let (job, both) = (labels(&[("job", "j")]), labels(&[("instance", "i"), ("job", "j")]));
    let one = || vec![family("f", vec![labels(&[("instance", "i")])])];
    gateway.push(job.clone(), one()).expect_err("the other group has it, too");
    gateway.push(both.clone(), one()).expect_err("the other group has it, too");
    gateway.store.delete(&GroupKey::new([("job", "j")]));
    gateway.push(both, one()).expect("the other group is gone");
    gateway.push(job, one()).expect_err("the other group has it");
}

/// Many sets of label names, few values, series that others could have: nearly every push has to be looked for.
#[test]
fn random_runs_with_many_sets_of_names_agree_with_the_oracle() {
    let names = ["a", "b", "instance", "k", "z"];
    let any = |random: &mut Random, chance: u64| -> Labels {
        let mut chosen = Labels::new();
        for name in names {
            if random.below(100) < chance {
                chosen.push((name.to_owned(), ["", "1", "\"\\"][random.index(3)].to_owned()));
            }
        }
        chosen
    };
    let mut refused = 0;
    for seed in 0..12 {
        let mut random = Random::for_test(seed);
        let mut twins = Twins::in_steps([1, 3, 20, CHECKED_PER_STEP_MAX][seed as usize % 4]);
        for _ in 0..80 {
            let mut group = any(&mut random, 40);
            group.push(("job".to_owned(), ["j", "k"][random.index(2)].to_owned()));
            if random.one_in(8) {
                twins.step(&Step::Delete(group));
                continue;
            }
            let mut families = Vec::new();
            for name in ["f", "g", "h"] {
                if random.one_in(2) {
                    let kind = if name == "h" { Kind::Histogram } else { Kind::Gauge };
                    let mut all: Vec<_> = (0..random.below(5)).map(|_| any(&mut random, 80)).collect();
                    all.sort();
                    all.dedup();
                    families.push(PushedFamily { kind, ..family(name, all) });
                }
            }
            let before = exposition(&twins.store);
            twins.step(&Step::Push(Push { is_replace: random.one_in(2), ..push(group, families) }));
            refused += u32::from(exposition(&twins.store) == before);
        }
    }
    assert!(refused > 60, "{refused}");
}

/// The exposition without the times of pushes.
fn exposition(store: &Store) -> String {
    let mut snapshot = Snapshot::default();
    store.snapshot(&mut snapshot);
    let text: Vec<u8> = snapshot.pieces().iter().flat_map(|piece| piece.iter().copied()).collect();
    let text = String::from_utf8(text).expect("the exposition is text");
    text.lines().filter(|line| !line.contains("_time_seconds")).collect()
}
