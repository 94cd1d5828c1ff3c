//! Fuzz bodies of the decoders: any bytes, cut anywhere, decode to the same; what a library makes sense of is decoded to
//! the same data.

use std::io::Read;

use crate::http::coding::replay::{Outcome, play};
use crate::http::coding::{Coding, Decoder};

/// Most that a body is decoded to here, bytes: bombs shall not slow the fuzzer down.
const DATA_BYTES_MAX: usize = 4 << 20;

/// Decodes `data` as gzip.
///
/// # Panics
/// If cuts make a difference, or flate2 reads other data.
pub fn gzip_decoder(data: &[u8]) {
    let outcome = play_in_pieces(Coding::Gzip, data);
    if outcome.error.is_none() && outcome.data.len() < DATA_BYTES_MAX {
        let mut expected = Vec::new();
        let read = flate2::read::MultiGzDecoder::new(data).read_to_end(&mut expected);
        // A reserved flag in a header is an error to flate2; the original looks at those it knows.
        let is_stricter = read.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::InvalidInput);
        assert!(read.is_ok() || is_stricter, "decoded what flate2 does not: {read:?}");
        assert!(is_stricter || outcome.data == expected, "decoded to something else");
    }
}

/// Decodes `data` as framed snappy.
///
/// # Panics
/// If cuts make a difference, or the library's own reader of frames reads other data.
pub fn snappy_decoder(data: &[u8]) {
    let outcome = play_in_pieces(Coding::Snappy, data);
    let mut expected = Vec::new();
    let read = snap::read::FrameDecoder::new(data).take(DATA_BYTES_MAX as u64).read_to_end(&mut expected);
    // A last chunk that is cut short is an end to the library.
    if read.is_ok() {
        assert!(outcome.data == expected, "decoded to something else");
    } else {
        // Chunks that may be skipped can have any length here.
        assert!(outcome.data.starts_with(&expected), "decoded to something else");
    }
}

/// Decodes whole, byte by byte and in pieces whose lengths the data give.
fn play_in_pieces(coding: Coding, data: &[u8]) -> Outcome {
    let mut decoder = Decoder::default();
    let whole = play(&mut decoder, coding, data, [], DATA_BYTES_MAX);
    let bytewise = play(&mut decoder, coding, data, 0..data.len(), DATA_BYTES_MAX);
    assert!(bytewise == whole, "cut behind every byte");
    let mut end = 0;
    let cuts = data.iter().map_while(|len| {
        end += usize::from(*len);
        (end < data.len()).then_some(end)
    });
    assert!(play(&mut decoder, coding, data, cuts, DATA_BYTES_MAX) == whole, "cut into pieces");
    whole
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_pass() {
        for (target, body) in
            [("gzip_decoder", super::gzip_decoder as fn(&[u8])), ("snappy_decoder", super::snappy_decoder)]
        {
            let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
            let seeds = std::fs::read_dir(seeds).unwrap();
            let count = seeds.map(|seed| body(&std::fs::read(seed.unwrap().path()).unwrap())).count();
            assert!(count >= 8, "{target}: {count} seeds");
        }
    }
}
