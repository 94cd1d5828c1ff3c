//! The alternative names of a certificate (RFC 5280 4.2.1.6): just enough of DER to find them.
//!
//! The TLS library reads names of hosts only. Whether the certificate is any good is its business; what cannot be read
//! here has no names.

use std::net::{IpAddr, Ipv6Addr};

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
/// The field of a certificate that holds its extensions.
const EXTENSIONS: u8 = 0xa3;

/// The object identifier of alternative names, 2.5.29.17.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// The kinds of names that count: e-mail, DNS, URI, all three of them texts; and IP.
const TEXTS: [u8; 3] = [0x81, 0x82, 0x86];
const IP: u8 = 0x87;

/// Whether a certificate has one of these names: as they are written, addresses in their usual form.
pub(crate) fn has_one_of(certificate: &[u8], allowed: &[String]) -> bool {
    let Some(mut names) = names(certificate) else { return false };
    std::iter::from_fn(|| names.take()).any(|(tag, value)| match tag {
        IP => address(value).is_some_and(|address| allowed.iter().any(|name| name.parse() == Ok(address))),
        tag if TEXTS.contains(&tag) => allowed.iter().any(|name| name.as_bytes() == value),
        _ => false,
    })
}

fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(value).ok().map(|octets| Ipv6Addr::from(octets).to_canonical()),
        _ => None,
    }
}

/// The names of a certificate, if it has any.
fn names(certificate: &[u8]) -> Option<Der<'_>> {
    let mut certificate = Der(Der(certificate).value(SEQUENCE)?);
    let mut fields = Der(certificate.value(SEQUENCE)?);
    let extensions = std::iter::from_fn(|| fields.take()).find(|(tag, _)| *tag == EXTENSIONS)?.1;
    let mut extensions = Der(Der(extensions).value(SEQUENCE)?);
    while let Some(extension) = extensions.value(SEQUENCE) {
        let mut extension = Der(extension);
        if extension.value(OBJECT_ID)? != ALTERNATIVE_NAMES {
            continue;
        }
        let (tag, value) = extension.take()?;
        let octets = if tag == BOOLEAN { extension.value(OCTETS)? } else { Some(value).filter(|_| tag == OCTETS)? };
        return Some(Der(Der(octets).value(SEQUENCE)?));
    }
    None
}

/// Values one behind the other, each with a tag of one byte and a definite length.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Takes the next value, whatever it is; `None` at the end and for what is none.
    fn take(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// Takes the next value, which has to have this tag.
    fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.take().filter(|(other, _)| *other == tag).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn certificate(names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        let key = KeyPair::generate().expect("a key can be made");
        params.self_signed(&key).expect("a certificate can be made").der().to_vec()
    }

    fn text(text: &str) -> rcgen::string::Ia5String {
        text.try_into().expect("ASCII")
    }

    #[test]
    fn names_of_all_kinds_are_found() {
        let certificate = certificate(vec![
            SanType::DnsName(text("batch.example.org")),
            SanType::Rfc822Name(text("ops@example.org")),
            SanType::URI(text("spiffe://example.org/batch")),
            SanType::IpAddress([10, 1, 2, 3].into()),
            SanType::IpAddress("2001:db8::1".parse().expect("an address")),
        ]);
        let check = |name: &str, expected: bool| {
            assert_eq!(has_one_of(&certificate, &[name.to_owned()]), expected, "{name}");
        };
        for name in [
            "batch.example.org",
            "ops@example.org",
            "spiffe://example.org/batch",
            "10.1.2.3",
            "2001:db8::1",
            "2001:0db8:0::1",
        ] {
            check(name, true);
        }
        for name in ["", "example.org", "BATCH.example.org", "*.example.org", "10.1.2.4", "::ffff:10.1.2.3"] {
            check(name, false);
        }
        assert!(has_one_of(&certificate, &["x".to_owned(), "10.1.2.3".to_owned()]));
        assert!(!has_one_of(&certificate, &[]));
    }

    #[test]
    fn what_cannot_be_read_has_no_names() {
        assert!(!has_one_of(&certificate(Vec::new()), &["x".to_owned()]));
        let certificate = certificate(vec![SanType::DnsName(text("x"))]);
        let allowed = ["x".to_owned()];
        assert!(has_one_of(&certificate, &allowed));
        // The signature behind the names is not looked at, so what is cut off has to reach them.
        for end in 0..certificate.len() {
            assert!(!has_one_of(&certificate[..end], &allowed), "{end}");
        }
        for at in 0..certificate.len() {
            let mut damaged = certificate.clone();
            for byte in [0, 1, 0x7f, 0x80, 0x84, 0xff] {
                damaged[at] = byte;
                has_one_of(&damaged, &allowed);
            }
        }
    }
}
