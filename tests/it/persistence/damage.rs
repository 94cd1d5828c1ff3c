//! Damaged files: copies of a good one with bytes changed or the end cut off. All that was acknowledged is there, or the
//! file is refused, and then every byte is as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pushgateway::random::Random;

use super::{end, send, send_everything};
use crate::kept::{self, Home, Shown, Start};

/// How many places of each file are changed; `PUSHGATEWAY_FLIPS` takes more.
const FLIPS: u64 = 40;

/// The header of the database, where everything begins and single bits decide.
const HEADER_BYTES: u64 = 320;

/// Where the header has its flags.
const FLAGS_AT: u64 = 9;

/// The flag that says which of two commits is the last one.
const PRIMARY: u8 = 1;

/// What became of damage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Whole,
    Refused,
    Bad(String),
}

fn fate(path: &Path, good: &str) -> Fate {
    let before = fs::read(path).expect("the copy can be read");
    match kept::try_start(path, &[]) {
        Start::Ready(text) if text == good => Fate::Whole,
        Start::Ready(text) => Fate::Bad(format!("accepted, and shows something else{}", kept::difference(good, &text))),
        start => match kept::is_refused(path, &start) {
            Err(why) => Fate::Bad(format!("neither accepted nor refused: {why}")),
            Ok(()) if fs::read(path).expect("the copy can be read") != before => {
                Fate::Bad(format!("refused and changed: {start:?}"))
            }
            Ok(()) => Fate::Refused,
        },
    }
}

/// A file with a history, as a stop or a kill has left it, and what was shown of it.
fn history(home: &Home, way: &str) -> (Vec<u8>, String) {
    let mut server = home.start(&[]);
    send_everything(&server);
    for at in 0..40 {
        let many: String = (0..30).map(|line| format!("m{{at=\"{at}\",line=\"{line}\"}} {}\n", at * line)).collect();
        assert_eq!(send(&server, "PUT", &format!("job/many/at/{at}"), &many), Some(200));
    }
    for at in 0..10 {
        assert_eq!(send(&server, "DELETE", &format!("job/many/at/{}", 3 * at), ""), Some(202));
    }
    assert_eq!(send(&server, "PUT", "job/last", "last 1\n"), Some(200));
    let shown = Shown::of(&server).text;
    end(&mut server, way);
    (fs::read(&home.path).expect("the file can be read"), shown)
}

/// Where to change something: every kind of place in the header, and anywhere.
fn places(random: &mut Random, bytes: u64) -> Vec<(u64, u8)> {
    let count = std::env::var("PUSHGATEWAY_FLIPS").ok().and_then(|count| count.parse().ok()).unwrap_or(FLIPS);
    // The byte of flags bit by bit, then half of the changes in the header.
    let flags = (0..8).map(|bit| (FLAGS_AT, 1 << bit));
    let rest = (8..count).map(|at| if at % 2 == 0 { random.below(HEADER_BYTES) } else { random.below(bytes) });
    let rest: Vec<_> = rest.collect();
    flags.chain(rest.into_iter().map(|at| (at, 1 << random.below(8)))).collect()
}

fn report(what: &str, fates: &[(String, Fate)]) -> Vec<String> {
    let mut counts = BTreeMap::new();
    for (_, fate) in fates {
        let kind = match fate {
            Fate::Whole => "whole",
            Fate::Refused => "refused",
            Fate::Bad(_) => "bad",
        };
        *counts.entry(kind).or_insert(0) += 1;
    }
    println!("{what}: {counts:?}");
    let bad = fates.iter().filter_map(|(place, fate)| match fate {
        Fate::Bad(why) => Some(format!("{what}: {place}: {why}")),
        _ => None,
    });
    bad.collect()
}

#[test]
fn changed_bytes_lose_nothing_or_are_found() {
    let mut random = Random::for_test(5);
    let mut bad = Vec::new();
    for way in ["TERM", "KILL"] {
        let home = Home::new("flips");
        let (bytes, good) = history(&home, way);
        let copy = home.directory().join("copy.db");
        let mut fates = Vec::new();
        let places = places(&mut random, bytes.len() as u64);
        for (at, bit) in places.into_iter().filter(|place| *place != (FLAGS_AT, PRIMARY)) {
            let mut changed = bytes.clone();
            changed[at as usize] ^= bit;
            fs::write(&copy, changed).expect("the copy can be written");
            fates.push((format!("byte {at} of {} ^ {bit:#04x}", bytes.len()), fate(&copy, &good)));
        }
        bad.extend(report(&format!("changes behind {way}"), &fates));
        assert!(fates.iter().any(|(_, fate)| *fate == Fate::Whole), "some bytes mean nothing");
        assert!(fates.iter().any(|(_, fate)| *fate == Fate::Refused), "some bytes mean something");
    }
    assert!(bad.is_empty(), "{} bad:\n{}", bad.len(), bad.join("\n"));
}

/// One bit in the file is not protected by anything: which of the two commits in the header is the last one. If it is
/// wrong, the file is the one before the last commit; not one that was never there.
#[test]
fn the_bit_of_the_last_commit_takes_back_that_commit_at_most() {
    for way in ["TERM", "KILL"] {
        let home = Home::new("bit");
        let (mut bytes, good) = history(&home, way);
        let without_last: Vec<_> =
            good.lines().filter(|line| !line.contains("job=\"last\"") && *line != "# TYPE last untyped").collect();
        bytes[FLAGS_AT as usize] ^= PRIMARY;
        let copy = home.directory().join("copy.db");
        fs::write(&copy, &bytes).expect("the copy can be written");
        match kept::try_start(&copy, &[]) {
            Start::Ready(text) => {
                assert!(text == good || text.lines().eq(without_last), "{way}{}", kept::difference(&good, &text))
            }
            start => kept::is_refused(&copy, &start).unwrap_or_else(|why| panic!("{way}: {why}")),
        }
    }
}

#[test]
fn cut_files_are_refused() {
    let mut random = Random::for_test(6);
    let mut bad = Vec::new();
    for way in ["TERM", "KILL"] {
        let home = Home::new("cuts");
        let (bytes, good) = history(&home, way);
        let copy = home.directory().join("copy.db");
        let pages = bytes.len() / 4096;
        let fixed =
            [0, 1, 8, 9, 10, 63, 64, 320, 4095, 4096, 4097, 8192, bytes.len() / 2, bytes.len() - 4096, bytes.len() - 1];
        let any = (0..5).map(|_| random.index(bytes.len())).collect::<Vec<_>>();
        let whole = (0..5).map(|_| 4096 * random.index(pages)).collect::<Vec<_>>();
        let mut fates = Vec::new();
        for length in fixed.into_iter().chain(any).chain(whole) {
            fs::write(&copy, &bytes[..length]).expect("the copy can be written");
            fates.push((format!("{length} bytes of {}", bytes.len()), fate(&copy, &good)));
        }
        for more in [1, 4096, 65536] {
            fs::write(&copy, [&bytes[..], &vec![0; more]].concat()).expect("the copy can be written");
            fates.push((format!("{more} bytes more than {}", bytes.len()), fate(&copy, &good)));
        }
        bad.extend(report(&format!("cuts behind {way}"), &fates));
    }
    assert!(bad.is_empty(), "{} bad:\n{}", bad.len(), bad.join("\n"));
}
