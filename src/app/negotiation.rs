//! What a scraper accepts: the exposition format, how names are escaped in it (SPEC 7.1), and gzip (SPEC 7.2).
//!
//! Reads headers only; writes no format. The leniency and the strictness are the original's.

use smallvec::SmallVec;

use crate::exposition::format::{Escaping, Format};
use crate::model::{number, order};

/// The `Content-Type` of an exposition.
pub const fn content_type(format: Format, escaping: Escaping) -> &'static str {
    macro_rules! with_escaping {
        ($media_type:expr) => {
            match escaping {
                Escaping::AllowUtf8 => concat!($media_type, "; escaping=allow-utf-8"),
                Escaping::Underscores => concat!($media_type, "; escaping=underscores"),
                Escaping::Dots => concat!($media_type, "; escaping=dots"),
                Escaping::Values => concat!($media_type, "; escaping=values"),
            }
        };
    }
    macro_rules! protobuf {
        ($encoding:literal) => {
            with_escaping!(concat!(
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=",
                $encoding
            ))
        };
    }
    match format {
        Format::Text => with_escaping!("text/plain; version=0.0.4; charset=utf-8"),
        Format::ProtoDelimited => protobuf!("delimited"),
        Format::ProtoText => protobuf!("text"),
        Format::ProtoCompact => protobuf!("compact-text"),
    }
}

/// Chooses format and escaping by the first `Accept` header, if there is one (SPEC 7.1).
pub fn negotiate(accept: Option<&[u8]>) -> (Format, Escaping) {
    let mut clauses: SmallVec<[Clause<'_>; 8]> =
        accept.unwrap_or_default().split(|byte| *byte == b',').filter_map(Clause::new).collect();
    order::sort_by(&mut clauses, |a, b| a.is_wild.cmp(&b.is_wild).then(b.quality.total_cmp(&a.quality)));
    let mut escaping = Escaping::default();
    for clause in &clauses {
        if let Some(value) = clause.parameter(b"escaping") {
            escaping = named_escaping(value).unwrap_or(escaping);
        }
        if let Some(format) = clause.format() {
            return (format, escaping);
        }
    }
    (Format::default(), escaping)
}

fn named_escaping(name: &[u8]) -> Option<Escaping> {
    match name {
        b"allow-utf-8" => Some(Escaping::AllowUtf8),
        b"underscores" => Some(Escaping::Underscores),
        b"dots" => Some(Escaping::Dots),
        b"values" => Some(Escaping::Values),
        _ => None,
    }
}

/// One clause of an `Accept` header.
struct Clause<'a> {
    media_type: &'a [u8],
    parameters: &'a [u8],
    /// Whether the type is `*`. Such clauses come after all others, whatever their quality.
    is_wild: bool,
    quality: f64,
}

impl<'a> Clause<'a> {
    /// `None` for one without a slash, which counts as not there.
    fn new(clause: &'a [u8]) -> Option<Self> {
        let end = memchr::memchr(b';', clause).unwrap_or(clause.len());
        let (media_type, parameters) = (clause[..end].trim_ascii(), &clause[end..]);
        let slash = memchr::memchr(b'/', media_type);
        if slash.is_none() && media_type != b"*" {
            return None;
        }
        let is_wild = media_type[..slash.unwrap_or(media_type.len())].trim_ascii() == b"*";
        let mut clause = Self { media_type, parameters, is_wild, quality: 1.0 };
        if let Some(quality) = clause.parameter(b"q") {
            clause.quality = number::parse(quality).unwrap_or(0.0);
        }
        Some(clause)
    }

    /// The last parameter of that name.
    fn parameter(&self, name: &[u8]) -> Option<&'a [u8]> {
        let mut parameters = self.parameters.rsplit(|byte| *byte == b';');
        parameters.find_map(|parameter| {
            let equals = memchr::memchr(b'=', parameter)?;
            (parameter[..equals].trim_ascii() == name).then(|| parameter[equals + 1..].trim_ascii())
        })
    }

    fn format(&self) -> Option<Format> {
        match self.media_type {
            b"text/plain" => matches!(self.parameter(b"version"), None | Some(b"" | b"0.0.4")).then_some(Format::Text),
            b"application/vnd.google.protobuf"
                if self.parameter(b"proto") == Some(b"io.prometheus.client.MetricFamily") =>
            {
                match self.parameter(b"encoding")? {
                    b"delimited" => Some(Format::ProtoDelimited),
                    b"text" => Some(Format::ProtoText),
                    b"compact-text" => Some(Format::ProtoCompact),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Whether the answer is to be compressed, by all `Accept-Encoding` headers (SPEC 7.2).
///
/// Only if gzip is wanted more than the identity: a client that has no preference gets the answer as it is.
pub fn accepts_gzip<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut identity, mut gzip) = (0.0, 0.0);
    for value in values {
        let mut rest = value.trim_ascii_start();
        while let Some((coding, quality, behind)) = coding(rest) {
            if matches!(coding, b"identity" | b"*") {
                identity = f64::max(identity, quality);
            }
            if matches!(coding, b"gzip" | b"*") {
                gzip = f64::max(gzip, quality);
            }
            rest = behind;
        }
    }
    gzip > identity
}

/// The first clause of an `Accept-Encoding` header: coding, quality and what follows the comma. `None` where the header
/// ends or is not understood, which drops the rest of it.
fn coding(header: &[u8]) -> Option<(&[u8], f64, &[u8])> {
    let is_token = |byte: &u8| byte.is_ascii_graphic() && !b"\"(),:;<=>?@[]\\{}".contains(byte);
    let (coding, rest) = header.split_at(header.iter().take_while(|byte| is_token(byte)).count());
    if coding.is_empty() {
        return None;
    }
    let mut quality = 1.0;
    let mut rest = rest.trim_ascii_start();
    if let Some(parameter) = rest.strip_prefix(b";") {
        let number = parameter.trim_ascii_start().strip_prefix(b"q=").filter(|it| matches!(it, [b'0' | b'1', ..]))?;
        let fraction = match &number[1..] {
            [b'.', digits @ ..] => 1 + digits.iter().take_while(|byte| byte.is_ascii_digit()).count(),
            _ => 0,
        };
        quality = number::parse(&number[..1 + fraction])?;
        rest = number[1 + fraction..].trim_ascii_start();
    }
    Some((coding, quality, rest.strip_prefix(b",").unwrap_or_default().trim_ascii_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding";

    #[test]
    fn content_types() {
        let check = |format, escaping, expected: &str| assert_eq!(content_type(format, escaping), expected);
        check(Format::Text, Escaping::Underscores, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
        check(Format::Text, Escaping::AllowUtf8, "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8");
        let protobuf = PROTOBUF.replace(';', "; ");
        check(Format::ProtoDelimited, Escaping::Values, &format!("{protobuf}=delimited; escaping=values"));
        check(Format::ProtoText, Escaping::Dots, &format!("{protobuf}=text; escaping=dots"));
        check(Format::ProtoCompact, Escaping::Dots, &format!("{protobuf}=compact-text; escaping=dots"));
    }

    #[test]
    fn text_is_what_everybody_gets() {
        assert_eq!(negotiate(None), (Format::Text, Escaping::Underscores));
        let check = |accept: &str, escaping| {
            assert_eq!(negotiate(Some(accept.as_bytes())), (Format::Text, escaping), "{accept}");
        };
        for accept in [
            "",
            "*",
            "*/*",
            "text/html",
            "garbage",
            "text/*",
            ",;,",
            "a/b;q",
            "TEXT/PLAIN",
            "text/plain;version=1.0.0",
            "text/plain;version=0.0.4",
            "text/plain;q=0",
            "text/plain;escaping=foo",
            "text/plain;Escaping=dots",
            "text/plain;escaping=\"dots\"",
            "garbage;escaping=dots",
            "application/openmetrics-text;version=1.0.0",
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2;escaping=dots",
            "text/plain,a/b;escaping=dots",
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/vnd.google.protobuf",
            "application/vnd.google.protobuf;encoding=delimited",
        ] {
            check(accept, Escaping::Underscores);
        }
        check(&format!("{PROTOBUF}=foo"), Escaping::Underscores);
        check("text/plain;escaping=allow-utf-8", Escaping::AllowUtf8);
        check("text/plain;escaping=dots;escaping=values", Escaping::Values);
        check("text/plain; version=1.0.0; escaping=allow-utf-8", Escaping::AllowUtf8);
        check("*/*;escaping=dots", Escaping::Dots);
        check("*;escaping=dots", Escaping::Dots);
        check("a/b;escaping=values,c/d;escaping=dots", Escaping::Dots);
        check("a/b;escaping=values;q=0.1,c/d;escaping=dots", Escaping::Values);
        check("a/b;escaping=values;q=x,c/d;escaping=dots", Escaping::Values);
        check("a/b;escaping=values,c/d;escaping=x", Escaping::Values);
        check("*/*;escaping=values,text/plain;q=0.1;escaping=dots", Escaping::Dots);
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;\
             version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,\
             */*;q=0.1",
            Escaping::AllowUtf8,
        );
    }

    #[test]
    fn protobuf_where_it_is_asked_for() {
        let check = |accept: String, expected| assert_eq!(negotiate(Some(accept.as_bytes())), expected, "{accept}");
        let underscores = Escaping::Underscores;
        check(format!("{PROTOBUF}=delimited"), (Format::ProtoDelimited, underscores));
        check(format!("{PROTOBUF}=delimited;q=0"), (Format::ProtoDelimited, underscores));
        check(format!("{PROTOBUF}=delimited;escaping=values"), (Format::ProtoDelimited, Escaping::Values));
        check(format!("{PROTOBUF}=text"), (Format::ProtoText, underscores));
        check(format!("{PROTOBUF}=compact-text"), (Format::ProtoCompact, underscores));
        check(format!("*/*;q=1,{PROTOBUF}=delimited;q=0.1"), (Format::ProtoDelimited, underscores));
        check(format!("text/plain;q=0.2,{PROTOBUF}=delimited;q=0.3"), (Format::ProtoDelimited, underscores));
        check(format!("text/plain,{PROTOBUF}=delimited"), (Format::Text, underscores));
        check(
            format!(
                "{PROTOBUF}=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
            ),
            (Format::ProtoDelimited, underscores),
        );
    }

    #[test]
    fn gzip_where_it_is_preferred() {
        let check = |headers: &[&str], expected| {
            assert_eq!(accepts_gzip(headers.iter().map(|header| header.as_bytes())), expected, "{headers:?}");
        };
        for header in [
            "gzip",
            "gzip, deflate",
            "deflate,gzip",
            "gzip;q=0.5",
            "gzip; q=0.5",
            "zstd, gzip",
            "gzip,*;q=0",
            " gzip",
            "identity;q=0.5, gzip;q=1.0",
            "br;q=1.0, gzip;q=0.8, *;q=0.1",
            "gzip;q=0.5;x=y",
            "gzip ;q=1",
            "gzip;q=0.001",
            "gzip,deflate;level=5",
            "gzip x",
        ] {
            check(&[header], true);
        }
        for header in [
            "",
            "*",
            "identity",
            "identity;q=0",
            "identity, gzip",
            "gzip;q=0",
            "gzip;q=0.0",
            "GZIP",
            "deflate",
            "br",
            "zstd",
            "snappy",
            "gzip;level=5",
            "gzip;Q=1",
            "gzip;q=.5",
            "gzip;q=2",
            "deflate;level=5, gzip",
            "x-gzip",
            "gzip;q=0.5, identity;q=1",
            "gzip;q=0.5,identity;q=0.5",
            "*;q=0.5,gzip;q=0.5",
            ",gzip",
            "gzip;",
        ] {
            check(&[header], false);
        }
        check(&[], false);
        check(&["deflate", "gzip"], true);
        check(&["gzip;q=0.5", "identity"], false);
        check(&["deflate;level=5, identity", "gzip"], true);
    }
}
