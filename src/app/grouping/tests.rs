//! The grouping keys of SPEC 2, row by row; paths go through the router as requests do.

use super::*;
use crate::app::route::{Decision, Endpoint, Router};
use crate::limits::QUOTE_BYTES_MAX;

fn parsed(path: &str, names: Names) -> Result<String, GroupingError> {
    let router = Router::new("", "/metrics", false);
    let target = format!("/metrics/{path}");
    let mut scratch = Vec::new();
    let Decision::Found(Endpoint::Push { path, .. }) = router.route("POST", target.as_bytes(), &mut scratch) else {
        panic!("{target} is not a push path");
    };
    let mut labels = GroupingLabels::default();
    let read = parse(&path, names, &mut labels);
    assert_eq!(read.is_err(), labels.is_empty());
    let shown: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    read.map(|()| shown.join(","))
}

fn check_labels(names: Names, rows: &[(&str, &str)]) {
    for (path, expected) in rows {
        assert_eq!(parsed(path, names).as_deref(), Ok(*expected), "{path}");
    }
}

fn check_errors(names: Names, rows: &[(&str, &str)]) {
    for (path, expected) in rows {
        assert_eq!(parsed(path, names).unwrap_err().to_string(), *expected, "{path}");
    }
}

#[test]
fn plain_labels() {
    check_labels(
        Names::Classic,
        &[
            ("job/x", r#"job="x""#),
            ("job/x/", r#"job="x""#),
            ("job/x/a/b", r#"a="b",job="x""#),
            ("job/x/l/", r#"job="x",l="""#),
            ("job/%20", r#"job=" ""#),
            ("job/a+b", r#"job="a+b""#),
            ("job/a%2Bb", r#"job="a+b""#),
            ("job/a%25b", r#"job="a%b""#),
            ("job/%CE%A0", r#"job="Π""#),
            ("job/%2e%2e", r#"job="..""#),
            ("job/%00%0A%22", r#"job="\0\n\"""#),
            ("job/x#y", r#"job="x#y""#),
            ("job/a%2Fb/c", r#"b="c",job="a""#),
            ("job/x/l/%2Fb/c", r#"b="c",job="x",l="""#),
            ("job/x/instance/i/le/1/quantile/2", r#"instance="i",job="x",le="1",quantile="2""#),
            ("job/x/_a/1/A/2/a/3/Z9/4", r#"A="2",Z9="4",_a="1",a="3",job="x""#),
            ("job/x/U__x/1", r#"U__x="1",job="x""#),
        ],
    );
    assert_eq!(parsed("job/j/b/2/a/1", Names::Classic), parsed("job/j/a/1/b/2", Names::Classic));
}

#[test]
fn the_last_of_a_name_counts_and_the_job_in_front() {
    check_labels(
        Names::Classic,
        &[
            ("job/x/job/y", r#"job="x""#),
            ("job/x/job@base64/eQ", r#"job="x""#),
            ("job/x/job/%ff", r#"job="x""#),
            ("job/x/a/b/a/c", r#"a="c",job="x""#),
            ("job/x/a/%ff/a/c", r#"a="c",job="x""#),
            ("job/x/a/%ff/b/%c3/a/%c3%a9/b/%a9/b/b", r#"a="é",b="b",job="x""#),
            ("job/x/instance/a/instance/b", r#"instance="b",job="x""#),
            ("job/x/a/1/a/2/b/0/a/3/job/9/b/", r#"a="3",b="",job="x""#),
        ],
    );
    check_errors(
        Names::Classic,
        &[("job/x/job@base64/!", "invalid base64 encoding for label job=\"!\": illegal base64 data at input byte 0")],
    );
}

#[test]
fn base64_values() {
    for value in ["eA", "eA=", "eA==", "eA===", "e%0AA", "e%0d%0aA", "eB"] {
        check_labels(Names::Classic, &[(&format!("job/x/a@base64/{value}"), r#"a="x",job="x""#)]);
        check_labels(Names::Classic, &[(&format!("job@base64/{value}"), r#"job="x""#)]);
    }
    for value in ["", "=", "==", "%0A"] {
        check_labels(Names::Classic, &[(&format!("job/x/a@base64/{value}"), r#"a="",job="x""#)]);
    }
    check_labels(
        Names::Classic,
        &[
            ("job/titan/name@base64/zqDPgc6_zrzOt864zrXPjc-C", r#"job="titan",name="Προμηθεύς""#),
            ("job@base64/L3Zhci90bXA", r#"job="/var/tmp""#),
            ("job@base64/L3Zhci90bXA/a/b", r#"a="b",job="/var/tmp""#),
            ("job%40base64/eA/a%40base64/eA", r#"a="x",job="x""#),
            ("job/eA", r#"job="eA""#),
        ],
    );
}

#[test]
fn refusals_in_order() {
    check_errors(
        Names::Classic,
        &[
            ("job/x/a", r#"odd number of components in label string "/a""#),
            ("job/x/a/b/c", r#"odd number of components in label string "/a/b/c""#),
            ("job/x/a/b/", r#"odd number of components in label string "/a/b/""#),
            ("job/a%2Fb", r#"odd number of components in label string "/b""#),
            ("job/x/%22%0A%ff", r#"odd number of components in label string "/\"\n\xff""#),
            ("job/%2F", "job name is required"),
            ("job/%2Fa/b", "job name is required"),
            ("job/%2Fjob/b", "job name is required"),
            ("job@base64/=", "job name is required"),
            ("job@base64/=/a/b", "job name is required"),
            ("job/x/1a/b", r#"improper label name "1a""#),
            ("job/x/a-b/c", r#"improper label name "a-b""#),
            ("job/x/a.b/c", r#"improper label name "a.b""#),
            ("job/x/a:b/c", r#"improper label name "a:b""#),
            ("job/x/%C3%A9/c", r#"improper label name "é""#),
            ("job/x/%ff/c", r#"improper label name "\xff""#),
            ("job/x/%20/c", r#"improper label name " ""#),
            ("job/x/__a/c", r#"improper label name "__a""#),
            ("job/x/__a@base64/!", r#"improper label name "__a""#),
            ("job/x/@base64/YQ", r#"improper label name """#),
            ("job/x/%2Fa", r#"improper label name """#),
            ("job/x/a@base64@base64/eA", r#"improper label name "a@base64""#),
            ("job/x/a@BASE64/eA", r#"improper label name "a@BASE64""#),
            ("job/x/a@base64/e", r#"invalid base64 encoding for label a="e": illegal base64 data at input byte 0"#),
            (
                "job/x/a@base64/eA+=",
                r#"invalid base64 encoding for label a="eA+=": illegal base64 data at input byte 2"#,
            ),
            ("job@base64/!!", r#"invalid base64 encoding in job name "": illegal base64 data at input byte 0"#),
            ("job@base64/eHh4!!", r#"invalid base64 encoding in job name "xxx": illegal base64 data at input byte 4"#),
            ("job@base64/e%3DA", r#"invalid base64 encoding in job name "": illegal base64 data at input byte 1"#),
            ("job@base64/!/odd", r#"invalid base64 encoding in job name "": illegal base64 data at input byte 0"#),
            ("job@base64/=/__a/b", r#"improper label name "__a""#),
            ("job@base64/=/odd", r#"odd number of components in label string "/odd""#),
            ("job/x/a.b/c@base64/1d/!", r#"improper label name "a.b""#),
            ("job/x/a.b/c/d@base64/!", r#"improper label name "a.b""#),
            (
                "job/x/d@base64/!/a.b/c",
                r#"invalid base64 encoding for label d="!": illegal base64 data at input byte 0"#,
            ),
        ],
    );
}

#[test]
fn values_that_are_not_utf8() {
    let check = |path: &str, name: &str, value: &[u8]| {
        let error = GroupingError::NotUtf8 { name: name.as_bytes().into(), value: value.into() };
        assert_eq!(parsed(path, Names::Classic), Err(error), "{path}");
    };
    check("job/%ff", "job", b"\xff");
    check("job@base64/_w", "job", b"\xff");
    check("job/x/z/%80/b/%c3", "b", b"\xc3");
    check("job/x/a/%ed%a0%80", "a", b"\xed\xa0\x80");
    check_errors(
        Names::Classic,
        &[
            (
                "job/%ff",
                "pushed metrics are invalid or inconsistent with existing metrics: collected metric \
                 \"push_time_seconds\" { label:{name:\"job\" value:\"\\xff\"}} has a label named \"job\" whose value \
                 is not utf8: \"\\xff\"",
            ),
            ("job/%ff/a", r#"odd number of components in label string "/a""#),
            ("job@base64/=/a/%ff", "job name is required"),
        ],
    );
}

#[test]
fn long_components_are_cut() {
    const ILLEGAL: &str = "illegal base64 data at input byte";
    let most = QUOTE_BYTES_MAX;
    let check = |path: &str, expected: &str| {
        assert_eq!(parsed(path, Names::Classic).unwrap_err().to_string(), expected, "{path}");
    };
    let (long, fits) = ("x".repeat(most + 1), "x".repeat(most - 1));
    let cut = |left_out: usize| format!("\"{}\"...({left_out} bytes)", "x".repeat(most));
    check(&format!("job/j/{fits}"), &format!("odd number of components in label string \"/{fits}\""));
    check(&format!("job/j/{long}"), &format!("odd number of components in label string \"/{fits}\"...(2 bytes)"));
    check(&format!("job/j/{long}%ff/v"), &format!("improper label name {}", cut(2)));
    let escaped = format!("\"{}\"...(7 bytes)", "\\xff".repeat(most));
    check(&format!("job/j/{}/v", "%ff".repeat(most + 7)), &format!("improper label name {escaped}"));
    let error = format!("invalid base64 encoding for label {fits}x...(1 bytes)={}: {ILLEGAL} {}", cut(2), most + 1);
    check(&format!("job/j/{long}@base64/{long}!"), &error);
    let error = format!("invalid base64 encoding for label a=\"{fits}!\": {ILLEGAL} {}", most - 1);
    check(&format!("job/j/a@base64/{fits}!"), &error);
    let error = format!("invalid base64 encoding in job name {}: {ILLEGAL} {}", cut(2 * most), 4 * most);
    check(&format!("job@base64/{}!", "eHh4".repeat(most)), &error);
    let error = format!(
        "pushed metrics are invalid or inconsistent with existing metrics: collected metric \"push_time_seconds\" \
         {{ label:{{name:\"a\" value:{value}}}}} has a label named \"a\" whose value is not utf8: {value}",
        value = cut(2)
    );
    check(&format!("job/j/a/{long}%ff"), &error);
}

/// What is kept of a path for a message is as short as what is shown.
#[test]
fn errors_about_long_paths_are_small() {
    let name = vec![0xff; 1 << 20];
    for rest in [[b"/", &*name].concat(), [b"/", &*name, b"/v"].concat(), [b"/a@base64/", &*name].concat()] {
        let path = GroupingPath { job: b"j", job_is_base64: false, rest: &rest };
        let mut labels = GroupingLabels::default();
        labels.text.reserve(2 << 20);
        let measured = allocation_counter::measure(|| {
            let error = parse(&path, Names::Classic, &mut labels).expect_err("it is refused");
            assert!(error.to_string().len() < 5 * QUOTE_BYTES_MAX);
        });
        assert!(measured.bytes_max < 20_000, "{measured:?}");
    }
}

#[test]
fn utf8_names() {
    check_labels(
        Names::Utf8,
        &[
            ("job/j/U__a_2e_b/c", r#"a.b="c",job="j""#),
            ("job/j/a.b/c", r#"a.b="c",job="j""#),
            ("job/j/%C3%A9/c", r#"job="j",é="c""#),
            ("job/j/U__a_2e_b@base64/YmF6", r#"a.b="baz",job="j""#),
            ("job/j/U__a__b/c", r#"a_b="c",job="j""#),
            ("job/j/U__a__b/c/a_b/d", r#"a_b="d",job="j""#),
            ("job/j/U__a_b/c", r#"U__a_b="c",job="j""#),
            ("job/j/U__in_xxx_valid/c", r#"U__in_xxx_valid="c",job="j""#),
            ("job/j/U__a_1F60A_/c", r#"a😊="c",job="j""#),
            ("job/j/U__a_000041_/c", r#"U__a_000041_="c",job="j""#),
            ("job/j/U__a_2e/c", r#"U__a_2e="c",job="j""#),
            ("job/j/U___55_____x/c", r#"U__x="c",job="j""#),
            ("job/j/U__job/c", r#"job="j""#),
            ("job/j/U__instance/c", r#"instance="c",job="j""#),
            ("job/U__a_2e_b", r#"job="U__a_2e_b""#),
            ("job/j/a/U__a_2e_b", r#"a="U__a_2e_b",job="j""#),
            ("job/j/a@base64@base64/eA", r#"a@base64="x",job="j""#),
        ],
    );
    check_errors(
        Names::Utf8,
        &[
            ("job/j/__a/c", r#"improper label name "__a""#),
            ("job/j/U__/c", r#"improper label name "U__""#),
            ("job/j/@base64/YQ", r#"improper label name """#),
            ("job/j/%ff/c", r#"improper label name "\xff""#),
            ("job/j/U__%ff/c", r#"improper label name "U__\xff""#),
            ("job/j/U___5f__5f_a/c", r#"improper label name "U___5f__5f_a""#),
            ("job/j/U______a/c", r#"improper label name "U______a""#),
            ("job/j/a.b@base64/!", r#"invalid base64 encoding for label a.b="!": illegal base64 data at input byte 0"#),
        ],
    );
}

#[test]
fn many_labels_and_reuse() {
    let rest: String = (0..50_000).map(|i| format!("/l{}/{i}", i % 30_000)).collect();
    let path = GroupingPath { job: b"j", job_is_base64: false, rest: rest.as_bytes() };
    let mut labels = GroupingLabels::default();
    assert_eq!(parse(&path, Names::Classic, &mut labels), Ok(()));
    assert_eq!(labels.len(), 30_001);
    assert!(labels.iter().is_sorted());
    assert!(labels.iter().any(|label| label == ("l7", "30007")));

    let common = GroupingPath { job: b"j", job_is_base64: false, rest: b"/instance/i/zone@base64/eA" };
    let allocations = allocation_counter::measure(|| parse(&common, Names::Classic, &mut labels).unwrap());
    assert_eq!(allocations.count_total, 0);
    assert_eq!(labels.iter().collect::<Vec<_>>(), [("instance", "i"), ("job", "j"), ("zone", "x")]);
}
