//! The store against its oracle, step by step over long random runs; and what is easier shown by hand.

use super::audit::naive::Watches;
use super::naive::{Labels, Push, PushedFamily, Step, Twins, feed};
use super::{GroupKey, Mode, Refusal, Staged, Store};
use crate::limits::{DISCARDS_PER_TURN_MAX, FAILURE_REASON_BYTES_MAX, Limit, Limits, WIPES_PENDING_MAX};
use crate::model::sample::{Kind, WholeSink};
use crate::model::time::Timestamp;
use crate::random::Random;

const NAMES: [&str; 14] = [
    "a",
    "b",
    "h",
    "h_count",
    "h_sum",
    "h_bucket",
    "s",
    "s_sum",
    "m_own",
    "o_summary",
    "o_summary_count",
    "zz",
    "push_time_seconds",
    "push_failure_time_seconds",
];
const VALUES: [&str; 5] = ["", "1", "2", "q\"\\\n", "é\0"];

fn labels(random: &mut Random, names: &[&str], chance: u64) -> Labels {
    let mut labels = Labels::new();
    for name in names {
        if random.below(100) < chance {
            labels.push(((*name).to_owned(), VALUES[random.below(VALUES.len() as u64) as usize].to_owned()));
        }
    }
    labels
}

fn group(random: &mut Random) -> Labels {
    let mut labels = labels(random, &["instance", "x", "y"], 30);
    if random.below(40) == 0 {
        labels.push(((if random.below(2) == 0 { "le" } else { "quantile" }).to_owned(), "1".to_owned()));
    }
    labels.push(("job".to_owned(), format!("j{}", random.below(4))));
    labels
}

fn family(random: &mut Random, name: &str) -> PushedFamily {
    let kind = match (name, random.below(12)) {
        ("h" | "m_own", 0) => Kind::Histogram,
        ("h", 1..=6) => Kind::Histogram,
        ("h", 7) => Kind::GaugeHistogram,
        ("s" | "o_summary", 1..=10) => Kind::Summary,
        ("zz", 1..=10) => Kind::Counter,
        (_, 0) => Kind::Counter,
        (_, 1) => Kind::Untyped,
        _ => Kind::Gauge,
    };
    let value = random.below(3) as i64 * 7;
    let count = match random.below(60) {
        0 => 400 + random.below(800),
        1..=4 => 0,
        _ => 1 + random.below(3),
    };
    let metric = |at: u64, random: &mut Random| {
        let mut labels = labels(random, &["y", "x", "job", "instance"], if count > 9 { 5 } else { 40 });
        if count > 9 {
            labels.push(("id".to_owned(), format!("{at}-{}", "pad".repeat(at as usize % 20))));
        }
        if random.below(150 + 100 * count) == 0 {
            labels.push(("__r".to_owned(), String::new()));
        }
        (labels, if kind.is_histogram() || kind == Kind::Summary { value } else { at as i64 })
    };
    let mut metrics: Vec<_> = (0..count).map(|at| metric(at, random)).collect();
    if kind.is_histogram() || kind == Kind::Summary {
        // A second bucket for the same metric is not what this run is about.
        let mut seen = std::collections::BTreeSet::new();
        metrics.retain(|(labels, _)| {
            let mut labels = labels.clone();
            labels.sort();
            seen.insert(labels)
        });
    }
    let help = ["", "one", "two"][random.below(3) as usize];
    let help = if name == "o_summary" && random.below(8) > 0 { "Own summary." } else { help };
    let help = (!help.is_empty()).then(|| help.to_owned());
    PushedFamily { name: name.to_owned(), kind, help, metrics }
}

fn step(random: &mut Random) -> Step {
    match random.below(100) {
        0 => Step::Wipe,
        1..=14 => Step::Delete(group(random)),
        15..=22 => {
            let value = (random.below(3) > 0).then(|| random.below(1000) as i64);
            Step::Own(random.below(3) as usize, value)
        }
        23..=45 => {
            // Nearly always that of the last push.
            let [body, group] = [10, 3].map(|chance| if random.one_in(chance) { random.index(4) } else { 0 });
            Step::Again { body, group, add: [0, 1, 100_000][random.index(3)] }
        }
        _ => {
            let mut families = Vec::new();
            for name in NAMES {
                if random.below(100) < 9 {
                    families.push(family(random, name));
                }
            }
            random.shuffle(&mut families);
            Step::Push(Push {
                labels: group(random),
                is_replace: random.below(2) == 0,
                has_timestamp: random.below(40) == 0,
                is_interleaved: random.below(2) == 0,
                is_whole: random.below(3) == 0,
                families,
            })
        }
    }
}

#[test]
fn what_may_be_stored_is_bounded_as_the_oracle_says() {
    let mut refused = 0;
    for (limit, most) in [(Limit::Groups, 3), (Limit::GroupingNames, 2), (Limit::Series, 25), (Limit::Series, 7)] {
        for seed in 0..5 {
            let mut random = Random::new(seed);
            let mut twins = Twins::limited(Limits::default().with(limit, most));
            for _ in 0..150 {
                twins.step(&step(&mut random));
            }
            assert!(twins.refused > 5, "{limit:?} with seed {seed}: {}", twins.refused);
            refused += twins.refused;
        }
    }
    assert!(refused > 500, "{refused}");
}

/// Pushes `lines` lines of a family to a group.
fn fill(store: &mut Store, job: &str, family: &str, lines: usize, mode: Mode) -> Result<(), Refusal> {
    let metrics = (0..lines).map(|at| (vec![("id".to_owned(), at.to_string())], 1)).collect();
    let family = PushedFamily { name: family.to_owned(), kind: Kind::Gauge, help: Some("help".to_owned()), metrics };
    let push = Push {
        labels: vec![("job".to_owned(), job.to_owned())],
        is_replace: mode == Mode::Replace,
        has_timestamp: false,
        is_interleaved: false,
        is_whole: false,
        families: vec![family],
    };
    let mut staged = Staged::default();
    feed(&mut staged, &push);
    let outcome = store.push(&mut staged, mode, Timestamp(1));
    store.verify();
    outcome
}

#[test]
fn a_store_without_room_takes_what_needs_none() {
    let full =
        |bytes: u64| Err(Refusal::NoRoom(Limits::default().with(Limit::StoreBytes, bytes).reached(Limit::StoreBytes)));
    let mut store = Store::new();
    fill(&mut store, "a", "m", 100, Mode::Replace).unwrap();
    fill(&mut store, "b", "m", 100, Mode::Replace).unwrap();
    let bytes = store.usage().bytes;
    store.set_limits(Limits::default().with(Limit::StoreBytes, bytes));
    assert_eq!(store.full(), Some(Limits::default().with(Limit::StoreBytes, bytes).reached(Limit::StoreBytes)));
    for mode in [Mode::Replace, Mode::Merge] {
        assert_eq!(fill(&mut store, "a", "m", 101, mode), full(bytes));
        assert_eq!(fill(&mut store, "c", "m", 1, mode), full(bytes));
        assert_eq!(fill(&mut store, "a", "m", 100, mode), Ok(()), "what is there can be pushed again");
        assert_eq!(fill(&mut store, "b", "m", 99, mode), Ok(()), "and less");
        assert_eq!(fill(&mut store, "b", "m", 100, mode), Ok(()));
    }
    assert_eq!(fill(&mut store, "a", "n", 100, Mode::Merge), full(bytes));
    assert_eq!(fill(&mut store, "a", "n", 90, Mode::Replace), Ok(()), "another family in the place of the first");
    assert_eq!(store.usage().bytes.cmp(&bytes), std::cmp::Ordering::Less);
    store.delete(&GroupKey::new([("job", "b")]));
    assert_eq!(store.full(), None);
    assert_eq!(fill(&mut store, "c", "n", 90, Mode::Replace), Ok(()));
}

#[test]
fn what_is_beyond_a_bound_already_may_shrink() {
    let mut store = Store::new();
    fill(&mut store, "a", "m", 100, Mode::Replace).unwrap();
    store.set_limits(Limits::default().with(Limit::StoreBytes, 2000).with(Limit::Series, 10));
    assert!(matches!(fill(&mut store, "a", "m", 101, Mode::Replace), Err(Refusal::NoRoom(_))));
    assert_eq!(fill(&mut store, "a", "m", 50, Mode::Replace), Ok(()));
    assert!(matches!(fill(&mut store, "a", "m", 51, Mode::Replace), Err(Refusal::NoRoom(_))));
}

#[test]
fn families_without_series_take_room() {
    let mut store = Store::new();
    let before = store.usage().bytes;
    let mut staged = Staged::default();
    staged.begin([("job", "j")].into_iter());
    for at in 0..1000 {
        let name = format!("family_{at}");
        staged.whole_family(crate::model::sample::FamilyIx(at), &name, Kind::Gauge, Some(&[b'h'; 1000]));
    }
    staged.seal();
    store.push(&mut staged, Mode::Replace, Timestamp(1)).unwrap();
    store.verify();
    let used = store.usage().bytes - before;
    assert!(used > 1_300_000, "{used}");
    store.delete(&GroupKey::new([("job", "j")]));
    assert_eq!(store.usage().bytes, before);
}

#[test]
fn long_random_runs_agree_with_the_oracle() {
    let repeated = run(Twins::default, 0..20);
    assert!(repeated > 100, "{repeated}");
}

/// Steps end everywhere.
#[test]
fn long_random_runs_in_short_steps_agree_with_the_oracle() {
    let repeated = run(|| Twins::in_steps(1), 60..63) + run(|| Twins::in_steps(13), 63..66);
    assert!(repeated > 30, "{repeated}");
}

/// Most of the time such a store is inconsistent; wipes and deletes repair it now and then.
#[test]
fn long_random_runs_unchecked_agree_with_the_oracle() {
    let repeated = run(Twins::unchecked, 20..28);
    assert!(repeated > 40, "{repeated}");
}

/// Groups become large and small again all the time.
#[test]
fn long_random_runs_with_large_groups_agree_with_the_oracle() {
    let repeated = run(Twins::large, 28..40);
    assert!(repeated > 60, "{repeated}");
}

/// Other pushes and deletions come between the steps of long ones.
#[test]
fn changes_in_steps_agree_with_the_oracle_whatever_comes_between() {
    for seed in 0..60 {
        let mut random = Random::for_test(seed);
        let mut twins = Twins::large();
        for _ in 0..80 {
            match step(&mut random) {
                Step::Push(push) if random.one_in(2) => {
                    let mut left = 6;
                    twins.interleave(&push, &mut || {
                        left -= usize::from(left > 0);
                        (left > 0 && random.one_in(2)).then(|| step(&mut random))
                    });
                }
                other => twins.step(&other),
            }
        }
    }
}

/// Plays some seeds; how many pushes were taken as repeats.
fn run(twins: impl Fn() -> Twins, seeds: std::ops::Range<u64>) -> u64 {
    let mut repeated = 0;
    for seed in seeds {
        let mut random = Random::for_test(seed);
        let mut twins = twins();
        for _ in 0..250 {
            let step = step(&mut random);
            twins.step(&step);
            if random.below(10) == 0 {
                twins.hold();
            }
        }
        repeated += twins.repeated;
        let Watches { ended, overtaken, .. } = twins.watches;
        assert!(twins.store.is_checked() || (ended > 40 && overtaken > 4), "{ended} {overtaken} with seed {seed}");
    }
    repeated
}

/// Many groups and families, so that pages split, fill and merge.
#[test]
fn many_groups_come_and_go() {
    let mut random = Random::for_test(99);
    let mut twins = Twins::default();
    let push = |at: u64, random: &mut Random| {
        let pad = "p".repeat(random.below(400) as usize);
        let metrics = vec![(vec![("pad".to_owned(), pad)], at as i64)];
        let name = format!("f{}", random.below(5));
        let labels = vec![("job".to_owned(), format!("j{at}"))];
        let families = vec![PushedFamily { name, kind: Kind::Gauge, help: None, metrics }];
        Step::Push(Push {
            labels,
            is_replace: true,
            has_timestamp: false,
            is_interleaved: false,
            is_whole: false,
            families,
        })
    };
    for _ in 0..150 {
        let at = random.below(120);
        let step = push(at, &mut random);
        twins.step(&step);
    }
    for _ in 0..150 {
        let at = random.below(120);
        twins.step(&Step::Delete(vec![("job".to_owned(), format!("j{at}"))]));
    }
}

/// A wipe leaves its memory to be freed in steps, and wipes in a row do not pile up.
#[test]
fn wiped_groups_are_freed_in_steps() {
    let mut store = Store::new();
    let mut staged = Staged::default();
    let mut fill = |store: &mut Store, groups: usize| {
        for at in 0..groups {
            let labels = vec![("job".to_owned(), format!("j{at}"))];
            let families = vec![PushedFamily { name: "a".to_owned(), kind: Kind::Gauge, help: None, metrics: vec![] }];
            feed(
                &mut staged,
                &Push {
                    labels,
                    families,
                    is_replace: true,
                    has_timestamp: false,
                    is_interleaved: false,
                    is_whole: false,
                },
            );
            store.push(&mut staged, Mode::Replace, Timestamp(1)).expect("nothing is wrong with it");
        }
    };
    fill(&mut store, 3 * DISCARDS_PER_TURN_MAX);
    store.wipe();
    assert_eq!((store.group_count(), store.bytes(), store.has_discarded()), (0, 0, true));
    let mut turns = 0;
    while store.has_discarded() {
        store.discard_some();
        turns += 1;
        fill(&mut store, 1);
    }
    assert!((3..=5).contains(&turns), "{turns} turns");
    for _ in 0..100 {
        fill(&mut store, 1);
        store.wipe();
    }
    assert_eq!(store.discarded.len(), WIPES_PENDING_MAX);
    store.discard_some();
    assert!(!store.has_discarded());
}

/// The reason of a refused push stays with its group until the next one, and is cut where it gets long.
#[test]
fn groups_remember_why_a_push_was_refused() {
    let (mut store, mut staged) = (Store::new(), Staged::default());
    let mut push = |store: &mut Store, family: &str, metrics: Vec<(Labels, i64)>, has_timestamp: bool, at: i64| {
        let labels = vec![("job".to_owned(), "j".to_owned())];
        let families = vec![PushedFamily { name: family.to_owned(), kind: Kind::Gauge, help: None, metrics }];
        let push = Push { labels, families, is_replace: false, has_timestamp, is_interleaved: false, is_whole: false };
        feed(&mut staged, &push);
        store.push(&mut staged, Mode::Merge, Timestamp(at)).map_err(|refusal| refusal.to_string())
    };
    let failure = |store: &Store| {
        let group = store.group(&GroupKey::new([("job", "j")])).expect("a refused push makes its group, too");
        group.failure().map(str::to_owned)
    };
    let of = |value: &str| (vec![("x".to_owned(), value.to_owned())], 1);

    push(&mut store, "a", vec![of("1")], false, 1).expect("nothing is wrong with it");
    assert_eq!(failure(&store), None);
    push(&mut store, "a", vec![of("1")], true, 2).expect_err("it has a timestamp");
    assert_eq!(failure(&store).as_deref(), Some("pushed metrics must not have timestamps"));
    push(&mut store, "a", vec![of("1")], false, 3).expect("nothing is wrong with it");
    assert_eq!(failure(&store).as_deref(), Some("pushed metrics must not have timestamps"), "as is the time of it");

    let refused = push(&mut store, "a", vec![of("1"), of("1")], false, 4).expect_err("the same series twice");
    let told = "pushed metrics are invalid or inconsistent with existing metrics: ";
    assert_eq!(format!("{told}{}", failure(&store).expect("it was refused")), refused);

    // Two bytes a letter: the bound falls inside one of them, however long the text in front is.
    for pad in ["", "p"] {
        let long = format!("{pad}{}", "é".repeat(1000));
        push(&mut store, "a", vec![of(&long), of(&long)], false, 5).expect_err("the same series twice");
        let reason = failure(&store).expect("it was refused");
        assert!((FAILURE_REASON_BYTES_MAX - 1..=FAILURE_REASON_BYTES_MAX).contains(&reason.len()), "{reason}");
        assert!(reason.starts_with("collected metric \"a\" "), "{reason}");
    }
    store.delete(&GroupKey::new([("job", "j")]));
    push(&mut store, "a", vec![of("1")], false, 6).expect("nothing is wrong with it");
    assert_eq!(failure(&store), None, "it is another group");
}

/// Groups know how much of the exposition they are: all of it, but for headers.
#[test]
fn the_bytes_of_groups_are_those_of_their_lines() {
    let mut random = Random::for_test(7);
    let (mut store, mut staged) = (Store::new(), Staged::default());
    for at in 0..400 {
        let labels = vec![("job".to_owned(), format!("j{}", at % 40))];
        let families = NAMES[..11].iter().filter(|_| random.below(3) == 0).copied().collect::<Vec<_>>();
        let families = families.into_iter().map(|name| family(&mut random, name)).collect();
        let push =
            Push { labels, families, is_replace: true, has_timestamp: false, is_interleaved: false, is_whole: false };
        feed(&mut staged, &push);
        let _ = store.push(&mut staged, Mode::Replace, Timestamp(at)); // Some are refused, which is as good.
    }
    let mut snapshot = super::Snapshot::default();
    store.snapshot(&mut snapshot);
    let text: Vec<u8> = snapshot.pieces().iter().flat_map(|piece| piece.iter().copied()).collect();
    let lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#"));
    let expected: usize = lines.map(<[u8]>::len).sum();
    assert_eq!(store.groups_after(None).map(|group| bytes(&group)).sum::<u64>(), expected as u64);
    assert!(store.groups_after(None).any(|group| bytes(&group) > 40_000), "one has a long entry");
}

fn bytes(group: &super::GroupView<'_>) -> u64 {
    group.sizes_from(super::FamilyId(0), true).map(|(_, bytes, _)| bytes).sum()
}
