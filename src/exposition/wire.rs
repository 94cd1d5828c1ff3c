//! The wire format of protobuf: fields written one by one and read back, without any knowledge of messages.

/// The wire types in use; groups are not.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// A field's value as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Integers, enums.
    Varint(u64),
    /// Doubles.
    Fixed64(u64),
    /// Strings, messages, packed numbers.
    Bytes(&'a [u8]),
    /// Nothing that this program knows.
    Fixed32(u32),
}

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number.
    pub number: u32,
    /// Its value.
    pub value: Value<'a>,
    /// All of its bytes, tag included.
    pub raw: &'a [u8],
}

/// The fields of a message in the order written; ends where the message is damaged.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let (field, behind) = field(rest)?;
        rest = behind;
        Some(field)
    })
}

fn field(message: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (tag, rest) = varint(message)?;
    let (value, rest) = match tag & 7 {
        VARINT => varint(rest).map(|(value, rest)| (Value::Varint(value), rest))?,
        FIXED64 => rest.split_first_chunk().map(|(bytes, rest)| (Value::Fixed64(u64::from_le_bytes(*bytes)), rest))?,
        BYTES => {
            let (len, rest) = varint(rest)?;
            let (bytes, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            (Value::Bytes(bytes), rest)
        }
        FIXED32 => rest.split_first_chunk().map(|(bytes, rest)| (Value::Fixed32(u32::from_le_bytes(*bytes)), rest))?,
        _ => return None,
    };
    let raw = &message[..message.len() - rest.len()];
    Some((Field { number: u32::try_from(tag >> 3).ok()?, value, raw }, rest))
}

/// The number in front, and what follows it.
pub fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let is_whole = at < 9 || *byte <= 1;
            return is_whole.then_some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// Writes a number as a varint.
#[inline]
pub fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How long a number is as a varint, bytes.
pub const fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Writes an integer field.
pub fn write_uint(out: &mut Vec<u8>, number: u32, value: u64) {
    write_varint(out, u64::from(number) << 3 | VARINT);
    write_varint(out, value);
}

/// Writes a field of a double.
pub fn write_double(out: &mut Vec<u8>, number: u32, value: f64) {
    write_varint(out, u64::from(number) << 3 | FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Writes a field of bytes: a string or a finished message.
pub fn write_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    write_bytes_head(out, number, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes what comes before the bytes of such a field, which are so many.
pub fn write_bytes_head(out: &mut Vec<u8>, number: u32, len: u64) {
    write_varint(out, u64::from(number) << 3 | BYTES);
    write_varint(out, len);
}

/// Writes a field of bytes that `write` writes: its length is put in front when it is known, which mostly takes the one
/// byte that is kept free for it.
pub fn write_nested(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    write_varint(out, u64::from(number) << 3 | BYTES);
    let start = out.len();
    out.push(0);
    write(out);
    let len = out.len() - start - 1;
    if len < 0x80 {
        out[start] = len as u8;
        return;
    }
    let extra = varint_len(len as u64) - 1;
    out.resize(out.len() + extra, 0);
    out.copy_within(start + 1..start + 1 + len, start + 1 + extra);
    let mut rest = len;
    for byte in &mut out[start..start + extra] {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    out[start + extra] = rest as u8;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            write_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
            assert_eq!(varint(&out), Some((value, &b""[..])));
            assert_eq!(varint(&out[..out.len() - 1]), None);
        }
        assert_eq!(varint(&[0xff; 10]), None);
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
    }

    #[test]
    fn nested_fields_have_their_length_in_front() {
        for len in [0, 1, 127, 128, 129, 16_383, 16_384, 70_000] {
            let body: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let (mut nested, mut plain) = (b"x".to_vec(), b"x".to_vec());
            write_nested(&mut nested, 3, |out| out.extend_from_slice(&body));
            write_bytes(&mut plain, 3, &body);
            assert_eq!(nested, plain, "{len}");
        }
    }

    #[test]
    fn fields_come_back() {
        let mut out = Vec::new();
        write_uint(&mut out, 1, 300);
        write_double(&mut out, 2, 1.5);
        write_bytes(&mut out, 20, b"ab");
        out.extend_from_slice(&[0x1d, 1, 0, 0, 0]);
        let values: Vec<_> = fields(&out).map(|field| (field.number, field.value)).collect();
        let expected = [
            (1, Value::Varint(300)),
            (2, Value::Fixed64(1.5_f64.to_bits())),
            (20, Value::Bytes(b"ab")),
            (3, Value::Fixed32(1)),
        ];
        assert_eq!(values, expected);
        assert_eq!(fields(&out).map(|field| field.raw).collect::<Vec<_>>().concat(), out);
        for damaged in [&out[..out.len() - 1], &[0x0b], &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f], &[0x80]] {
            assert!(fields(damaged).count() < 4);
        }
    }
}
