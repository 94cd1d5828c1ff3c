//! Which fields of `io.prometheus.client` hold messages or packed numbers, and whether such bytes are well-formed all
//! the way down. Reads no values: that is for what is asked for, this for what nobody asks for but must be in order.

use super::wire::{Fields, Malformed, Value, double, varint};

/// A message of `io.prometheus.client`, as far as it matters for what is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// One without inner messages: label pair, gauge, untyped, quantile, span, timestamp.
    Flat,
    /// `Counter`.
    Counter,
    /// `Summary`.
    Summary,
    /// `Histogram`.
    Histogram,
    /// `Bucket`.
    Bucket,
    /// `Exemplar`.
    Exemplar,
}

enum Inner {
    Text,
    Message(Message),
    Varints,
    Doubles,
}

impl Message {
    fn inner(self, number: u32) -> Inner {
        match (self, number) {
            (Message::Counter, 2) | (Message::Bucket, 3) | (Message::Histogram, 16) => {
                Inner::Message(Message::Exemplar)
            }
            (Message::Histogram, 3) => Inner::Message(Message::Bucket),
            (Message::Counter, 3) | (Message::Summary, 3 | 4) => Inner::Message(Message::Flat),
            (Message::Exemplar, 1 | 3) | (Message::Histogram, 9 | 12 | 15) => Inner::Message(Message::Flat),
            (Message::Histogram, 10 | 13) => Inner::Varints,
            (Message::Histogram, 11 | 14) => Inner::Doubles,
            _ => Inner::Text,
        }
    }

    /// Whether `bytes` are such a message.
    pub fn check(self, bytes: &[u8]) -> Result<(), Malformed> {
        for field in Fields::new(bytes) {
            let field = field?;
            if let Value::Bytes(bytes) = field.value {
                self.check_field(field.number, bytes)?;
            }
        }
        Ok(())
    }

    /// Whether `bytes` can be the content of the field of that number.
    pub fn check_field(self, number: u32, bytes: &[u8]) -> Result<(), Malformed> {
        let mut rest = bytes;
        match self.inner(number) {
            Inner::Text => {}
            Inner::Message(message) => message.check(bytes)?,
            Inner::Varints => check_varints(bytes)?,
            Inner::Doubles => {
                while !rest.is_empty() {
                    double(&mut rest)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether bytes are packed integers. Most of them are short, and eight of one byte are seen at once.
fn check_varints(bytes: &[u8]) -> Result<(), Malformed> {
    const CONTINUED: u64 = u64::from_ne_bytes([0x80; 8]);
    let mut rest = bytes;
    while !rest.is_empty() {
        match rest.split_first_chunk::<8>() {
            Some((word, behind)) if u64::from_ne_bytes(*word) & CONTINUED == 0 => rest = behind,
            _ => _ = varint(&mut rest)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_integers_are_checked_wherever_they_stand() {
        let good: [&[u8]; 4] = [&[0], &[0xff, 0x7f], &[0xff; 9], &[0x80; 9]];
        let bad: [&[u8]; 3] = [&[0x80], &[0xff; 10], &[0x80; 11]];
        for before in 0..20 {
            for after in [0, 1, 7, 8, 20] {
                let around = |number: &[u8], end: &[u8]| [&vec![1; before], number, end, &vec![0x7f; after]].concat();
                for number in good {
                    let end: &[u8] = if number.len() == 9 { &[1] } else { &[] };
                    assert_eq!(check_varints(&around(number, end)), Ok(()), "{before} {number:?} {after}");
                }
                for number in &bad[usize::from(after > 0)..] {
                    assert_eq!(check_varints(&around(number, &[])), Err(Malformed), "{before} {number:?} {after}");
                }
            }
        }
    }
}
