//! The check of a push against groups with other label names: a series may be in any of them already. It finds each
//! that is, and neither many sets of names nor many series with many labels make others wait.

use std::time::Instant;

use super::{Honest, WAIT_MOST, put, put_well};
use crate::server::Server;

/// How many names there are, of which the sets are made.
const NAMES: usize = 10;

fn name(at: usize) -> String {
    format!("l{at}")
}

/// The path of the group that has the names of this set, bit by bit, each with the value `v`.
fn group(job: &str, set: usize) -> String {
    let names = (0..NAMES).filter(|at| set >> at & 1 == 1);
    names.fold(format!("/metrics/job/{job}"), |path, at| format!("{path}/{}/v", name(at)))
}

/// A series whose labels are those names of a set, and perhaps the job.
fn series(job: Option<&str>, set: usize, value: &str) -> String {
    let labels = (0..NAMES).filter(|at| set >> at & 1 == 1).map(|at| format!("{}=\"{value}\"", name(at)));
    let labels: Vec<_> = job.map(|job| format!("job=\"{job}\"")).into_iter().chain(labels).collect();
    format!("f{{{}}} 1\n", labels.join(","))
}

/// A gateway with groups of so many sets of names, all of which hold the family `f`.
fn with_sets(sets: usize) -> Server {
    let gateway = Server::start(&[], "");
    for set in 1..=sets {
        put_well(&gateway, &group("x", set), "f 1\n");
    }
    gateway
}

#[test]
fn a_twin_is_found_in_a_group_with_any_other_names() {
    const SETS: usize = 300;
    let gateway = with_sets(SETS);
    let refused = |what: &str, path: &str, body: &str| {
        let response = put(&gateway, path, body);
        let text = response.text_lossy();
        assert_eq!(response.status, Some(400), "{what}: {text:.300}");
        assert!(text.contains("was collected before with the same name and label values"), "{what}: {text:.300}");
    };
    // Series with all the labels that a group has, or with some of them, the rest being those of their own group.
    for set in [1, 2, 256, 3, 85, 170, 255, 299, SETS] {
        let beside = series(None, set, "v");
        refused(&format!("set {set}"), "/metrics/job/x", &beside);
        // The last of many, all others of which are new.
        let many: String = (0..300).map(|at| series(None, set, &format!("new{at}"))).collect();
        refused(&format!("set {set}, the last of many"), "/metrics/job/x", &format!("{many}{beside}"));
        let (half, rest) = (set & 0b01_0101_0101, set & 0b10_1010_1010);
        if half != 0 && rest != 0 {
            // In the group that has half of the names there is one already; it is added to.
            let body = format!("f 1\n{}", series(None, rest, "v"));
            refused(&format!("set {set}, half of it"), &group("x", half), &body);
        }
    }
    // What differs in one value, or has one label more or less than any group, is none.
    for (set, value) in [(1, "w"), (299, "w"), (1023, "v"), (1023, "w")] {
        put_well(&gateway, "/metrics/job/x", series(None, set, value));
    }
    // The other way round: the group comes later than the series.
    put_well(&gateway, "/metrics/job/y", series(None, 7, "v"));
    refused("a group after its twin", &group("y", 7), "f 1\n");
    put_well(&gateway, &group("y", 6), "f 1\n");
}

#[test]
fn many_sets_of_names_and_many_series_hold_up_nobody() {
    let gateway = with_sets(990);
    let body: String = (0..1000).map(|at| series(None, 1023, &at.to_string())).collect();
    let (honest, begin) = (Honest::start(&gateway), Instant::now());
    let response = put(&gateway, "/metrics/job/big", body);
    let taken = begin.elapsed();
    honest.end();
    // What would cost more than it may is refused, with the flag that bounds it.
    let is_bounded = response.status == Some(413) && response.text_lossy().contains("(--limit.");
    assert!(response.status == Some(200) || is_bounded, "{:?} {:.300}", response.status, response.text_lossy());
    // In a debug build that takes less than a second if there is nothing to be found, and a minute if all is looked up.
    assert!(taken < 5 * WAIT_MOST, "the push took {taken:?}");
}

/// Many small pushes beside many sets of names: the work for one does not grow with the sets.
#[test]
fn small_pushes_do_not_pay_for_sets_of_names() {
    const PUSHES: usize = 200;
    let time = |gateway: &Server| {
        let begin = Instant::now();
        for at in 0..PUSHES {
            put_well(gateway, "/metrics/job/big", series(None, 1023, &at.to_string()));
        }
        begin.elapsed().as_secs_f64()
    };
    let (alone, beside) = (Server::start(&[], ""), with_sets(990));
    let (alone, beside) = (time(&alone), time(&beside));
    println!("{PUSHES} pushes: {alone:.2} s alone, {beside:.2} s beside 990 sets of names");
    // Each push is a connection of its own, which costs as much as the push; looking up all sets is tens of times that.
    assert!(beside < 4.0 * alone + 0.5, "{PUSHES} pushes took {beside} s instead of {alone} s");
}
