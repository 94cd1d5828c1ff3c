//! What is written is read back by a library, whatever it is and wherever it is cut.

use std::io::Read;

use super::*;
use crate::random::Random;

fn check(text: &[u8], cuts: &[usize], history: usize) {
    let stream = deflated_in_segments(text, cuts, history);
    assert!(inflated(&stream) == text, "{cuts:?} {}", text.escape_ascii());
}

fn inflated(stream: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut decoder = flate2::bufread::DeflateDecoder::new(stream);
    decoder.read_to_end(&mut text).expect("it is deflate");
    assert!(decoder.into_inner().is_empty());
    text
}

#[test]
fn anything_is_read_back() {
    let mut random = Random::for_test(11);
    for round in 0..600 {
        let letters = [1, 2, 4, 26, 256][round % 5];
        let bytes = random.below([10, 400, 9000, 80_000][round / 5 % 4]) as usize;
        let mut text: Vec<u8> = Vec::with_capacity(bytes);
        while text.len() < bytes {
            // Noise, repetitions of any length from anywhere, and lines.
            match random.below(4) {
                0 if !text.is_empty() => {
                    let from = random.below(text.len() as u64) as usize;
                    let scale = [8, 300, 5000][random.below(3) as usize];
                    let count = random.below(scale) as usize;
                    (from..from + count).for_each(|at| text.push(text[at]));
                }
                1 => text.extend(format!("metric{{id=\"{}\"}} {}\n", random.below(99), random.below(1 << 40)).bytes()),
                _ => text.extend((0..random.below(20)).map(|_| random.below(letters) as u8)),
            }
        }
        let mut cuts: Vec<usize> = (0..random.below(5)).map(|_| random.below(text.len() as u64 + 1) as usize).collect();
        cuts.sort_unstable();
        check(&text, &cuts, random.below(3000) as usize);
    }
}

/// The longest copies, and those from as far back as may be.
#[test]
fn copies_reach_the_bounds() {
    let mut random = Random::for_test(12);
    let noise: Vec<u8> = (0..200).map(|_| random.below(256) as u8).collect();
    for bytes in 0..2000 {
        check(&vec![b'a'; bytes], &[], 0);
    }
    for distance in COPY_DISTANCE_MAX - 4..COPY_DISTANCE_MAX + 4 {
        let mut text = noise.clone();
        text.resize(distance, b'-');
        text.extend_from_slice(&noise);
        check(&text, &[], 0);
    }
}

/// What is remembered of one text is nothing to the next, also where positions start anew.
#[test]
fn positions_start_anew() {
    let mut matcher = Matcher { next_base: u32::MAX - 300, ..Matcher::default() };
    let told = |matcher: &mut Matcher, text: &[u8]| {
        let mut counts = Counts::NONE;
        matcher.begin(text.len());
        matcher.tell(text, 0, 0..text.len(), &mut counts);
        format!("{counts:?}")
    };
    let text = b"abcdefgh abcdefgh abcdefgh 0123456789 abcdefgh";
    let expected = told(&mut Matcher::default(), text);
    for _ in 0..40 {
        assert_eq!(told(&mut matcher, text), expected);
    }
    assert!(matcher.next_base < u32::MAX / 2);
}

#[test]
fn text_is_written_small() {
    let line = |at: u64, value: u64| format!("batch_seconds{{instance=\"host-{at}\",job=\"batch\"}} {value}.25\n");
    let mut random = Random::for_test(13);
    let text: String = (0..400).map(|at| line(at, random.below(100_000))).collect();
    let mut library = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(2));
    std::io::Write::write_all(&mut library, text.as_bytes()).unwrap();
    let library = library.finish().unwrap().len();
    let (mut matcher, mut counts, mut bits) = (Matcher::default(), Counts::NONE, Bits::default());
    matcher.begin(text.len());
    matcher.tell(text.as_bytes(), 0, 0..text.len(), &mut counts);
    let code = Code::new(&counts);
    code.begin(&mut bits);
    bits.reserve(text.len() * WRITTEN_BYTES_MAX);
    matcher.begin(text.len());
    matcher.tell(text.as_bytes(), 0, 0..text.len(), &mut Writer { code: &code, bits: &mut bits });
    assert!(bits.count() / 8 <= library + library / 10, "{} {library}", bits.count() / 8);
}
