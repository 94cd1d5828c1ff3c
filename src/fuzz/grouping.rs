//! Fuzzes what a request path means: routing, redirects and grouping keys.

use std::fmt::Write as _;

use super::check_error;
use crate::app::grouping::{self, GroupingError, GroupingLabels};
use crate::app::route::{Decision, Endpoint, GroupingPath, Router, redirect_body};
use crate::limits::QUOTE_BYTES_MAX;
use crate::model::name::Names;

/// A redirect may lead to another (cleaning, then case, then a lost API prefix), but soon to an end.
const HOPS_MAX: usize = 4;

const METHODS: [&str; 8] = ["POST", "PUT", "DELETE", "GET", "OPTIONS", "HEAD", "CONNECT", "post"];

/// Routes a target and reads its grouping key. The first byte chooses method, prefix and name rules; the rest is the
/// target.
///
/// # Panics
/// If a redirect is not a path or does not end, or if a grouping key does not survive being spelled in base64.
pub fn grouping_key(data: &[u8]) {
    let Some((choice, target)) = data.split_first() else { return };
    let method = METHODS[usize::from(choice & 7)];
    let names = if choice & 8 == 0 { Names::Classic } else { Names::Utf8 };
    let router = Router::new(if choice & 16 == 0 { "" } else { "/pre" }, "/metrics", choice & 32 == 0);
    let mut target = target.to_vec();
    for _ in 0..HOPS_MAX {
        let mut scratch = Vec::new();
        match router.route(method, &target, &mut scratch) {
            Decision::Redirect { status, location, .. } => {
                check_location(status, &location);
                target = location.into_bytes();
            }
            Decision::Found(Endpoint::Push { path, .. } | Endpoint::Delete { path }) => return check_key(&path, names),
            _ => return,
        }
    }
    panic!("redirected {HOPS_MAX} times, now at {}", target.escape_ascii());
}

fn check_location(status: u16, location: &str) {
    assert!(status == 301 || status == 307);
    assert!(location.starts_with('/') && !location.starts_with("//"), "{location}");
    assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location}");
    let path = location.split('?').next().unwrap_or_default();
    assert!(!path.contains(['"', '<', '>', '\\']), "{location}");
    let body = redirect_body(status, location);
    let link = body.split('"').nth(1).unwrap_or_default();
    let quotes = if location.len() > QUOTE_BYTES_MAX { 0 } else { 2 };
    assert!(!link.contains(['<', '>', '\'']) && body.matches('"').count() == quotes, "{body}");
    check_error(body, 1);
}

fn check_key(path: &GroupingPath<'_>, names: Names) {
    let mut labels = GroupingLabels::default();
    match grouping::parse(path, names, &mut labels) {
        Ok(()) => check_labels(&labels, names),
        Err(error) => {
            if let GroupingError::NotUtf8 { value, .. } = &error {
                let is_cut = path.job.len() + path.rest.len() > QUOTE_BYTES_MAX;
                assert!(is_cut || str::from_utf8(value.start()).is_err());
            }
            // One names a label twice, and its value twice.
            check_error(error, 4);
            assert!(labels.is_empty());
        }
    }
}

fn check_labels(labels: &GroupingLabels, names: Names) {
    assert!(labels.iter().zip(labels.iter().skip(1)).all(|(a, b)| a.0 < b.0), "{labels:?}");
    assert!(labels.iter().all(|(name, _)| names.allows_label(name.as_bytes()) && !name.starts_with("__")));
    let Some(target) = target(labels, names) else { return };
    let mut scratch = Vec::new();
    let decision = Router::new("", "/metrics", false).route("DELETE", target.as_bytes(), &mut scratch);
    let Decision::Found(Endpoint::Delete { path }) = decision else { panic!("{target}: {decision:?}") };
    let mut again = GroupingLabels::default();
    assert_eq!(grouping::parse(&path, names, &mut again), Ok(()), "{target}");
    assert!(again.iter().eq(labels.iter()), "{labels:?} is {again:?} in {target}");
}

/// The target that names a group in base64, as the web page spells it. `None` if one of its names has no escape.
fn target(labels: &GroupingLabels, names: Names) -> Option<String> {
    let (_, job) = labels.iter().find(|(name, _)| *name == "job").expect("every group has a job");
    let mut target = format!("/metrics/job@base64/{}", base64(job.as_bytes()));
    for (name, value) in labels.iter().filter(|(name, _)| *name != "job") {
        let name = if names == Names::Classic { name.to_owned() } else { escaped(name)? };
        let _ = write!(target, "/{name}@base64/{}", base64(value.as_bytes())); // Writing to a string does not fail.
    }
    Some(target)
}

fn escaped(name: &str) -> Option<String> {
    let mut out = String::from("U__");
    for c in name.chars() {
        match c {
            '_' => out.push_str("__"),
            c if c.is_ascii_alphanumeric() => out.push(c),
            c if u32::from(c) > 0xf_ffff => return None,
            c => out.push_str(&format!("_{:x}_", u32::from(c))),
        }
    }
    Some(out)
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let quantum = chunk.iter().enumerate().fold(0, |sum, (at, byte)| sum | usize::from(*byte) << (16 - 8 * at));
        out.extend((0..=chunk.len()).map(|at| char::from(ALPHABET[quantum >> (18 - 6 * at) & 63])));
    }
    out.push('=');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn seeds() {
        let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/grouping_key")).unwrap();
        let mut replayed = 0;
        for seed in seeds {
            grouping_key(&std::fs::read(seed.unwrap().path()).unwrap());
            replayed += 1;
        }
        assert!(replayed >= 15, "{replayed}");
    }

    /// Random targets out of the pieces that matter, so that the fuzzer's ground is covered a little in every test run.
    #[test]
    fn random_targets() {
        const PIECES: [&str; 32] = [
            "/metrics",
            "/job",
            "@base64",
            "/",
            "/",
            "/",
            "/a",
            "/b",
            "/instance",
            "eA",
            "=",
            "%2F",
            "%2f",
            "%25",
            "%ff",
            "%c3%a9",
            "%0A",
            ".",
            "..",
            "/./",
            "/../",
            "?",
            "U__",
            "_",
            "_2e_",
            "_5f_",
            "/METRICS",
            "/JOB",
            "/api/v1",
            "/status",
            "/pre",
            "\\",
        ];
        let mut random = Random::for_test(0);
        for _ in 0..50_000 {
            let mut data = vec![random.below(64) as u8];
            data.extend_from_slice(
                ["", "", "/metrics/job/j", "/pre/metrics/job@base64/eA"][random.index(4)].as_bytes(),
            );
            for _ in 0..random.below(10) {
                data.extend_from_slice(random.pick(&PIECES).as_bytes());
            }
            grouping_key(&data);
        }
    }

    /// Paths that are refused or redirected, with something long in them.
    #[test]
    fn long_targets() {
        for unit in ["x", "%01", "%ff", "%C3%A9", "&", "%22", "//"] {
            let long = unit.repeat(2 * QUOTE_BYTES_MAX);
            for target in [
                format!("/metrics/job/j/{long}"),
                format!("/metrics/job/j/-{long}/v"),
                format!("/metrics/job/j/a@base64/{long}!"),
                format!("/metrics/job@base64/{}{long}!", "eHh4".repeat(QUOTE_BYTES_MAX)),
                format!("/metrics/job/j/a/{long}%ff"),
                format!("/metrics//job/{long}"),
                format!("/METRICS/job/{long}/"),
                format!("/status/?{long}"),
            ] {
                for choice in 0..64 {
                    grouping_key(&[&[choice], target.as_bytes()].concat());
                }
            }
        }
    }
}
