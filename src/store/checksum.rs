//! CRC-32 of text that is put together from parts: that of the whole from those of its parts.
//!
//! A scrape puts hundreds of pages together each time, and a changed page dozens of segments, so the multiplication is
//! done in words, and how far a short length shifts what stands before it comes from a table.

use std::sync::LazyLock;

use flate2::Crc;

use crate::limits::PAGE_BYTES;

/// The polynomial of CRC-32 without its highest power, lowest bit first, as all polynomials here.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// The polynomial 1.
const ONE: u32 = 1 << 31;

/// For each byte, what it becomes behind one to four more bytes of zeros.
static ADVANCED: [[u32; 256]; 4] = {
    let mut tables = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = sum >> 1 ^ POLYNOMIAL & (sum & 1).wrapping_neg();
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut at = 256;
    while at < 4 * 256 {
        let before: u32 = tables[at / 256 - 1][at % 256];
        tables[at / 256][at % 256] = before >> 8 ^ tables[0][(before & 255) as usize];
        at += 1;
    }
    tables
};

/// The polynomials x^(8 * n): of most segments there is nothing to multiply. Made when they are needed, as they would be
/// eight kilobytes of the binary.
static SHIFTS: LazyLock<Box<[u32; SHIFTED_BYTES]>> = LazyLock::new(|| {
    let mut shifts = Box::new([ONE; SHIFTED_BYTES]);
    for bytes in 1..SHIFTED_BYTES {
        shifts[bytes] = advanced(shifts[bytes - 1]);
    }
    shifts
});
const SHIFTED_BYTES: usize = 1 << SHIFTED_BITS;
const SHIFTED_BITS: usize = 11;

/// The polynomials x^(8 * n * SHIFTED_BYTES), far enough for a page.
static LONG_SHIFTS: [u32; LONG_SHIFTED] = {
    let mut shifts = [ONE; LONG_SHIFTED];
    let mut at = 1;
    while at < LONG_SHIFTED {
        let mut bytes = 0;
        shifts[at] = shifts[at - 1];
        while bytes < SHIFTED_BYTES {
            shifts[at] = advanced(shifts[at]);
            bytes += 1;
        }
        at += 1;
    }
    shifts
};
const LONG_SHIFTED: usize = PAGE_BYTES / SHIFTED_BYTES + 1;

/// A polynomial times x^8.
const fn advanced(sum: u32) -> u32 {
    sum >> 8 ^ ADVANCED[0][(sum & 255) as usize]
}

/// The CRC-32 of a text, and what its length does to the checksum of a text before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    sum: u32,
    /// x^(8 * length), modulo the polynomial.
    shift: u32,
}

impl Checksum {
    /// Of a text.
    pub fn of(text: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(text);
        Self::new(crc.sum(), text.len())
    }

    /// Of a text that is so long and has this CRC-32.
    pub fn new(sum: u32, bytes: usize) -> Self {
        Self { sum, shift: shift(bytes) }
    }

    /// Of a text in parts, of which each has a length and may have a CRC-32; none if one has not.
    pub fn of_parts(mut parts: impl Iterator<Item = (Option<u32>, usize)>) -> Option<Self> {
        let mut bytes = 0;
        let sum = parts.try_fold(0, |whole, (sum, part_bytes)| {
            bytes += part_bytes;
            Some(product(whole, shift(part_bytes)) ^ sum?)
        });
        Some(Self::new(sum?, bytes))
    }

    /// The CRC-32.
    pub fn sum(self) -> u32 {
        self.sum
    }

    /// The CRC-32 of this text behind one that has the CRC-32 `before`.
    pub fn behind(self, before: u32) -> u32 {
        product(before, self.shift) ^ self.sum
    }
}

/// x^(8 * bytes).
fn shift(bytes: usize) -> u32 {
    let short = SHIFTS[bytes % SHIFTED_BYTES];
    let long = match bytes / SHIFTED_BYTES {
        0 => return short,
        times if times < LONG_SHIFTED => LONG_SHIFTS[times],
        // So many squarings make x^(8 * n * SHIFTED_BYTES) of x^(8 * n).
        times => (0..SHIFTED_BITS).fold(shift(times), |power, _| product(power, power)),
    };
    product(long, short)
}

fn product(left: u32, right: u32) -> u32 {
    let whole = carryless(left, right) << 1;
    let advance = |table: usize, at: u32| ADVANCED[table][(whole >> at & 255) as usize];
    (whole >> 32) as u32 ^ advance(3, 0) ^ advance(2, 8) ^ advance(1, 16) ^ advance(0, 24)
}

/// The product without carries. Of every fourth bit alone the sums are below sixteen, so that they do not reach the next
/// such bit.
fn carryless(left: u32, right: u32) -> u64 {
    const FOURTHS: u64 = 0x1111_1111_1111_1111;
    let part = |of: u32, at: usize| u64::from(of) & FOURTHS << at;
    let left: [u64; 4] = std::array::from_fn(|at| part(left, at));
    let right: [u64; 4] = std::array::from_fn(|at| part(right, at));
    (0..4).fold(0, |whole, at| {
        let sum = (0..4).fold(0, |sum, of| sum ^ left[of].wrapping_mul(right[(at + 4 - of) % 4]));
        whole | sum & FOURTHS << at
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn parts_have_the_checksum_of_the_whole() {
        let mut random = Random::for_test(3);
        let text: Vec<u8> = (0..70_000).map(|_| random.below(256) as u8).collect();
        for _ in 0..100 {
            let (mut whole, mut parts) = (0, Vec::new());
            let mut end = 0;
            for _ in 0..random.below(6) {
                let scale = [2, 100, 35_000][random.below(3) as usize];
                let length = random.below(scale) as usize;
                let next = (end + length).min(text.len());
                whole = Checksum::of(&text[end..next]).behind(whole);
                parts.push((Some(Checksum::of(&text[end..next]).sum()), next - end));
                end = next;
            }
            let expected = Checksum::of(&text[..end]);
            assert_eq!(whole, expected.sum(), "{end} bytes");
            assert_eq!(Checksum::of_parts(parts.iter().copied()), Some(expected));
            assert_eq!(Checksum::of_parts(parts.into_iter().chain([(None, 1)])), None);
        }
        assert_eq!(Checksum::of(b"123456789").sum(), 0xcbf4_3926, "the check value of CRC-32");
    }

    /// The multiplication, bit by bit.
    fn naive_product(left: u32, mut right: u32) -> u32 {
        let mut product = 0;
        for bit in (0..32).rev() {
            product ^= right & (left >> bit & 1).wrapping_neg();
            right = right >> 1 ^ POLYNOMIAL & (right & 1).wrapping_neg();
        }
        product
    }

    #[test]
    fn products_and_shifts_are_right() {
        let mut random = Random::for_test(4);
        for _ in 0..10_000 {
            let (left, right) = (random.below(1 << 32) as u32, random.below(1 << 32) as u32);
            assert_eq!(product(left, right), naive_product(left, right), "{left:x} {right:x}");
        }
        let (mut expected, mut bytes) = (ONE, 0);
        for next in [0, 1, 2, 255, 256, 2047, 2048, 2049, 65_537, 300_000, 5_000_000] {
            while bytes < next {
                expected = naive_product(expected, ONE >> 8);
                bytes += 1;
            }
            assert_eq!(shift(bytes), expected, "{bytes}");
        }
    }
}
