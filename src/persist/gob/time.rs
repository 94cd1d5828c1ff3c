//! A time as Go writes it in binary. Time zones are read over: a time is the same instant in each.

use super::error::GobError;
use crate::model::time::Timestamp;

/// Seconds from the start of year 1, from where Go counts, to the Unix epoch: 719162 days.
const EPOCH_SECONDS: i64 = 719_162 * 86_400;

/// Reads a time that stands at this place: a version; seconds since year 1 (8 bytes) and nanoseconds (4 bytes); the
/// offset of a zone in minutes (2 bytes) and, from version 2 on, seconds (1 byte). Big-endian. A time out of the range
/// of [`Timestamp`] becomes the nearest one; those before the epoch, Go's zero time among them, become the epoch.
pub fn read(bytes: &[u8], at: usize) -> Result<Timestamp, GobError> {
    let error = |expected| GobError { offset: at, expected };
    let rest = match (bytes.len(), bytes.split_first()) {
        (15, Some((1, rest))) | (16, Some((2, rest))) => rest,
        _ => return Err(error("a time of version 1 or 2")),
    };
    let (seconds, rest) = rest.split_first_chunk().ok_or(error("seconds"))?;
    let (nanos, _) = rest.split_first_chunk().ok_or(error("nanoseconds"))?;
    let nanos = u32::from_be_bytes(*nanos);
    if nanos >= 1_000_000_000 {
        return Err(error("a time whose nanoseconds are less than a second"));
    }
    let seconds = i64::from_be_bytes(*seconds).saturating_sub(EPOCH_SECONDS);
    let since_epoch = seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos));
    Ok(Timestamp(since_epoch.max(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check = |bytes: &[u8], expected: Result<i64, &str>| {
            let found = read(bytes, 7).map(|time| time.0).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(|what| format!("expected {what} at byte 7")), "{bytes:x?}");
        };
        // 2026-11-24T22:00:34.728192325Z, as the original wrote it.
        let usual = b"\x01\x00\x00\x00\x0e\xe2\x98\x00\x02\x2b\x67\x45\x65\x00\x00";
        check(usual, Ok(1_795_557_634_728_188_261));
        let with_seconds = b"\x02\x00\x00\x00\x0e\xe2\x98\x00\x02\x2b\x67\x45\x65\xff\xff\x1e";
        check(with_seconds, Ok(1_795_557_634_728_188_261));
        check(&[&b"\x01"[..], &[0; 14]].concat(), Ok(0));
        check(&[&b"\x01\x80"[..], &[0; 13]].concat(), Ok(0));
        check(&[&b"\x01\x7f\xff\xff\xff\xff\xff\xff\xff"[..], &[0; 6]].concat(), Ok(i64::MAX));
        check(&[&b"\x01\x00\x00\x00\x0e\x77\x91\xf7\x00"[..], &[0; 6]].concat(), Ok(0));
        check(&[&b"\x01\x00\x00\x00\x0e\x77\x91\xf7\x01"[..], &[0; 6]].concat(), Ok(1_000_000_000));
        let version = Err("a time of version 1 or 2");
        check(b"", version);
        check(&usual[..14], version);
        check(&with_seconds[..15], version);
        check(&[&usual[..], b"\0"].concat(), version);
        check(&[3; 15], version);
        let nanos = b"\x01\x00\x00\x00\x0e\xe2\x98\x00\x02\x3b\x9a\xca\x00\x00\x00";
        check(nanos, Err("a time whose nanoseconds are less than a second"));
    }
}
