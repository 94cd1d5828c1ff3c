//! Groups as the original keeps them, and what becomes of them in the store.

use super::*;
use crate::persist::gob::ForeignLabel;
use crate::store::Snapshot;

const JOB: ForeignLabel<'static> = (b"job", b"j");

/// A field of a protobuf message that has bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 128, "a length of one byte");
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

/// A family of a kind by its number, with these fields besides.
fn family(name: &[u8], kind: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    [field(1, name), vec![0x18, kind], fields.concat()].concat()
}

/// A metric with one label and a value: field number and message.
fn metric(label: &str, value_field: u8, value: &[u8]) -> Vec<u8> {
    let label = [field(1, b"l"), field(2, label.as_bytes())].concat();
    field(4, &[field(1, &label), field(value_field, value)].concat())
}

fn number(value: f64) -> Vec<u8> {
    [&b"\x09"[..], &value.to_le_bytes()].concat()
}

fn gauge(name: &str, value: f64) -> Vec<u8> {
    family(name.as_bytes(), 1, &[field(4, &field(2, &number(value)))])
}

fn held<'a>(name: &'a str, seconds: i64, message: &'a [u8]) -> ForeignFamily<'a> {
    ForeignFamily { name: name.as_bytes(), written: Timestamp(seconds * 1_000_000_000), message }
}

fn exposition(store: &Store) -> String {
    let mut snapshot = Snapshot::default();
    store.snapshot(&mut snapshot);
    let text = snapshot.pieces().iter().flat_map(|piece| piece.iter().copied()).collect();
    String::from_utf8(text).expect("the exposition is text")
}

/// Imports a group and compares errors and lines, headers of the push times left out.
#[track_caller]
fn check(
    store: &mut Store,
    labels: &[ForeignLabel<'_>],
    families: &[ForeignFamily<'_>],
    errors: &[&str],
    lines: &[&str],
) {
    let group = ForeignGroup { labels: labels.to_vec(), families: families.to_vec() };
    let found: Vec<_> = Importer::default().import(store, &group).iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), errors.len(), "{found:?}");
    for (found, error) in found.iter().zip(errors) {
        assert!(found.starts_with(error), "{found}");
    }
    store.verify();
    let text = exposition(store);
    let is_header = |line: &&str| line.starts_with("# ") && line.contains(" push_");
    assert_eq!(text.lines().filter(|line| !is_header(line)).collect::<Vec<_>>(), lines);
}

#[test]
fn groups_come_with_their_times() {
    let mut store = Store::new();
    let (pushed, failed) = (gauge("push_time_seconds", 30.0), gauge("push_failure_time_seconds", 40.0));
    let early = family(b"early", 0, &[field(2, b"Help."), metric("x", 3, &number(1.0)), metric("y", 3, &number(2.0))]);
    let (late, empty) = (family(b"late", 3, &[metric("x", 5, &number(3.0))]), family(b"empty", 1, &[]));
    let families = [
        held("late", 30, &late),
        held("early", 20, &early),
        held("empty", 30, &empty),
        held("push_failure_time_seconds", 40, &failed),
        held("push_time_seconds", 30, &pushed),
    ];
    let lines = [
        "# HELP early Help.",
        "# TYPE early counter",
        r#"early{instance="i",job="j",l="x"} 1"#,
        r#"early{instance="i",job="j",l="y"} 2"#,
        "# TYPE late untyped",
        r#"late{instance="i",job="j",l="x"} 3"#,
        r#"push_failure_time_seconds{instance="i",job="j"} 40"#,
        r#"push_time_seconds{instance="i",job="j"} 30"#,
    ];
    check(&mut store, &[(b"instance", b"i"), JOB], &families, &[], &lines);
    let group = store.groups_after(None).next().expect("it was imported");
    let families = group.families();
    let times: Vec<_> = families.iter().map(|family| (family.name(), family.written().unix())).collect();
    let expected =
        [("early", 20), ("empty", 30), ("late", 30), ("push_failure_time_seconds", 40), ("push_time_seconds", 30)];
    assert_eq!(times, expected);
    assert_eq!((group.pushed().unix(), group.failed().unix(), group.last_push_successful()), (30, 40, false));
}

#[test]
fn groups_without_families_are_kept() {
    let none = [r#"push_failure_time_seconds{instance="",job="j"} 0"#, r#"push_time_seconds{instance="",job="j"} 0"#];
    check(&mut Store::new(), &[JOB], &[], &[], &none);
    // Only a refused push.
    let (pushed, failed) = (gauge("push_time_seconds", 0.0), gauge("push_failure_time_seconds", 7.0));
    let families = [held("push_failure_time_seconds", 7, &failed), held("push_time_seconds", 7, &pushed)];
    let refused =
        [r#"push_failure_time_seconds{instance="",job="j"} 7"#, r#"push_time_seconds{instance="",job="j"} 0"#];
    let mut store = Store::new();
    check(&mut store, &[JOB], &families, &[], &refused);
    let families = store.groups_after(None).next().expect("it was imported").families();
    assert!(families.iter().all(|family| family.written().unix() == 7));
    // A file from before there were times of failures, or of pushes.
    let a = gauge("a", 1.0);
    let lines = [
        "# TYPE a gauge",
        r#"a{instance="",job="j"} 1"#,
        r#"push_failure_time_seconds{instance="",job="j"} 0"#,
        r#"push_time_seconds{instance="",job="j"} 5"#,
    ];
    check(&mut Store::new(), &[JOB], &[held("a", 5, &a)], &[], &lines);
}

/// The original lets pushes write over the time of the last failure.
#[test]
fn times_may_be_anything() {
    let write = |message: &[u8]| {
        let mut store = Store::new();
        let group = ForeignGroup { labels: vec![JOB], families: vec![held("push_failure_time_seconds", 9, message)] };
        let errors = Importer::default().import(&mut store, &group);
        let failed = store.groups_after(None).next().expect("it was imported").failed();
        (errors.iter().map(ToString::to_string).collect::<Vec<_>>(), failed.0)
    };
    let name = b"push_failure_time_seconds";
    assert_eq!(write(&gauge("push_failure_time_seconds", 7.5)), (vec![], 7_500_000_000));
    assert_eq!(
        write(&family(name, 3, &[metric("x", 5, &number(-1.0)), metric("y", 5, &number(2.0))])),
        (vec![], -1_000_000_000)
    );
    assert_eq!(write(&family(name, 3, &[])), (vec![], 0));
    let helped = [field(2, b"\xff"), gauge("push_failure_time_seconds", 7.0)].concat();
    assert_eq!(write(&helped), (vec![], 7_000_000_000));
    assert_eq!(write(&family(name, 1, &[metric("x", 5, &number(2.0))])), (vec![], 0));
    assert_eq!(write(&gauge("push_failure_time_seconds", f64::NAN)), (vec![], 0));
    assert_eq!(write(&gauge("push_failure_time_seconds", f64::INFINITY)), (vec![], i64::MAX));
    let reason = "metric family \"push_failure_time_seconds\": unknown type 9";
    let error = format!(r#"group {{job="j"}}, family "push_failure_time_seconds": {reason}"#);
    assert_eq!(write(&family(name, 9, &[])), (vec![error], 0));
}

#[test]
fn faults_are_named_and_the_rest_stays() {
    let mut store = Store::new();
    let none: &[&str] = &[];
    check(&mut store, &[(b"job", b"\xff")], &[], &[r#"group {job="\xff"}: a label is not UTF-8"#], none);
    check(
        &mut store,
        &[(b"job", b"j"), (b"\xff", b"")],
        &[],
        &["group {job=\"j\",\u{fffd}=\"\"}: a label is not"],
        none,
    );
    check(&mut store, &[(b"instance", b"i")], &[], &[r#"group {instance="i"}: there is no job"#], none);
    check(&mut store, &[(b"job", b"")], &[], &[r#"group {job=""}: there is no job"#], none);
    check(&mut store, &[(b"__a", b""), JOB], &[], &[r#"group {__a="",job="j"}: a label has a reserved name"#], none);
    let (good, cut, other) = (gauge("good", 1.0), b"\x0a\x09", gauge("push_time_seconds", 2.0));
    let summary = family(b"sum", 2, &[field(4, &field(4, b""))]);
    let (count, misfit) = (gauge("sum_count", 3.0), family(b"misfit", 0, &[metric("x", 2, &number(1.0))]));
    let bare = family(b"bare", 5, &[field(4, b"")]);
    let schema = family(b"schema", 4, &[field(4, &field(7, b"\x28\xc6\x01"))]);
    let helped = [field(1, b"helped"), field(2, b"a\xff"), gauge("helped", 4.0)].concat();
    let families = [
        held("", 1, b""),
        held("bare", 1, &bare),
        held("cut", 2, cut),
        held("good", 2, &good),
        held("helped", 2, &helped),
        held("misfit", 2, &misfit),
        held("other", 2, &other),
        held("schema", 2, &schema),
        held("sum", 2, &summary),
        held("sum_count", 2, &count),
    ];
    let errors = [
        r#"group {job="j"}, family "": metric family without a name"#,
        r#"group {job="j"}, family "bare": metric family "bare": gauge histogram without a histogram"#,
        r#"group {job="j"}, family "cut": proto: cannot parse invalid wire-format data"#,
        r#"group {job="j"}, family "helped": the help text is not UTF-8; the rest of the family is taken over"#,
        r#"group {job="j"}, family "misfit": pushed metrics are invalid or inconsistent with existing metrics: collected"#,
        r#"group {job="j"}, family "other": the family has another name inside"#,
        r#"group {job="j"}, family "schema": metric family "schema": native histogram with impossible schema 99"#,
        r#"group {job="j"}, family "sum_count": pushed metrics are invalid or inconsistent with existing metrics: "#,
    ];
    let lines = [
        "# TYPE good gauge",
        r#"good{instance="",job="j"} 1"#,
        "# TYPE helped gauge",
        r#"helped{instance="",job="j"} 4"#,
        r#"push_failure_time_seconds{instance="",job="j"} 0"#,
        r#"push_time_seconds{instance="",job="j"} 2"#,
        "# TYPE sum summary",
        r#"sum_sum{instance="",job="j"} 0"#,
        r#"sum_count{instance="",job="j"} 0"#,
    ];
    check(&mut store, &[JOB], &families, &errors, &lines);
    check(&mut store, &[JOB], &[], &[r#"group {job="j"}: there is such a group already"#], &lines);
    let twin = r#"group {instance="",job="j"}: pushed metrics are invalid or inconsistent with existing metrics: "#;
    check(&mut store, &[(b"instance", b""), JOB], &[], &[twin], &lines);
}

/// What a file of the original holds may be long; what is said about it is not.
#[test]
fn long_labels_and_names_are_cut() {
    let (mut store, long) = (Store::new(), [1; 100_000]);
    let (label, name): (ForeignLabel<'_>, ForeignLabel<'_>) = ((b"l", &long), (&long, b"v"));
    let family = ForeignFamily { name: &long, written: Timestamp::default(), message: b"" };
    let cases: [(&[ForeignLabel<'_>], &[ForeignFamily<'_>]); 3] =
        [(&[label], &[]), (&[name; 100], &[]), (&[JOB, label], &[family])];
    for (labels, families) in cases {
        let group = ForeignGroup { labels: labels.to_vec(), families: families.to_vec() };
        let errors = Importer::default().import(&mut store, &group);
        let text = errors[0].to_string();
        assert!(text.starts_with("group {") && text.len() < 15_000 && text.contains("..."), "{text}");
    }
}
