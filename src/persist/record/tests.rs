//! Records against the store: what is written comes back, in pieces of any size, and nothing else is read.

use super::*;
use crate::random::Random;
use crate::store::Store;
use crate::store::naive::{Labels, Push, PushedFamily, Step, Twins, detail_series};

/// Writes a record with any body.
pub fn pack(key: &[u8], body: &[u8], out: &mut Vec<u8>) {
    let mut encoder = Encoder { start: out.len(), ..Encoder::default() };
    out.extend_from_slice(&[VERSION, 0, 0, 0, 0]);
    encoder.put(body, out);
    encoder.end(key, out);
}

fn encode(store: &Store, group: &GroupView<'_>, random: &mut Random) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut out = b"before".to_vec();
    encoder.begin(group, &mut out);
    let mut budget = random.below(5000) as usize;
    while !encoder.advance(store, &mut out, &mut budget) {
        assert!(encoder.is_busy());
        budget = 1 + random.below(5000) as usize;
    }
    assert!(!encoder.is_busy());
    out.split_off(6)
}

/// Keeps all groups and puts them back; what they are then is what they were.
fn restart(twins: &mut Twins, random: &mut Random) {
    let mut records = Vec::new();
    twins.restart(&mut |old, group, store| {
        let key = group.key().as_bytes();
        let record = encode(old, group, random);
        let body = unpack(key, &record).unwrap();
        let stored = parse(key, &body, detail_series).unwrap();
        assert!(store.restore(&stored));
        assert!(!store.restore(&stored), "it is there already");
        records.push((group.key().clone(), record));
    });
    for (key, record) in records {
        assert_eq!(encode(&twins.store, &twins.store.group(&key).unwrap(), random), record);
    }
}

fn family(random: &mut Random, name: &str) -> PushedFamily {
    let kinds = [Kind::Gauge, Kind::Counter, Kind::Untyped, Kind::Histogram, Kind::Summary, Kind::GaugeHistogram];
    let count = if random.below(30) == 0 { 3000 } else { random.below(4) };
    let metric = |at: u64| {
        let labels: Labels = vec![("id".to_owned(), format!("{at}-é\"\\")), ("x".to_owned(), String::new())];
        (labels, at as i64)
    };
    let help = [None, Some(String::new()), Some("help é".to_owned())][random.below(3) as usize].clone();
    let kind = if name == "f0" { kinds[random.below(6) as usize] } else { kinds[name.len() % 6] };
    PushedFamily { name: name.to_owned(), kind, help, metrics: (0..count).map(metric).collect() }
}

fn step(random: &mut Random) -> Step {
    let labels = vec![("job".to_owned(), format!("j\0{}", random.below(6)))];
    if random.below(8) == 0 {
        return Step::Delete(labels);
    }
    let names = ["f0", "f11", "f222", "f3333", "f44444", "push_time_seconds"];
    let chosen: Vec<_> = names.into_iter().filter(|_| random.below(3) == 0).collect();
    Step::Push(Push {
        labels,
        is_replace: random.below(2) == 0,
        has_timestamp: random.below(20) == 0,
        is_interleaved: random.below(2) == 0,
        is_whole: random.below(2) == 0,
        families: chosen.into_iter().map(|name| family(random, name)).collect(),
    })
}

#[test]
fn a_store_comes_back_as_it_was() {
    for (seed, twins) in [(0, Twins::default()), (1, Twins::unchecked()), (2, Twins::default())] {
        let mut twins = twins;
        let mut random = Random::for_test(seed);
        for _ in 0..60 {
            for _ in 0..random.below(5) {
                twins.step(&step(&mut random));
            }
            restart(&mut twins, &mut random);
        }
    }
}

/// A record and its key.
fn example(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let mut twins = Twins::default();
    twins.step(&step(random));
    let mut families = vec![family(random, "f11"), family(random, "f222")];
    families[0].metrics = vec![(Labels::new(), 5)];
    let labels = vec![("job".to_owned(), "j".to_owned())];
    let push = Push { labels, is_replace: true, has_timestamp: false, is_interleaved: false, is_whole: true, families };
    twins.step(&Step::Push(push));
    let group = twins.store.group(&GroupKey::new([("job", "j")])).unwrap();
    (group.key().as_bytes().to_vec(), encode(&twins.store, &group, random))
}

#[test]
fn damaged_records_are_refused() {
    let mut random = Random::for_test(7);
    let (key, record) = example(&mut random);
    assert!(unpack(&key, &record).is_ok());
    assert_eq!(unpack(b"job\0other\0", &record), Err(RecordError::Damaged));
    for cut in 0..record.len() {
        assert_eq!(unpack(&key, &record[..cut]), Err(RecordError::Damaged), "cut at {cut}");
    }
    for at in 1..record.len() {
        let mut bad = record.clone();
        bad[at] ^= 1 << random.below(8);
        assert_eq!(unpack(&key, &bad), Err(RecordError::Damaged), "flipped at {at}");
    }
    let mut newer = record.clone();
    newer[0] = 2;
    assert_eq!(unpack(&key, &newer), Err(RecordError::Newer(2)));
    assert!(unpack(&key, &newer).unwrap_err().to_string().contains("version 2"));
}

/// A body is trusted for its checksum; what has one and is no body is still only refused.
#[test]
fn other_bodies_do_no_harm() {
    let mut random = Random::for_test(8);
    let (key, record) = example(&mut random);
    let body = unpack(&key, &record).unwrap();
    for cut in 0..body.len() {
        assert_eq!(parse(&key, &body[..cut], detail_series).err(), Some(RecordError::Damaged), "cut at {cut}");
    }
    for _ in 0..20_000 {
        let mut bad = body.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bad.len() as u64) as usize;
            bad[at] = random.below(256) as u8;
        }
        if let Ok(group) = parse(&key, &bad, detail_series) {
            let mut store = Store::new();
            if store.restore(&group) {
                store.verify();
            }
        }
    }
}
