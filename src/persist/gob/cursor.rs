//! A place in the file, and the basic values of gob read from there. Knows no types.

use super::error::GobError;

/// Bytes of an integer at most, without the one in front that says how many there are.
const INTEGER_BYTES_MAX: usize = 8;

/// Where reading goes on.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    /// The file up to the end of what is being read: a place in here is one in the file.
    bytes: &'a [u8],
    /// Invariant: at most the length of `bytes`.
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The start of a file.
    pub fn new(file: &'a [u8]) -> Self {
        Self { bytes: file, at: 0 }
    }

    /// The place, bytes from the start of the file.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Something else than expected stands here.
    pub fn error(&self, expected: &'static str) -> GobError {
        GobError { offset: self.at, expected }
    }

    /// Nothing may follow.
    pub fn end(&self, expected: &'static str) -> Result<(), GobError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.error(expected)) }
    }

    /// Takes an unsigned integer: one byte below 128, or the number of bytes that follow, negated, and those, the
    /// highest first.
    pub fn uint(&mut self, expected: &'static str) -> Result<u64, GobError> {
        let start = *self;
        let first = self.take(1).ok_or_else(|| start.error(expected))?[0];
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let len = usize::from(first.wrapping_neg());
        if len > INTEGER_BYTES_MAX {
            return Err(start.error(expected));
        }
        let digits = self.take(len).ok_or(GobError { offset: self.bytes.len(), expected })?;
        Ok(digits.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// Takes a signed integer: its lowest bit says whether the others are complemented.
    pub fn int(&mut self, expected: &'static str) -> Result<i64, GobError> {
        let value = self.uint(expected)?;
        let magnitude = (value >> 1) as i64;
        Ok(if value & 1 == 0 { magnitude } else { !magnitude })
    }

    /// Takes a count of elements that follow, each of at least so many bytes: it cannot be more than what is there.
    pub fn count(&mut self, bytes_each: usize, expected: &'static str) -> Result<usize, GobError> {
        let start = *self;
        let count = usize::try_from(self.uint(expected)?).ok();
        count.filter(|count| *count <= self.rest() / bytes_each).ok_or_else(|| start.error(expected))
    }

    /// Takes bytes behind their length.
    pub fn bytes(&mut self, expected: &'static str) -> Result<&'a [u8], GobError> {
        let start = *self;
        let len = self.count(1, expected)?;
        self.take(len).ok_or_else(|| start.error(expected))
    }

    /// Takes the next message: a cursor that ends where it does.
    pub fn message(&mut self) -> Result<Self, GobError> {
        let len = self.uint("the length of a message")?;
        let start = self.at;
        let len = usize::try_from(len).ok();
        if len.and_then(|len| self.take(len)).is_none() {
            return Err(GobError { offset: self.bytes.len(), expected: "the rest of a message" });
        }
        Ok(Self { bytes: &self.bytes[..self.at], at: start })
    }

    /// Takes a struct: its fields by their numbers from 0, going up. `read` takes the value of one, or says that there is no
    /// such field, which is not what was expected.
    pub fn fields(
        &mut self,
        expected: &'static str,
        mut read: impl FnMut(usize, &mut Self) -> Result<bool, GobError>,
    ) -> Result<(), GobError> {
        let mut next = 0_usize;
        loop {
            let start = *self;
            let step = usize::try_from(self.uint(expected)?).map_err(|_| start.error(expected))?;
            if step == 0 {
                return Ok(());
            }
            next = next.checked_add(step).ok_or_else(|| start.error(expected))?;
            if !read(next - 1, self)? {
                return Err(start.error(expected));
            }
        }
    }

    fn rest(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes[self.at..].get(..len)?;
        self.at += len;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        let check = |bytes: &[u8], unsigned: Option<u64>, signed: Option<i64>| {
            let mut cursor = Cursor::new(bytes);
            assert_eq!(cursor.uint("it").ok(), unsigned, "{bytes:x?}");
            assert_eq!(cursor.at(), if unsigned.is_some() { bytes.len() } else { cursor.at() }, "{bytes:x?}");
            assert_eq!(Cursor::new(bytes).int("it").ok(), signed, "{bytes:x?}");
        };
        check(b"\x00", Some(0), Some(0));
        check(b"\x07", Some(7), Some(-4));
        check(b"\x7f", Some(127), Some(-64));
        check(b"\xff\x82", Some(130), Some(65));
        check(b"\xfe\x01\x00", Some(256), Some(128));
        check(b"\xfe\x01\x01", Some(257), Some(-129));
        check(b"\xfc\x00\x00\x00\x01", Some(1), Some(-1));
        check(b"\xf8\xff\xff\xff\xff\xff\xff\xff\xff", Some(u64::MAX), Some(i64::MIN));
        check(b"\xf8\xff\xff\xff\xff\xff\xff\xff\xfe", Some(u64::MAX - 1), Some(i64::MAX));
        check(b"", None, None);
        check(b"\xff", None, None);
        check(b"\xfe\x01", None, None);
        check(b"\xf7\x01\x01\x01\x01\x01\x01\x01\x01\x01", None, None);
        check(b"\x80", None, None);
    }

    #[test]
    fn nothing_is_read_beyond_a_message() {
        let mut file = Cursor::new(b"\x03\x02ab\x01c");
        let mut message = file.message().unwrap();
        assert_eq!((message.at(), file.at()), (1, 4));
        assert_eq!(message.bytes("it"), Ok(&b"ab"[..]));
        assert_eq!(message.bytes("it"), Err(GobError { offset: 4, expected: "it" }));
        assert_eq!((message.end("it"), file.end("the end")), (Ok(()), Err(file.error("the end"))));
        assert_eq!(Cursor::new(b"\x04abc").message().unwrap_err().offset, 4);
        assert_eq!(Cursor::new(b"\x04abc").bytes("it"), Err(GobError { offset: 0, expected: "it" }));
        assert_eq!(Cursor::new(b"\x02abc").count(2, "it").unwrap_err().to_string(), "expected it at byte 0");
        assert_eq!(Cursor::new(b"\x02abcd").count(2, "it"), Ok(2));
    }

    #[test]
    fn field_numbers_go_up() {
        let check = |bytes: &[u8], expected: Result<&[usize], usize>| {
            let (mut cursor, mut numbers) = (Cursor::new(bytes), Vec::new());
            let result = cursor.fields("it", |number, cursor| {
                numbers.push(number);
                cursor.uint("a value").map(|_| number < 9)
            });
            let found = result.map(|()| &*numbers).map_err(|error| error.offset);
            assert_eq!(found, expected, "{bytes:x?}");
        };
        check(b"\x00", Ok(&[]));
        check(b"\x01\x07\x02\x07\x01\x07\x00", Ok(&[0, 2, 3]));
        check(b"\x09\x07\x01\x07\x00", Err(2));
        check(b"\x01\x07", Err(2));
        check(b"\x01", Err(1));
        check(b"\x01\x07\xf8\xff\xff\xff\xff\xff\xff\xff\xff", Err(2));
    }
}
