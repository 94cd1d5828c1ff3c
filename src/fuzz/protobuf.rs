//! Fuzz body of the protobuf reader: it tells its sink what the naive one does, wherever the body is cut into pieces.

use super::check_error;
use crate::exposition::protobuf::Reader;
use crate::exposition::protobuf::naive;

/// Reads `data` as a protobuf body: whole, byte by byte, and in pieces whose lengths its own bytes give.
///
/// # Panics
/// If the outcome is not that of the naive reader.
pub fn protobuf_reader(data: &[u8]) {
    let mut reader = Reader::default();
    let expected = naive::read(data);
    let from_data: Vec<usize> = data.iter().map(|byte| usize::from(*byte % 16)).collect();
    for lens in [vec![data.len()], vec![1; data.len()], from_data] {
        let (events, failure) = naive::fast_read(&mut reader, data, lens.iter().copied());
        let shown = data.escape_ascii();
        if let Some(error) = &failure {
            check_error(error, 1);
        }
        match (&expected.1, &failure) {
            (Some(wanted), Some(found)) if wanted == found => {}
            (Some(wanted), Some(found)) if wanted == "family" && found.starts_with("metric family") => {}
            (Some(wanted), Some(found)) if wanted == "too long" && found.contains("is too long") => {}
            // A family with several faults may be refused for any of them.
            (Some(wanted), Some(found)) if wanted.ends_with("data") && found.starts_with("metric family") => {}
            (Some(wanted), Some(found)) if wanted == "family" && found.ends_with("data") => {}
            (wanted, found) => assert_eq!(found, wanted, "body {shown} in pieces of {lens:?}"),
        }
        // Before a fault inside a family, either may have told more of that family.
        let told = if failure.is_none() { expected.0.len() } else { expected.0.len().min(events.len()) };
        assert_eq!(events[..told], expected.0[..told], "body {shown} in pieces of {lens:?}");
        assert!(failure.is_some() || events.len() == told, "body {shown}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{DETAIL_BYTES_MAX, QUOTE_BYTES_MAX};
    use crate::random::Random;

    fn varint(out: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    /// A message of random fields; those that may hold messages mostly do.
    fn message(random: &mut Random, depth: u32) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..random.below(6) {
            let number = 1 + random.below(if depth == 0 { 5 } else { 17 });
            let wire_type = match random.below(40) {
                0..=7 => 0,
                8..=15 => 1,
                16..=37 => 2,
                38 => 5,
                _ => random.below(8),
            };
            varint(&mut out, number << 3 | wire_type);
            match wire_type {
                0 => {
                    let value = if random.below(4) == 0 { u64::MAX - random.below(9) } else { random.below(7) };
                    varint(&mut out, value);
                }
                1 => out.extend_from_slice(&(random.below(5) as f64 - 1.0).to_le_bytes()),
                2 => {
                    let inner = match random.below(8) {
                        0 => b"a\xff".to_vec(),
                        1 => Vec::new(),
                        _ if depth < 4 => message(random, depth + 1),
                        _ => b"name".to_vec(),
                    };
                    varint(&mut out, inner.len() as u64);
                    out.extend_from_slice(&inner);
                }
                5 => out.extend_from_slice(b"1234"),
                _ => {}
            }
        }
        out
    }

    #[test]
    fn random_bodies_as_the_naive_reader_reads_them() {
        for seed in 0..4000 {
            let mut random = Random::new(seed);
            let mut body = Vec::new();
            for _ in 0..random.below(3) {
                let mut family = b"\x0a\x01m".to_vec();
                let kind = random.below(7);
                family.extend_from_slice(&[0x18, kind as u8]);
                for _ in 0..random.below(3) {
                    let metric = message(&mut random, 1);
                    family.push(0x22);
                    varint(&mut family, metric.len() as u64);
                    family.extend_from_slice(&metric);
                }
                family.extend_from_slice(&message(&mut random, 5));
                varint(&mut body, family.len() as u64);
                body.extend_from_slice(&family);
            }
            protobuf_reader(&body);
        }
    }

    #[test]
    fn damage_is_named() {
        let check = |body: &[u8], expected: &str| {
            let (_, failure) = naive::fast_read(&mut Reader::default(), body, [1, 2].into_iter());
            assert_eq!(failure.as_deref().unwrap_or_default(), expected, "{}", body.escape_ascii());
        };
        check(b"", "");
        check(b"\x05\x0a\x01m\x18\x01", "");
        check(b"\x80", "unexpected EOF");
        check(b"\x05\x0a\x01m", "unexpected EOF");
        check(b"\xff\xff\xff\xff\x7f", "unexpected EOF");
        check(b"\xff\xff\xff\xff\x7fx", "proto: message of 34359738367 bytes is too long, at most 134217728 are read");
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "proto: variable length integer overflow");
        check(b"\x05hello", "proto: cannot parse invalid wire-format data");
        check(b"\x00", "metric family without a name");
        check(b"\x03\x0a\x01\xff", "metric family \"\\xff\": name is not UTF-8");
        check(b"\x06\x0a\x01a\x12\x01\xff", "metric family \"a\": help text is not UTF-8");
        check(b"\x09\x0a\x01a\x12\x01\xff\x12\x01b", "");
        // A counter with a created timestamp, an unknown field of which is long.
        let bytes = |tag: u8, len: usize, inner: &[u8]| {
            let mut field = vec![tag];
            varint(&mut field, len as u64);
            [field, inner.to_vec()].concat()
        };
        let counter = |len: usize| {
            let value = [&b"\x1a\x00"[..], &bytes(0x7a, len, &vec![0; len])].concat();
            let metric = bytes(0x1a, value.len(), &value);
            let family = [&b"\x0a\x01a"[..], &bytes(0x22, metric.len(), &metric)].concat();
            let mut body = Vec::new();
            varint(&mut body, family.len() as u64);
            ([body, family].concat(), value.len())
        };
        let (fitting, value_len) = counter(DETAIL_BYTES_MAX - 6);
        assert_eq!(value_len, DETAIL_BYTES_MAX);
        check(&fitting, "");
        let expected = "metric family \"a\": a metric takes 262145 bytes; one with native buckets, exemplars or created \
            timestamps may take 262144";
        check(&counter(DETAIL_BYTES_MAX - 5).0, expected);
        check(b"\x05\x0a\x01m\x18\x09", "metric family \"m\": unknown type 9");
        check(b"\x07\x0a\x01m\x18\x05\x22\x00", "metric family \"m\": gauge histogram without a histogram");
        let schema = b"\x0c\x0a\x01m\x18\x04\x22\x05\x3a\x03\x28\xc6\x01";
        check(schema, "metric family \"m\": native histogram with impossible schema 99");
        check(b"\x0b\x0a\x01m\x18\x04\x22\x04\x3a\x02\x28\x69", "");
        let spans = b"\x13\x0a\x01m\x18\x04\x22\x0c\x3a\x0a\x62\x04\x08\x00\x10\x03\x6a\x02\x02\x00";
        check(spans, "metric family \"m\": native histogram with impossible spans");
        let name = [1; QUOTE_BYTES_MAX + 100];
        let mut family = b"\x0a".to_vec();
        varint(&mut family, name.len() as u64);
        family.extend_from_slice(&[&name[..], b"\x18\x09"].concat());
        let mut body = Vec::new();
        varint(&mut body, family.len() as u64);
        body.extend_from_slice(&family);
        let quote = format!("\"{}\"...(100 bytes)", "\\x01".repeat(QUOTE_BYTES_MAX));
        check(&body, &format!("metric family {quote}: unknown type 9"));
    }
}
