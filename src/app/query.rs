//! The JSON of the query API: status, and all groups with what they hold (SPEC 8).
//!
//! What is written here is short; long answers are put together in `stream`, and chosen in `groups` and `removal`.

mod buckets;
mod families;
mod family;
pub mod groups;
pub mod list;
pub mod own;
pub mod parameters;
pub mod removal;
pub mod search;
pub mod stream;

use crate::model::build::Build;
use crate::model::escape::unescape;
use crate::model::line::label_pairs;
use crate::model::time::Timestamp;

use super::json::{write_key, write_string};
pub use family::LINES_PER_STEP;

/// The body of `/api/v1/status` (SPEC 8.2).
///
/// `changed` names the flags whose values are not those of a start without any; the original does not tell.
pub fn status(
    build: &Build,
    flags: &[(&'static str, String)],
    changed: &[&'static str],
    started: Timestamp,
) -> Vec<u8> {
    let mut out = b"{\"status\":\"success\",\"data\":{\"build_information\":".to_vec();
    let information = [
        ("branch", build.branch),
        ("buildDate", build.date),
        ("buildUser", build.user),
        ("goVersion", build.go_version),
        ("revision", build.revision),
        ("version", build.version),
    ];
    write_object(&mut out, information.into_iter());
    out.extend_from_slice(b",\"flags\":");
    write_object(&mut out, flags.iter().map(|(name, value)| (*name, &**value)));
    out.extend_from_slice(b",\"flags_changed\":[");
    for (at, name) in changed.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(&mut out, name.as_bytes());
    }
    out.push(b']');
    out.extend_from_slice(format!(",\"start_time\":\"{}\"}}}}", started.rfc3339_nanos()).as_bytes());
    out
}

fn write_member(out: &mut Vec<u8>, key: &[u8], value: &str) {
    out.extend_from_slice(key);
    write_string(out, value.as_bytes());
}

fn write_labels(out: &mut Vec<u8>, labels: &str) {
    let mut is_first = true;
    for (name, value) in label_pairs(labels) {
        write_key(out, &mut is_first, unescape(name).as_bytes());
        write_string(out, unescape(value).as_bytes());
    }
    close_object(out, is_first);
}

/// Writes an object of strings.
fn write_object(out: &mut Vec<u8>, members: impl Iterator<Item = (impl AsRef<str>, impl AsRef<str>)>) {
    let mut is_first = true;
    for (key, value) in members {
        write_key(out, &mut is_first, key.as_ref().as_bytes());
        write_string(out, value.as_ref().as_bytes());
    }
    close_object(out, is_first);
}

fn close_object(out: &mut Vec<u8>, is_empty: bool) {
    out.extend_from_slice(if is_empty { b"{}" } else { b"}" });
}
