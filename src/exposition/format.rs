//! The formats of the exposition, and how names are escaped in it (SPEC 7.1, 7.6).
//!
//! Which of them a scraper gets is negotiated elsewhere.

use crate::model::escape::unescape;
use crate::model::name::{is_classic_label_name, is_classic_metric_name};

/// The formats of the exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// Text, version 0.0.4.
    #[default]
    Text,
    /// Protobuf messages, each behind its length.
    ProtoDelimited,
    /// Protobuf in its multi-line text form.
    ProtoText,
    /// Protobuf in its text form, a line per family.
    ProtoCompact,
}

/// The label that stands for the name of a metric.
const METRIC_NAME_LABEL: &[u8] = b"__name__";

/// What Prometheus puts in front of the name of a label that is in conflict with another one.
const EXPORTED: &[u8] = b"exported_";

/// What happens to names that are not classic (SPEC 7.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Escaping {
    /// They stay; text quotes them.
    AllowUtf8,
    /// Other characters become `_`.
    #[default]
    Underscores,
    /// Dots become `_dot_`, other characters `__`.
    Dots,
    /// `U__` and code points.
    Values,
}

impl Escaping {
    /// Writes a metric name as it is in this escaping. `quoted` is the name as finished text has it between quotes, so
    /// with escapes; classic names, which stand without quotes, are the same in every escaping.
    pub fn write(self, out: &mut Vec<u8>, quoted: &str) {
        if is_classic_metric_name(quoted.as_bytes()) {
            out.extend_from_slice(quoted.as_bytes());
        } else {
            self.write_other(out, quoted, true);
        }
    }

    /// The same for a label name, which becomes one that scrapers take: without colons, which the original leaves in it,
    /// and not `__name__`, which is the metric's.
    pub fn write_label(self, out: &mut Vec<u8>, quoted: &str) {
        if is_classic_label_name(quoted.as_bytes()) {
            out.extend_from_slice(quoted.as_bytes());
            return;
        }
        let start = out.len();
        self.write_other(out, quoted, false);
        if &out[start..] == METRIC_NAME_LABEL {
            out.splice(start..start, EXPORTED.iter().copied());
        }
    }

    fn write_other(self, out: &mut Vec<u8>, quoted: &str, may_have_colons: bool) {
        let name = unescape(quoted);
        if self == Self::AllowUtf8 {
            out.extend_from_slice(name.as_bytes());
            return;
        }
        if self == Self::Values {
            out.extend_from_slice(b"U__");
        }
        let mut utf8 = [0; 4];
        for (at, c) in name.char_indices() {
            let is_colon = c == ':' && may_have_colons;
            let is_allowed = c.is_ascii_alphabetic() || c == '_' || is_colon || (c.is_ascii_digit() && at > 0);
            match (self, c) {
                (Self::Dots | Self::Values, '_') => out.extend_from_slice(b"__"),
                _ if is_allowed => out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes()),
                (Self::Dots, '.') => out.extend_from_slice(b"_dot_"),
                (Self::Dots, _) => out.extend_from_slice(b"__"),
                (Self::Values, _) => out.extend_from_slice(format!("_{:x}_", u32::from(c)).as_bytes()),
                (Self::Underscores | Self::AllowUtf8, _) => out.push(b'_'),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_the_original_does() {
        let check = |quoted: &str, expected: [&str; 4]| {
            let escapings = [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values];
            for (escaping, expected) in escapings.into_iter().zip(expected) {
                let mut out = Vec::new();
                escaping.write(&mut out, quoted);
                assert_eq!(str::from_utf8(&out).unwrap(), expected, "{quoted} {escaping:?}");
            }
        };
        check("a.b", ["a.b", "a_b", "a_dot_b", "U__a_2e_b"]);
        check("1a", ["1a", "_a", "__a", "U___31_a"]);
        check("aé😊", ["aé😊", "a__", "a____", "U__a_e9__1f60a_"]);
        check("_x.y", ["_x.y", "_x_y", "__x_dot_y", "U____x_2e_y"]);
        check("c d", ["c d", "c_d", "c__d", "U__c_20_d"]);
        check("a:b.c", ["a:b.c", "a:b_c", "a:b_dot_c", "U__a:b_2e_c"]);
        check("x1\\n\\\"y", ["x1\n\"y", "x1__y", "x1____y", "U__x1_a__22_y"]);
        check("U__x", ["U__x"; 4]);
        check("a_b:1", ["a_b:1"; 4]);
    }

    #[test]
    fn labels_get_names_that_scrapers_take() {
        let check = |quoted: &str, expected: [&str; 4]| {
            let escapings = [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values];
            for (escaping, expected) in escapings.into_iter().zip(expected) {
                let mut out = b"before".to_vec();
                escaping.write_label(&mut out, quoted);
                assert_eq!(out.strip_prefix(b"before").unwrap().escape_ascii().to_string(), expected, "{escaping:?}");
            }
        };
        check("a_b1", ["a_b1"; 4]);
        check("a.b", ["a.b", "a_b", "a_dot_b", "U__a_2e_b"]);
        check("a:b", ["a:b", "a_b", "a__b", "U__a_3a_b"]);
        check(":a.b", [":a.b", "_a_b", "__a_dot_b", "U___3a_a_2e_b"]);
        check("._name__", ["._name__", "exported___name__", "_dot___name____", "U___2e___name____"]);
        check(":name:", [":name:", "_name_", "exported___name__", "U___3a_name_3a_"]);
    }
}
