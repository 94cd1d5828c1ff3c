//! The wire format of protobuf: a message as the list of its fields, borrowed from the bytes that carry it.
//!
//! Owns what is well-formed. Does not know which fields a message has; fields that nobody asks for cost their skipping.

use crate::limits::MESSAGE_DEPTH_MAX;

/// The bytes are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// One field as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// Its number.
    pub number: u32,
    /// Its value.
    pub value: Value<'a>,
}

/// The value of a field, by wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// An integer or enum.
    Varint(u64),
    /// A double.
    Double(f64),
    /// A string, a message or packed numbers.
    Bytes(&'a [u8]),
    /// A wire type that no field of interest has.
    Other,
}

/// The fields of a message, in order; ends after the first error.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of this message.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        let tag = varint(&mut self.rest)?;
        match u32::try_from(tag >> 3) {
            Ok(number @ 1..0x2000_0000) => Ok((number, (tag & 7) as u8)),
            _ => Err(Malformed),
        }
    }

    fn field(&mut self) -> Result<Field<'a>, Malformed> {
        let (number, wire_type) = self.tag()?;
        let value = self.value(number, wire_type)?;
        Ok(Field { number, value })
    }

    fn value(&mut self, number: u32, wire_type: u8) -> Result<Value<'a>, Malformed> {
        Ok(match wire_type {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => Value::Double(double(&mut self.rest)?),
            2 => {
                let len = usize::try_from(varint(&mut self.rest)?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            3 => self.skip_group(number)?,
            5 => {
                self.rest = self.rest.get(4..).ok_or(Malformed)?;
                Value::Other
            }
            _ => return Err(Malformed),
        })
    }

    /// Skips to behind the end of the group `number`. Keeps the open groups in a list, so that no input can exhaust
    /// the stack.
    #[cold]
    fn skip_group(&mut self, number: u32) -> Result<Value<'a>, Malformed> {
        let mut open = vec![number];
        while let Some(innermost) = open.last() {
            match self.tag()? {
                (number, 3) if open.len() < MESSAGE_DEPTH_MAX => open.push(number),
                (_, 3) => return Err(Malformed),
                (number, 4) if number == *innermost => drop(open.pop()),
                (number, wire_type) => drop(self.value(number, wire_type)?),
            }
        }
        Ok(Value::Other)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Takes an integer of up to 64 bits.
#[inline]
pub fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    match rest.split_first() {
        Some((byte, behind)) if *byte < 0x80 => {
            *rest = behind;
            Ok(u64::from(*byte))
        }
        _ => long_varint(rest),
    }
}

fn long_varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for (at, byte) in rest.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            *rest = &rest[at + 1..];
            return if at == 9 && *byte > 1 { Err(Malformed) } else { Ok(value) };
        }
    }
    Err(Malformed)
}

/// Takes a double.
#[inline]
pub fn double(rest: &mut &[u8]) -> Result<f64, Malformed> {
    let (bytes, behind) = rest.split_first_chunk::<8>().ok_or(Malformed)?;
    *rest = behind;
    Ok(f64::from_le_bytes(*bytes))
}

/// The signed integer that a `sint` field stands for.
pub fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_apart() {
        let check = |message: &[u8], expected: Result<Vec<(u32, Value<'_>)>, Malformed>| {
            let found: Result<Vec<_>, _> =
                Fields::new(message).map(|field| field.map(|field| (field.number, field.value))).collect();
            assert_eq!(found, expected, "{}", message.escape_ascii());
        };
        check(b"", Ok(vec![]));
        check(b"\x08\x96\x01", Ok(vec![(1, Value::Varint(150))]));
        check(b"\x09\0\0\0\0\0\0\xf0\x3f", Ok(vec![(1, Value::Double(1.0))]));
        check(b"\x12\x02ab\x1d....", Ok(vec![(2, Value::Bytes(b"ab")), (3, Value::Other)]));
        check(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Ok(vec![(1, Value::Varint(u64::MAX))]));
        check(b"\x0b\x13\x08\x01\x14\x0c\x08\x02", Ok(vec![(1, Value::Other), (1, Value::Varint(2))]));
        for bad in [
            &b"\x08"[..],
            b"\x08\x80",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\x00\x01",
            b"\x09\0\0\0",
            b"\x12\x03ab",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x1d...",
            b"\x0e",
            b"\x0c",
            b"\x0b\x14",
            b"\x0b",
            b"\x80\x80\x80\x80\x10\x00",
        ] {
            check(bad, Err(Malformed));
        }
        check(&[0x0b].repeat(MESSAGE_DEPTH_MAX + 1), Err(Malformed));
    }

    #[test]
    fn zigzags_alternate() {
        let check = |value: u64, expected: i64| assert_eq!(zigzag(value), expected);
        check(0, 0);
        check(1, -1);
        check(2, 1);
        check(u64::MAX, i64::MIN);
        check(u64::MAX - 1, i64::MAX);
    }
}
