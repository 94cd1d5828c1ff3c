//! Queries, their errors, and the pages that they choose.

use super::*;
use crate::limits::{JSON_AHEAD_BYTES, QUERY_BYTES_MAX};
use crate::model::time::Timestamp;
use crate::store::{GroupKey, Mode, Staged};

/// A push of this family is refused.
const REFUSED: &str = "refused";

pub(in crate::app::query) fn push(store: &mut Store, labels: &[(&str, &str)], families: &[(&str, usize)], at: i64) {
    use crate::model::sample::{FamilyIx, Kind, Label, Part, Sample, Sink};
    let mut staged = Staged::default();
    staged.begin(labels.iter().copied());
    for (at, (name, series)) in families.iter().enumerate() {
        let family = FamilyIx(at as u32);
        staged.family(family, name);
        staged.kind(family, Kind::Gauge);
        for number in 0..*series {
            let value = number.to_string();
            let labels = [Label { name: "n", value: &value }];
            let timestamp = (*name == REFUSED).then_some(1);
            staged.sample(Sample { timestamp, ..Sample::new(family, Part::Whole, &labels, 1.0) });
        }
    }
    staged.seal();
    let _ = store.push(&mut staged, Mode::Merge, Timestamp(at * 1_000_000_000));
}

/// Three groups; in the order of their keys: `instance=i2,job=b`, `job=a`, `job=c/d`.
pub(in crate::app::query) fn store() -> Store {
    let mut store = Store::new();
    push(&mut store, &[("job", "c/d")], &[("x", 1)], 1);
    push(&mut store, &[("job", "a")], &[("x", 2), ("y", 3)], 2);
    push(&mut store, &[("instance", "i2"), ("job", "b")], &[("x", 2)], 3);
    push(&mut store, &[("job", "a")], &[(REFUSED, 1)], 4);
    store
}

/// Chooses in steps of so much work.
fn select(store: &Store, selection: Selection, step: usize) -> GroupList {
    let mut selecting = Selecting::new(selection, Names::Classic);
    loop {
        if let Some(list) = selecting.go_on(store, &mut { step }) {
            return list;
        }
    }
}

fn answer(store: &Store, query: &str) -> String {
    let selection = Selection::parse(query.as_bytes()).unwrap_or_else(|e| panic!("{query}: {e}"));
    let mut list = select(store, selection, 1);
    let mut out = Vec::new();
    while list.write(store, &mut out, &mut 1) {}
    String::from_utf8(out).unwrap()
}

#[test]
fn a_page_shows_all_of_a_group() {
    let expected = concat!(
        r#"{"status":"success","data":{"totals":{"failing":1,"groups":3,"matching":1,"series":5},"groups":["#,
        r#"{"bytes":BYTES,"failed":"1970-01-01T00:00:04Z","failure":"pushed metrics must not have timestamps","families":2,"labels":{"job":"a"},"last_push_successful":false,"#,
        r#""path":"job/a","pushed":"1970-01-01T00:00:02Z","series":5}]}}"#,
    );
    let bytes: usize = [
        "push_time_seconds{instance=\"\",job=\"a\"} 2\n",
        "push_failure_time_seconds{instance=\"\",job=\"a\"} 4\n",
        "x{instance=\"\",job=\"a\",n=\"0\"} 1\n".repeat(2).as_str(),
        "y{instance=\"\",job=\"a\",n=\"0\"} 1\n".repeat(3).as_str(),
    ]
    .map(str::len)
    .iter()
    .sum();
    assert_eq!(answer(&store(), "search=job%3Da"), expected.replace("BYTES", &bytes.to_string()));
    let none = r#"{"status":"success","data":{"totals":{"failing":0,"groups":0,"matching":0,"series":0},"groups":[]}}"#;
    assert_eq!(answer(&Store::new(), ""), none);
}

#[test]
fn pages_are_chosen_and_sorted() {
    let store = store();
    let check = |query: &str, totals: [u32; 3], paths: &[&str]| {
        let answer: serde_json::Value = serde_json::from_str(&answer(&store, query)).unwrap();
        let data = &answer["data"];
        let found: Vec<_> =
            data["groups"].as_array().unwrap().iter().map(|group| group["path"].as_str().unwrap()).collect();
        assert_eq!(found, paths, "{query}");
        assert_eq!(
            ["groups", "matching", "series"].map(|name| data["totals"][name].as_u64().unwrap()),
            totals.map(u64::from),
            "{query}"
        );
    };
    let (a, b, c) = ("job/a", "job/b/instance/i2", "job@base64/Yy9k");
    check("", [3, 3, 8], &[b, a, c]);
    check("sort=", [3, 3, 8], &[b, a, c]);
    check("sort=job", [3, 3, 8], &[b, a, c]);
    check("sort=-job", [3, 3, 8], &[c, a, b]);
    check("sort=pushed", [3, 3, 8], &[c, a, b]);
    check("sort=-pushed", [3, 3, 8], &[b, a, c]);
    check("sort=failed", [3, 3, 8], &[b, c, a]);
    check("sort=-failed", [3, 3, 8], &[a, b, c]);
    check("sort=series", [3, 3, 8], &[c, b, a]);
    check("sort=-series", [3, 3, 8], &[a, b, c]);
    check("state=", [3, 3, 8], &[b, a, c]);
    check("state=failing", [3, 1, 5], &[a]);
    check("state=passing&sort=-job", [3, 2, 3], &[c, b]);
    check("state=failing&search=i2", [3, 0, 0], &[]);
    check("limit=2", [3, 3, 8], &[b, a]);
    check("limit=2&offset=1", [3, 3, 8], &[a, c]);
    check("limit=0", [3, 3, 8], &[]);
    check("offset=4294967295&limit=10000", [3, 3, 8], &[]);
    check("search=", [3, 3, 8], &[b, a, c]);
    check("search=job%3d~*+i2", [3, 1, 2], &[b]);
    check("search=instance!%3Di2&sort=series&limit=1", [3, 2, 6], &[c]);
    check("&search=C/d&", [3, 1, 1], &[c]);
    check("search=%22c/d%22", [3, 1, 1], &[c]);
}

#[test]
fn bad_queries_are_told_why() {
    let check = |query: &str, expected: &str| {
        assert_eq!(Selection::parse(query.as_bytes()).unwrap_err().to_string(), expected, "{query}");
    };
    check("serach=x", r#"unknown parameter "serach"; there are search, state, sort, offset and limit"#);
    check("state=Failing", r#"there is no state "Failing"; there are failing and passing"#);
    check("limit=1&limit=1", "parameter limit is there more than once");
    check("limit=10001", r#"limit "10001" is not a number from 0 to 10000"#);
    check("limit=%2B1", r#"limit "+1" is not a number from 0 to 10000"#);
    check("offset=-1", r#"offset "-1" is not a number from 0 to 4294967295"#);
    check("offset=99999999999999999999999", r#"offset "99999999999999999999999" is not a number from 0 to 4294967295"#);
    check("sort=size", r#"cannot sort by "size"; there are job, pushed, failed and series, and - in front of them"#);
    check("sort=-", r#"cannot sort by "-"; there are job, pushed, failed and series, and - in front of them"#);
    check("search=%zz", r#"parameter "search=%zz" is not percent-encoded UTF-8"#);
    check("search=%ff", r#"parameter "search=%ff" is not percent-encoded UTF-8"#);
    check("search=a+%3Db", r#"search term "=b": there is no label name in front of the operator; text goes in quotes"#);
    check(&"&".repeat(QUERY_BYTES_MAX + 1), "the query is longer than 8192 bytes");
}

#[test]
fn pages_are_written_in_pieces_while_groups_come_and_go() {
    let mut store = Store::new();
    for number in 0..3000 {
        push(&mut store, &[("job", &format!("j{number:04}"))], &[("x", 1)], 1);
    }
    let mut list = select(&store, Selection::parse(b"limit=10000").unwrap(), 1000);
    let mut out = Vec::new();
    while {
        let mut piece = Vec::new();
        let has_more = list.write(&store, &mut piece, &mut 1000);
        assert!(piece.len() < JSON_AHEAD_BYTES + 1024);
        out.extend(piece);
        has_more
    } {
        store.delete(&GroupKey::new([("job", "j2999")]));
        store.delete(&GroupKey::new([("job", "j0000")]));
    }
    let answer: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(answer["data"]["groups"].as_array().unwrap().len(), 2999);
    store.verify();
}
