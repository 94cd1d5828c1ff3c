//! Huffman codes of deflate (RFC 1951 3.2.7): made from counts of what they are to write, and the head of a block that
//! tells the reader about them.

use smallvec::SmallVec;

use super::bits::Bits;
use crate::limits::DEFLATE_CODE_BITS_MAX;

/// Symbols for bytes, the end of a block and lengths.
const LITERALS: usize = 286;
/// The end of a block.
const END: usize = 256;
/// The shortest length; those behind it follow in order.
const LENGTHS: usize = 257;
/// Symbols for distances.
const DISTANCES: usize = 30;
/// Symbols for the lengths of codes, and the order in which a block's head has theirs.
const CODE_LENGTHS: usize = 19;
const ORDER: [usize; CODE_LENGTHS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// Of these, the one that repeats the length before it, three to six times.
const REPEAT: u8 = 16;
/// Longest code of a code length.
const CODE_LENGTH_BITS_MAX: usize = 7;

/// Shortest and longest copy.
pub const COPY_BYTES_MIN: usize = 3;
/// See there.
pub const COPY_BYTES_MAX: usize = 258;

/// What a byte of text takes at most, bytes: alone, and as one of four that are copied.
pub const WRITTEN_BYTES_MAX: usize = 2;

const _: () = {
    assert!(DEFLATE_CODE_BITS_MAX <= 8 * WRITTEN_BYTES_MAX, "any byte can be written");
    assert!(2 * DEFLATE_CODE_BITS_MAX + 5 + 13 <= 4 * 8 * WRITTEN_BYTES_MAX, "any copy can be written");
    assert!(2 * DEFLATE_CODE_BITS_MAX + 5 + 13 <= 56 && 4 * DEFLATE_CODE_BITS_MAX <= 56, "one flush is enough");
    assert!(DEFLATE_CODE_BITS_MAX <= 12, "a code and its length fit in sixteen bits");
};

/// The symbol of a length less three, without the 257 symbols before it.
const LENGTH_SYMBOLS: [u8; 256] = {
    let mut symbols = [0; 256];
    let mut at = 0;
    while at < 255 {
        symbols[at] = if at < 8 {
            at as u8
        } else {
            let extra = at.ilog2() - 2;
            (4 * extra + (at >> extra) as u32) as u8
        };
        at += 1;
    }
    symbols[255] = 28;
    symbols
};

/// The symbol of a distance less one: below 256 by itself, above by its multiple of 128.
const DISTANCE_SYMBOLS: [u8; 512] = {
    let mut symbols = [0; 512];
    let mut at = 0;
    while at < 512 {
        let distance: usize = if at < 256 { at } else { (at - 256) << 7 };
        symbols[at] = if distance < 4 {
            distance as u8
        } else {
            let extra = distance.ilog2() - 1;
            (2 * extra + (distance >> extra) as u32) as u8
        };
        at += 1;
    }
    symbols
};

fn length_symbol(bytes: usize) -> usize {
    usize::from(LENGTH_SYMBOLS[(bytes - COPY_BYTES_MIN) & 255])
}

fn distance_symbol(distance: usize) -> usize {
    let less_one = distance - 1;
    usize::from(DISTANCE_SYMBOLS[if less_one < 256 { less_one } else { 256 + (less_one >> 7) } & 511])
}

/// How many bits follow the symbol of a length.
fn length_extra(symbol: usize) -> u32 {
    if symbol < 8 || symbol == 28 { 0 } else { symbol as u32 / 4 - 1 }
}

/// How many bits follow the symbol of a distance.
fn distance_extra(symbol: usize) -> u32 {
    (symbol as u32 / 2).saturating_sub(1)
}

/// Who is told what a text consists of.
pub trait Tokens {
    /// These bytes as they are.
    fn literals(&mut self, bytes: &[u8]);
    /// So many bytes, 3 to 258, as they were so far back, 1 to 32768.
    fn copy(&mut self, bytes: usize, distance: usize);
}

/// How often each symbol is wanted.
#[derive(Clone, Debug)]
pub struct Counts {
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
}

impl Counts {
    pub const NONE: Self = Self { literals: [0; LITERALS], distances: [0; DISTANCES] };
}

impl Tokens for Counts {
    fn literals(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.literals[usize::from(*byte)] += 1;
        }
    }

    fn copy(&mut self, bytes: usize, distance: usize) {
        self.literals[LENGTHS + length_symbol(bytes)] += 1;
        self.distances[distance_symbol(distance)] += 1;
    }
}

/// A code for each symbol: its bits as they are written, and in the lowest four bits how many these are.
#[derive(Debug)]
pub struct Code {
    literals: [u16; LITERALS],
    distances: [u16; DISTANCES],
    /// The head of a block that is written in these codes.
    head: Box<[u8]>,
    head_bits: usize,
}

impl Code {
    /// Codes that suit what was counted, and can write everything else.
    pub fn new(counts: &Counts) -> Self {
        // What was not seen may come, and may come often if it is text.
        let is_text = |symbol: usize| (b' '..=b'~').contains(&(symbol as u8)) && symbol < END || symbol > END;
        let weight = |symbol: usize, count: u32| count * 64 + if is_text(symbol) { 8 } else { 1 };
        let weights: [u32; LITERALS] = std::array::from_fn(|symbol| weight(symbol, counts.literals[symbol]));
        let literals = lengths(&weights, DEFLATE_CODE_BITS_MAX);
        let weights: [u32; DISTANCES] = std::array::from_fn(|symbol| counts.distances[symbol] * 64 + 4);
        let distances = lengths(&weights, DEFLATE_CODE_BITS_MAX);
        let mut head = Bits::default();
        write_head(&literals, &distances, &mut head);
        let (head, head_bits) = head.finished();
        Self { literals: codes(&literals), distances: codes(&distances), head: head.into(), head_bits }
    }

    /// What these symbols take, bits, without those that follow them.
    pub fn bits(&self, counts: &Counts) -> u64 {
        let sum = |counts: &[u32], codes: &[u16]| -> u64 {
            counts.iter().zip(codes).map(|(count, code)| u64::from(*count) * u64::from(code & 15)).sum()
        };
        sum(&counts.literals, &self.literals) + sum(&counts.distances, &self.distances)
    }

    /// How many bits the beginning of a block takes.
    pub fn head_bits(&self) -> usize {
        self.head_bits
    }

    /// Begins a block in these codes.
    pub fn begin(&self, bits: &mut Bits) {
        bits.append(&self.head, 0, self.head_bits);
    }

    /// Ends the block, and goes on to a byte boundary with an empty stored block.
    pub fn end(&self, bits: &mut Bits) {
        bits.reserve(16);
        bits.put_code(self.literals[END]);
        bits.put(0, 3);
        bits.align();
        bits.put(0xffff_0000, 32);
        bits.flush();
    }
}

/// Writes what a text consists of.
#[derive(Debug)]
pub struct Writer<'a> {
    /// In these codes.
    pub code: &'a Code,
    /// Behind what stands here, in room that was reserved before: [`WRITTEN_BYTES_MAX`] for each byte of text.
    pub bits: &'a mut Bits,
}

impl Tokens for Writer<'_> {
    #[inline]
    fn literals(&mut self, bytes: &[u8]) {
        let mut fours = bytes.chunks_exact(4);
        for four in &mut fours {
            four.iter().for_each(|byte| self.bits.put_code(self.code.literals[usize::from(*byte)]));
            self.bits.flush();
        }
        fours.remainder().iter().for_each(|byte| self.bits.put_code(self.code.literals[usize::from(*byte)]));
        self.bits.flush();
    }

    #[inline]
    fn copy(&mut self, bytes: usize, distance: usize) {
        let symbol = length_symbol(bytes);
        self.bits.put_code(self.code.literals[LENGTHS + symbol]);
        self.bits.put_low((bytes - COPY_BYTES_MIN) as u64, length_extra(symbol));
        let symbol = distance_symbol(distance);
        self.bits.put_code(self.code.distances[symbol]);
        self.bits.put_low((distance - 1) as u64, distance_extra(symbol));
        self.bits.flush();
    }
}

/// The lengths of codes for symbols that are wanted as often as `weights` say, none of which is zero: Huffman's, with
/// those that are too long cut to `bits_max` and paid for by shorter ones.
fn lengths<const N: usize>(weights: &[u32; N], bits_max: usize) -> [u8; N] {
    let mut lengths = [0; N];
    set_lengths(weights, bits_max, &mut lengths);
    lengths
}

fn set_lengths(weights: &[u32], bits_max: usize, lengths: &mut [u8]) {
    // Weights, and behind each its symbol.
    let mut order: SmallVec<[u64; LITERALS]> =
        weights.iter().enumerate().map(|(symbol, weight)| u64::from(*weight) << 32 | symbol as u64).collect();
    order.sort_unstable();
    let mut of_length = depths(&order);
    let too_long: u32 = of_length[bits_max + 1..].iter().sum();
    of_length[bits_max] += too_long;
    let mut taken: u32 = (1..=bits_max).map(|bits| of_length[bits] << (bits_max - bits)).sum();
    while taken > 1 << bits_max {
        let shorter =
            (1..bits_max).rev().find(|bits| of_length[*bits] > 0).expect("there are fewer symbols than codes");
        of_length[bits_max] -= 1;
        of_length[shorter] -= 1;
        of_length[shorter + 1] += 2;
        taken -= 1;
    }
    let descending = (1..=bits_max).rev().flat_map(|bits| std::iter::repeat_n(bits as u8, of_length[bits] as usize));
    for (weight, bits) in order.iter().zip(descending) {
        lengths[*weight as u32 as usize] = bits;
    }
}

/// How many leaves of Huffman's tree are at each depth; the weights, in the upper halves of `ascending`, ascend.
fn depths(ascending: &[u64]) -> [u32; 64] {
    const NODES: usize = 2 * LITERALS;
    let leaves = ascending.len();
    let mut weight = [0u32; NODES];
    weight.iter_mut().zip(ascending).for_each(|(weight, leaf)| *weight = (leaf >> 32) as u32);
    let mut parent = [0; NODES];
    // Leaves and inner nodes both ascend, so the lightest is the first of either.
    let (mut leaf, mut inner) = (0, leaves);
    for node in leaves..2 * leaves - 1 {
        for _ in 0..2 {
            let lightest =
                if leaf < leaves && (inner == node || weight[leaf] <= weight[inner]) { &mut leaf } else { &mut inner };
            weight[node] += weight[*lightest];
            parent[*lightest] = node;
            *lightest += 1;
        }
    }
    let mut depth = [0u8; NODES];
    let mut at_depth = [0; 64];
    for node in (0..2 * leaves - 2).rev() {
        depth[node] = depth[parent[node]] + 1;
        if node < leaves {
            at_depth[usize::from(depth[node])] += 1;
        }
    }
    at_depth
}

/// The codes that follow from their lengths (RFC 1951 3.2.2), bits in the order in which they are written.
fn codes<const N: usize>(lengths: &[u8; N]) -> [u16; N] {
    let mut next = first_codes(lengths);
    lengths.map(|bits| {
        let code = next[usize::from(bits)];
        next[usize::from(bits)] += 1;
        if bits == 0 { 0 } else { code.reverse_bits() >> (16 - bits) << 4 | u16::from(bits) }
    })
}

fn first_codes(lengths: &[u8]) -> [u16; 17] {
    let mut first = [0u16; 17];
    for bits in 1..16 {
        let count = lengths.iter().filter(|length| usize::from(**length) == bits).count();
        first[bits + 1] = (first[bits] + count as u16) << 1;
    }
    first
}

fn write_head(literals: &[u8], distances: &[u8], bits: &mut Bits) {
    let mut symbols: Vec<(u8, u64)> = Vec::with_capacity(LITERALS + DISTANCES);
    let all: Vec<u8> = [literals, distances].concat();
    for same in all.chunk_by(|left, right| left == right) {
        symbols.push((same[0], 0));
        let mut more = same.len() - 1;
        while more >= 3 {
            let repeated = more.min(6);
            symbols.push((REPEAT, repeated as u64 - 3));
            more -= repeated;
        }
        symbols.extend(std::iter::repeat_n((same[0], 0), more));
    }
    let mut weights = [1; CODE_LENGTHS];
    symbols.iter().for_each(|(symbol, _)| weights[usize::from(*symbol)] += 32);
    let lengths = lengths(&weights, CODE_LENGTH_BITS_MAX);
    let codes = codes(&lengths);
    bits.reserve(2 * (LITERALS + DISTANCES));
    // Not the last block; codes of its own.
    bits.put(0b100, 3);
    bits.put((LITERALS - LENGTHS) as u64, 5);
    bits.put(DISTANCES as u64 - 1, 5);
    bits.put(CODE_LENGTHS as u64 - 4, 4);
    bits.flush();
    for symbol in ORDER {
        bits.put(u64::from(lengths[symbol]), 3);
        bits.flush();
    }
    for (symbol, extra) in symbols {
        bits.put_code(codes[usize::from(symbol)]);
        bits.put_low(extra, if symbol == REPEAT { 2 } else { 0 });
        bits.flush();
    }
}
