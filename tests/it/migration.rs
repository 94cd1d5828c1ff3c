//! Groups move from the Go original to the gateway: what it exposed before it was stopped is what the store exposes that
//! was filled from its persistence file.

use std::collections::{BTreeMap, BTreeSet};

use pushgateway::app::conversion::Conversion;
use pushgateway::app::import::Importer;
use pushgateway::exposition::format::{Escaping, Format};
use pushgateway::exposition::wire as pb;
use pushgateway::model::time::Timestamp;
use pushgateway::persist::gob::write::{self, Sender};
use pushgateway::persist::gob::{self, ForeignFamily, ForeignGroup};
use pushgateway::random::Random;
use pushgateway::store::{Snapshot, Store};

use crate::original::{self, Body, Original};
use crate::server::Server;

const KINDS: &str = r#"# HELP some_gauge A gauge, with \\ and\nsecond line.
# TYPE some_gauge gauge
some_gauge 1
some_gauge{a="x",instance="of its own"} -2.5
some_gauge{a="\"quoted\" \\ and\nbroken",b=""} NaN
# TYPE some_counter counter
some_counter{code="200"} 123456789
some_counter{code="500"} 1e300
# TYPE some_untyped untyped
some_untyped +Inf
bare{l="ü"} -Inf
# HELP some_histogram A histogram.
# TYPE some_histogram histogram
some_histogram_bucket{le="0.1",path="/"} 1
some_histogram_bucket{le="1",path="/"} 3
some_histogram_bucket{le="+Inf",path="/"} 4
some_histogram_sum{path="/"} 5.25
some_histogram_count{path="/"} 4
some_histogram_bucket{le="1"} 0
some_histogram_sum 0
some_histogram_count 0
# HELP some_summary A summary.
# TYPE some_summary summary
some_summary{quantile="0.5"} 0.25
some_summary{quantile="0.99"} NaN
some_summary_sum 17
some_summary_count 21
# TYPE no_quantiles summary
no_quantiles_sum 1
no_quantiles_count 2
"#;

/// Everything that a store can hold of what the original can.
fn all_sorts() -> Original {
    let protobuf = protobuf_families();
    let text = Body::Text;
    original::run(&[
        ("PUT", "job/kinds", text(KINDS), 200),
        ("PUT", "job/kinds/instance/db1", text(KINDS), 200),
        ("PUT", "job/protobuf", Body::Protobuf(&protobuf), 200),
        ("PUT", "job@base64/YS9iL2M=/path@base64/L3Zhci90bXA=", text("slashes 1\n"), 200),
        ("PUT", "job/empty/instance@base64/=", text("empty_instance 1\n"), 200),
        ("PUT", "job/empty-other/zone@base64/=", text("empty_zone{a=\"b\"} 1\n"), 200),
        (
            "PUT",
            "job/utf8/city/Z%C3%BCrich/name/%CE%A0%CF%81%CE%BF%CE%BC%CE%B7%CE%B8%CE%B5%CF%8D%CF%82",
            text("u 1\n"),
            200,
        ),
        ("PUT", "job@base64/IlwKJSAg/x/%22", text("escaped 1\n"), 200),
        // Families of one group that were pushed at different times.
        ("PUT", "job/merged", text("# HELP first First.\nfirst 1\nsecond 2\n"), 200),
        ("POST", "job/merged", text("second 3\nthird 4\n"), 200),
        ("POST", "job/merged", text("# TYPE fourth gauge\nfourth 5\n"), 200),
        // Only refused pushes, no families, refused after it was accepted, accepted after it was refused.
        ("PUT", "job/refused", text("a 1 1000\n"), 400),
        ("PUT", "job/without-families", text(""), 200),
        ("PUT", "job/mixed", text("mixed 1\n"), 200),
        ("POST", "job/mixed", text("# TYPE some_gauge counter\nsome_gauge 1\n"), 400),
        ("PUT", "job/repaired", text("repaired 1 7\n"), 400),
        ("PUT", "job/repaired", text("repaired 1\n"), 200),
        // What the gateway has itself, too.
        ("PUT", "job/own", text("# TYPE process_open_fds gauge\nprocess_open_fds 7\n"), 200),
        ("PUT", "job/deleted", text("deleted 1\n"), 200),
        ("DELETE", "job/deleted", text(""), 202),
    ])
}

/// A native histogram, and a family of each kind, one of them without metrics.
fn protobuf_families() -> Vec<u8> {
    let metric = |value_field: u32, value: &[u8]| {
        let mut label = Vec::new();
        pb::write_bytes(&mut label, 1, b"from");
        pb::write_bytes(&mut label, 2, "protobuf é".as_bytes());
        let mut metric = Vec::new();
        pb::write_bytes(&mut metric, 1, &label);
        pb::write_bytes(&mut metric, value_field, value);
        metric
    };
    let number = |value: f64| {
        let mut out = Vec::new();
        pb::write_double(&mut out, 1, value);
        out
    };
    // Eight observations in buckets of schema 3, some of them near zero.
    let mut native = Vec::new();
    pb::write_uint(&mut native, 1, 8);
    pb::write_double(&mut native, 2, 12.5);
    pb::write_uint(&mut native, 5, 6);
    pb::write_double(&mut native, 6, 0.001);
    pb::write_uint(&mut native, 7, 1);
    pb::write_bytes(&mut native, 12, b"\x08\x00\x10\x02");
    pb::write_bytes(&mut native, 12, b"\x08\x06\x10\x01");
    pb::write_bytes(&mut native, 13, b"\x04\x02\x01");
    let families = [
        ("native_histogram", 4, vec![metric(7, &native)]),
        ("proto_counter", 0, vec![metric(3, &number(3.0))]),
        ("proto_gauge", 1, vec![metric(2, &number(0.1))]),
        ("proto_nothing", 1, vec![]),
        ("proto_untyped", 3, vec![metric(5, &number(-7.0))]),
    ];
    let mut body = Vec::new();
    for (name, kind, metrics) in families {
        let mut family = Vec::new();
        pb::write_bytes(&mut family, 1, name.as_bytes());
        pb::write_bytes(&mut family, 2, format!("Help of {name}.").as_bytes());
        pb::write_uint(&mut family, 3, kind);
        for metric in metrics {
            pb::write_bytes(&mut family, 4, &metric);
        }
        pb::write_varint(&mut body, family.len() as u64);
        body.extend_from_slice(&family);
    }
    body
}

/// A store with all groups of a file, and what was not taken over.
fn import(file: &[u8]) -> (Store, Vec<String>) {
    let groups = gob::read(file).unwrap_or_else(|error| panic!("{error}"));
    let mut store = Store::new();
    let errors = Importer::default().import_all(&mut store, &groups);
    (store, errors.iter().map(ToString::to_string).collect())
}

fn exposition(store: &Store) -> String {
    let mut snapshot = Snapshot::default();
    store.snapshot(&mut snapshot);
    let text = snapshot.pieces().iter().flat_map(|piece| piece.iter().copied()).collect();
    String::from_utf8(text).expect("an exposition is UTF-8")
}

/// The families of an exposition that have series of groups: headers and series of each, in no order. The gateway's own
/// series have no job.
fn families(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (mut name, mut help) = (String::new(), None);
    for line in text.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line.to_owned());
            continue;
        }
        if let Some(header) = line.strip_prefix("# TYPE ") {
            name = header.split(' ').next().unwrap_or_default().to_owned();
            let headers = [Some(line.to_owned()), help.take()];
            all.entry(name.clone()).or_default().extend(headers.into_iter().flatten());
        } else if line.contains("job=\"") {
            let is_new = all.entry(name.clone()).or_default().insert(line.to_owned());
            assert!(is_new, "twice: {line}");
        }
    }
    all.retain(|_, lines| lines.iter().any(|line| !line.starts_with('#')));
    all
}

#[test]
fn the_store_exposes_what_the_original_did() {
    let original = all_sorts();
    let file = std::fs::read(&original.file).expect("the original wrote it");
    assert!(gob::looks_like(&file));
    let (mut store, errors) = import(&file);
    assert_eq!(errors, [""; 0]);
    assert!(store.audit().is_empty());
    store.verify();
    let wanted = families(&original.text.expect("the original can be scraped"));
    let found = families(&exposition(&store));
    for (name, lines) in &wanted {
        // The gateway's own help is declared by the server, which is not here.
        let lines: BTreeSet<_> = lines.iter().filter(|line| !line.starts_with("# HELP process_")).cloned().collect();
        assert_eq!(found.get(name), Some(&lines), "{name}");
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    assert!(wanted.values().map(BTreeSet::len).sum::<usize>() > 80, "{wanted:#?}");
    groups_are_as_in_json(&store, &original.json);
    native_histograms_are_as_before(store, &original.protobuf);
}

/// The gateway itself takes the file over, keeps it under another name, and starts from its own file from then on.
#[test]
fn the_gateway_takes_a_file_over() {
    let original = all_sorts();
    let before = std::fs::read(&original.file).expect("the original wrote it");
    let wanted = families(&original.text.expect("the original can be scraped"));
    let flag = format!("--persistence.file={}", original.file.display());
    let kept = original.file.with_extension("gob.original");
    for start in ["import", "restart after kill -9", "restart after SIGTERM"] {
        let mut server = Server::start(&[&flag], "");
        let found = families(&server.scrape());
        assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{start}");
        for (name, lines) in wanted.iter().filter(|(name, _)| !name.starts_with("process_")) {
            assert_eq!(found.get(name), Some(lines), "{start}: {name}");
        }
        assert!(std::fs::read(&kept).expect("the file is kept") == before, "{start}: the kept file has changed");
        assert!(!std::fs::read(&original.file).expect("there is a file").starts_with(&before[..8]), "{start}");
        let names = std::fs::read_dir(original.file.parent().expect("it is in a directory")).expect("it can be read");
        assert_eq!(names.count(), 2, "{start}: other files are left");
        if start != "import" {
            server.signal("TERM");
            assert!(server.wait_for_exit().expect("it stops").success());
        }
    }
}

/// Labels, verdicts, families and the exact times at which they were pushed.
fn groups_are_as_in_json(store: &Store, json: &serde_json::Value) {
    let groups = json["data"].as_array().expect("a list of groups");
    let mut wanted = BTreeSet::new();
    for group in groups {
        let group = group.as_object().expect("a group");
        let labels = group["labels"].as_object().expect("labels").iter();
        let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value}")).collect();
        let families = group.iter().filter(|(_, family)| family.get("time_stamp").is_some());
        let families: Vec<_> =
            families.map(|(name, family)| format!("{name} {}", instant(&family["time_stamp"]))).collect();
        wanted.insert((labels, group["last_push_successful"].as_bool(), families));
    }
    let found: BTreeSet<_> = store
        .groups_after(None)
        .map(|group| {
            let labels = group.labels().map(|(name, value)| format!("{name}={}", serde_json::json!(value)));
            let families = group.families();
            let families =
                families.iter().map(|family| format!("{} {}", family.name(), family.written().rfc3339_nanos()));
            (labels.collect(), Some(group.last_push_successful()), families.collect())
        })
        .collect();
    assert_eq!(found, wanted);
    assert_eq!(found.len(), 14);
}

/// A time of the original's JSON, which is run in UTC.
fn instant(time: &serde_json::Value) -> &str {
    let time = time.as_str().expect("a time");
    assert!(time.ends_with('Z'), "not in UTC: {time}");
    time
}

fn native_histograms_are_as_before(store: Store, protobuf: &[u8]) {
    let family = |body: &[u8]| {
        let mut rest = body;
        while let Some((len, behind)) = pb::varint(rest) {
            let (family, behind) = behind.split_at(usize::try_from(len).expect("it is in memory"));
            if family.starts_with(b"\x0a\x10native_histogram") {
                return family.escape_ascii().to_string();
            }
            rest = behind;
        }
        panic!("there is no native histogram");
    };
    let mut snapshot = Snapshot::default();
    store.snapshot(&mut snapshot);
    let (mut conversion, mut out) =
        (Conversion::new(Format::ProtoDelimited, Escaping::AllowUtf8, false, snapshot), Vec::new());
    while conversion.write(&mut out) {}
    assert_eq!(family(&out), family(protobuf));
}

/// The original refuses these pushes and keeps their groups, which end all its scrapes; the store takes the rest.
#[test]
fn what_ended_all_scrapes_of_the_original_is_left_out() {
    let text = Body::Text;
    let original = original::run(&[
        ("PUT", "job/good", text("good 1\n"), 200),
        ("PUT", "job/twin", text("twin 1\n"), 200),
        ("PUT", "job/twin/instance@base64/=", text("twin 2\n"), 400),
        ("PUT", "job/%FF", text("bytes 1\n"), 400),
    ]);
    assert!(original.text.is_err(), "the original can be scraped");
    let file = std::fs::read(&original.file).expect("the original wrote it");
    let (store, errors) = import(&file);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors.iter().any(|error| error == r#"group {job="\xff"}: a label is not UTF-8"#), "{errors:?}");
    let twin = r#"group {instance="",job="twin"}: pushed metrics are invalid or inconsistent"#;
    assert!(errors.iter().any(|error| error.starts_with(twin)), "{errors:?}");
    let found = families(&exposition(&store));
    assert!(found["twin"].contains(r#"twin{instance="",job="twin"} 1"#), "{found:?}");
    assert!(found["good"].contains(r#"good{instance="",job="good"} 1"#), "{found:?}");
    assert_eq!(store.group_count(), 2);
}

#[test]
fn damaged_files_are_told_from_others() {
    let original = all_sorts();
    let file = std::fs::read(&original.file).expect("the original wrote it");
    for len in (0..file.len()).step_by(13) {
        let error = gob::read(&file[..len]).expect_err("the end is missing");
        assert_eq!(error.offset, len, "{error}");
        assert_eq!(gob::looks_like(&file[..len]), len >= 4, "{len}");
    }
    for behind in [&b"\0"[..], b"\x07\xff\x82", &file] {
        let error = gob::read(&[&file, behind].concat()).expect_err("something follows");
        assert_eq!(error.to_string(), format!("expected the end of the file at byte {}", file.len()));
    }
    let mut random = Random::for_test(0);
    let mut errors = 0;
    for _ in 0..500 {
        let mut damaged = file.clone();
        let at = random.index(file.len());
        damaged[at] ^= 1 << random.below(8);
        let found = gob::read(&damaged);
        gob::naive::compare(&damaged, &found);
        match found {
            Ok(groups) => drop(Importer::default().import_all(&mut Store::new(), &groups)),
            Err(error) => {
                assert!(error.offset <= file.len(), "{error}");
                errors += 1;
            }
        }
    }
    assert!(errors > 50, "{errors} of 500 changes were noticed");
}

/// Counts that are lies get no memory, and what is as small as it can be gets a small multiple of its bytes.
#[test]
fn memory_is_bounded_by_the_file() {
    let check = |file: &[u8]| {
        let counted = allocation_counter::measure(|| drop(gob::read(file)));
        let most = counted.bytes_max as f64 / file.len() as f64;
        assert!(most < 24.0, "{most} bytes a byte");
    };
    let original = original::run(&[("PUT", "job/j", Body::Text("a 1\n"), 200)]);
    let file = std::fs::read(&original.file).expect("the original wrote it");
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged.splice(at..=at, [0xfe, 0x0a, 0x00]);
        check(&damaged);
    }
    let names: Vec<_> = (0..u16::MAX).map(u16::to_be_bytes).collect();
    let family = |name| ForeignFamily { name, written: Timestamp::default(), message: b"" };
    let families = names.iter().map(|name| family(name)).collect();
    for groups in [
        vec![ForeignGroup { labels: vec![(b"l", b"")], families: vec![] }; 50_000],
        vec![ForeignGroup { labels: names.iter().map(|name| (&name[..], &b""[..])).collect(), families: vec![] }],
        vec![ForeignGroup { labels: vec![(b"l", b"")], families }],
    ] {
        let file = write::file(&groups, Sender::default());
        assert_eq!(gob::read(&file).as_ref(), Ok(&groups));
        check(&file);
    }
}
