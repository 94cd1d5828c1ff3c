//! Groups written piece by piece while the store changes under them.

use serde_json::Value;

use super::super::super::push::{BodyFormat, Origin, Push};
use super::*;
use crate::model::name::Names;
use crate::model::time::Timestamp;
use crate::store::{GroupKey, Mode};
use crate::telemetry::Method;

fn push(store: &mut Store, job: &str, mode: Mode, body: &str) {
    let (started, peer) = (std::time::Duration::ZERO, ([127, 0, 0, 1], 1).into());
    let mut push = Push::default();
    push.begin(
        [("job", job)].into_iter(),
        BodyFormat::Text(Names::Classic),
        Some(body.len() as u64),
        Origin { mode, method: Method::Put, size: 0, started, peer },
    );
    push.feed(body.as_bytes(), &mut []).unwrap();
    push.finish().unwrap();
    while !push.staged().seal_some() {}
    store.push(push.staged(), mode, Timestamp(1)).unwrap();
}

/// A body of plain, long, histogram and summary families with notes; large enough for several pieces each.
fn large_body(value: usize) -> String {
    let mut body = String::from("# TYPE labels gauge\nlabels 1\nsmall{z=\"-0\"} -0\n# TYPE h histogram\n");
    for number in 0..1000 {
        body += &format!(
            "h_bucket{{n=\"{number}\",le=\"1\"}} {value}\nh_sum{{n=\"{number}\"}} -0\nh_count{{n=\"{number}\"}} {value}\n"
        );
    }
    body += "# TYPE s summary\n# HELP s Help.\n";
    for number in 0..1000 {
        body += &format!(
            "s{{n=\"{number}\",quantile=\"0.5\"}} {value}\ns_sum{{n=\"{number}\"}} -0\ns_count{{n=\"{number}\"}} {value}\n"
        );
    }
    for number in 0..2000 {
        body += &format!("u{{n=\"{number}\"}} {}\n", if number % 7 == 0 { "-0".to_owned() } else { value.to_string() });
    }
    body
}

/// Writes the body to its end; after each of the first pieces `change` changes the store.
fn written(mut json: JsonBody, store: &mut Store, mut change: impl FnMut(&mut Store, usize)) -> (Value, usize) {
    let (mut out, mut pieces) = (Vec::new(), 0);
    loop {
        let mut piece = Vec::new();
        let has_more = json.write(store, &mut piece);
        assert!(piece.len() < JSON_AHEAD_BYTES + 1024, "piece {pieces} has {} bytes", piece.len());
        out.extend(piece);
        pieces += 1;
        if !has_more {
            store.verify();
            return (serde_json::from_slice(&out).unwrap(), pieces);
        }
        if pieces <= 3 {
            change(store, pieces);
        }
    }
}

fn all() -> JsonBody {
    JsonBody::Groups(GroupsJson::default())
}

fn one(store: &Store, job: &str) -> JsonBody {
    let group = store.group(&GroupKey::new([("job", job)])).unwrap();
    JsonBody::Group(OneGroupJson::new(&group, Names::Classic))
}

#[test]
fn pieces_make_up_the_whole() {
    let mut store = Store::new();
    push(&mut store, "a", Mode::Replace, &large_body(1));
    push(&mut store, "b", Mode::Replace, "x 1\n");
    let (answer, pieces) = written(all(), &mut store, |_, _| {});
    assert!(pieces >= 5, "{pieces}");
    let group = &answer["data"][0];
    let metrics = |name: &str| group[name]["metrics"].as_array().unwrap();
    assert_eq!([metrics("h").len(), metrics("s").len(), metrics("u").len()], [1000, 1000, 2000]);
    for (at, metric) in metrics("h").iter().enumerate() {
        let labels = serde_json::json!({"instance": "", "job": "a", "n": at.to_string()});
        assert_eq!(*metric, serde_json::json!({"buckets": {"1": "1"}, "count": "1", "labels": labels, "sum": "-0"}));
    }
    for (at, metric) in metrics("s").iter().enumerate() {
        let labels = serde_json::json!({"instance": "", "job": "a", "n": at.to_string()});
        assert_eq!(
            *metric,
            serde_json::json!({"quantiles": {"0.5": "1"}, "count": "1", "labels": labels, "sum": "-0"})
        );
    }
    for (at, metric) in metrics("u").iter().enumerate() {
        assert_eq!(
            (&metric["labels"]["n"], &metric["value"]),
            (&at.to_string().into(), &if at % 7 == 0 { "-0" } else { "1" }.into())
        );
    }
    assert_eq!(group["labels"], serde_json::json!({"job": "a"}), "not the family of that name");
    assert_eq!(answer["data"][1]["x"]["metrics"].as_array().unwrap().len(), 1);

    let (alone, _) = written(one(&store, "a"), &mut store, |_, _| {});
    assert_eq!(alone["data"]["group"], *group);
    assert_eq!((&alone["data"]["path"], &alone["data"]["series"]), (&"job/a".into(), &4002.into()));
}

#[test]
fn a_group_is_shown_as_it_was() {
    type Change = fn(&mut Store, usize);
    let changes: [Change; 5] = [
        |store, _| _ = store.delete(&GroupKey::new([("job", "a")])),
        |store, _| store.wipe(),
        |store, piece| push(store, "a", Mode::Replace, &large_body(piece + 1)),
        |store, piece| push(store, "a", Mode::Replace, &format!("other{piece} 1\n")),
        |store, piece| {
            push(
                store,
                "a",
                Mode::Merge,
                &format!("u{{n=\"{piece}\"}} 9\nsmall 3\na{piece} 1\n# TYPE h histogram\nh_sum 1\n"),
            )
        },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        for is_alone in [false, true] {
            let mut store = Store::new();
            push(&mut store, "a", Mode::Replace, &large_body(1));
            push(&mut store, "b", Mode::Replace, "x 1\n");
            let body = |store: &Store| if is_alone { one(store, "a") } else { all() };
            let (expected, pieces) = written(body(&store), &mut store, |_, _| {});
            let (found, same) = written(body(&store), &mut store, change);
            let first = |answer: &Value| if is_alone { answer["data"].clone() } else { answer["data"][0].clone() };
            assert!(first(&found) == first(&expected), "change {at}");
            assert_eq!(pieces, same, "change {at}");
        }
    }
}

#[test]
fn the_text_of_a_group_is_that_of_the_scrape() {
    let mut store = Store::new();
    push(&mut store, "a", Mode::Replace, &large_body(1));
    push(&mut store, "b", Mode::Replace, "# HELP x Other.\nx 1\n");
    push(&mut store, "a", Mode::Merge, "# HELP x Line\\nfeed.\nx{y=\"\\\"\"} 1\n");
    let text = |store: &mut Store, job: &str, change: &mut dyn FnMut(&mut Store)| {
        let group = store.group(&GroupKey::new([("job", job)])).unwrap();
        let mut body = JsonBody::GroupText(OneGroupText::new(&group));
        let mut out = Vec::new();
        while {
            let mut piece = Vec::new();
            let has_more = body.write(store, &mut piece);
            assert!(piece.len() < JSON_AHEAD_BYTES + (64 << 10));
            out.extend(piece);
            has_more
        } {
            change(store);
        }
        String::from_utf8(out).unwrap()
    };
    let mut snapshot = crate::store::Snapshot::default();
    store.snapshot(&mut snapshot);
    let scrape: Vec<u8> = snapshot.pieces().iter().flat_map(|piece| piece.iter().copied()).collect();
    let scrape = String::from_utf8(scrape).unwrap();
    let of_job = |line: &&str| line.contains("job=\"a\"");
    let expected: Vec<&str> = scrape.lines().filter(of_job).collect();
    let whole = text(&mut store, "a", &mut |_| {});
    assert_eq!(whole.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>(), expected);
    assert!(whole.contains("# HELP x Line\\nfeed.\n# TYPE x untyped\nx{instance=\"\",job=\"a\",y=\"\\\"\"} 1\n"));
    assert_eq!(whole.matches("# TYPE h histogram\n").count(), 1);
    assert!(!text(&mut store, "b", &mut |_| {}).contains("feed"), "the help is that of the group");
    assert_eq!(text(&mut store, "a", &mut |store| store.wipe()), whole);
}
