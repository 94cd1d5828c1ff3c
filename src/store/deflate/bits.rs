//! Bits one behind the other, the lowest of each byte first, as deflate has them.

/// What was written so far.
#[derive(Debug, Default)]
pub struct Bits {
    /// Whole bytes up to `len`, and room behind them.
    bytes: Vec<u8>,
    len: usize,
    /// Bits that are no whole byte yet; less than eight whenever they have been flushed.
    held: u64,
    held_bits: u32,
}

impl Bits {
    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        (self.len, self.held, self.held_bits) = (0, 0, 0);
    }

    /// Memory that is kept for the next time, bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.bytes.truncate(bytes.max(self.len));
        self.bytes.shrink_to(bytes);
    }

    /// Makes room for so many bytes.
    pub fn reserve(&mut self, bytes: usize) {
        // A flush writes eight bytes, of which only whole ones count.
        let len = self.len + bytes + 16;
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
    }

    /// How many bits there are.
    pub fn count(&self) -> usize {
        self.len * 8 + self.held_bits as usize
    }

    /// The bytes, which have to be whole.
    pub fn bytes(&self) -> &[u8] {
        debug_assert_eq!(self.held_bits, 0);
        &self.bytes[..self.len]
    }

    /// The bytes, the last one filled up with zeros, and how many bits they are.
    pub fn finished(mut self) -> (Vec<u8>, usize) {
        let count = self.count();
        self.reserve(0);
        self.align();
        self.flush();
        self.bytes.truncate(self.len);
        (self.bytes, count)
    }

    /// Adds the lowest `count` bits of `value`, which has no others. At most 56 fit between two flushes.
    #[inline]
    pub fn put(&mut self, value: u64, count: u32) {
        self.held |= value << self.held_bits;
        self.held_bits += count;
    }

    /// Adds the lowest `count` bits of `value`.
    #[inline]
    pub fn put_low(&mut self, value: u64, count: u32) {
        self.put(value & !(u64::MAX << count), count);
    }

    /// Adds bits whose number stands in the lowest four bits of `code`.
    #[inline]
    pub fn put_code(&mut self, code: u16) {
        self.put(u64::from(code >> 4), u32::from(code & 15));
    }

    /// Adds zeros up to the end of a byte.
    pub fn align(&mut self) {
        self.held_bits = self.held_bits.next_multiple_of(8);
    }

    /// Writes whole bytes out, into reserved room.
    #[inline]
    pub fn flush(&mut self) {
        self.bytes[self.len..self.len + 8].copy_from_slice(&self.held.to_le_bytes());
        self.len += (self.held_bits / 8) as usize;
        self.held >>= self.held_bits & !7;
        self.held_bits &= 7;
    }

    /// Adds `count` bits of `source`, from the bit `from` on.
    pub fn append(&mut self, source: &[u8], from: usize, count: usize) {
        self.reserve(count / 8);
        let end = from + count;
        let mut at = from;
        self.append_few(source, &mut at, end.min(from + (8 - self.held_bits as usize) % 8));
        let (rest, shift) = (&source[at / 8..], at % 8);
        let words = ((end - at) / 64).min(rest.len().saturating_sub(1) / 8);
        if words > 0 {
            let out = self.bytes[self.len..self.len + words * 8].chunks_exact_mut(8);
            for (out, (low, high)) in out.zip(rest.chunks_exact(8).zip(rest[1..].chunks_exact(8))) {
                out.copy_from_slice(&(word(low) >> shift | word(high) << (8 - shift)).to_le_bytes());
            }
            self.len += words * 8;
            at += words * 64;
        }
        while at < end {
            let few = end.min(at + 48);
            self.append_few(source, &mut at, few);
        }
    }

    /// Adds the bits of `source` up to `end`, no more than 48.
    fn append_few(&mut self, source: &[u8], at: &mut usize, end: usize) {
        self.put_low(word(&source[*at / 8..]) >> (*at % 8), (end - *at) as u32);
        self.flush();
        *at = end;
    }
}

/// The first eight bytes, or as many as there are.
fn word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Bits as a list, in the place of words.
    fn listed(bytes: &[u8], count: usize) -> Vec<bool> {
        (0..count).map(|at| bytes[at / 8] >> (at % 8) & 1 == 1).collect()
    }

    #[test]
    fn bits_stand_in_the_order_in_which_they_came() {
        let mut random = Random::for_test(5);
        let source: Vec<u8> = (0..600).map(|_| random.below(256) as u8).collect();
        for _ in 0..3000 {
            let mut bits = Bits::default();
            let mut expected = Vec::new();
            for _ in 0..random.below(6) {
                if random.below(2) == 0 {
                    let (value, count) = (random.below(1 << 31), random.below(32) as u32);
                    bits.reserve(4);
                    bits.put_low(value, count);
                    bits.flush();
                    expected.extend(listed(&value.to_le_bytes(), count as usize));
                } else {
                    let from = random.below(source.len() as u64 * 8) as usize;
                    let scale = [20, 200, 4800][random.below(3) as usize];
                    let count = (random.below(scale) as usize).min(source.len() * 8 - from);
                    bits.append(&source, from, count);
                    expected.extend_from_slice(&listed(&source, from + count)[from..]);
                }
                assert_eq!(bits.count(), expected.len());
            }
            let (bytes, count) = bits.finished();
            assert_eq!(listed(&bytes, count), expected);
            assert_eq!(bytes.len(), count.div_ceil(8));
        }
    }
}
