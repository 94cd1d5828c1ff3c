//! Plays whole bodies to a decoder for tests and fuzz targets, and holds it to what it promises. No part of the program.

use super::{Coding, CodingError, Decoder};
use crate::limits::DECODED_PIECE_BYTES;

/// What a body decodes to, and what is wrong with it if anything is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) data: Vec<u8>,
    pub(crate) error: Option<CodingError>,
}

/// Decodes a body that comes in pieces that end at `cuts`, up to `data_bytes_max`.
///
/// # Panics
/// If the decoder stands still or reports what cannot be.
pub(crate) fn play(
    decoder: &mut Decoder,
    coding: Coding,
    body: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    data_bytes_max: usize,
) -> Outcome {
    decoder.begin(coding);
    let mut buffer = vec![0; DECODED_PIECE_BYTES];
    let mut data = Vec::new();
    let mut start = 0;
    for end in cuts.into_iter().chain([body.len()]) {
        let mut rest = &body[start..end];
        start = end;
        loop {
            let step = match decoder.decode(rest, &mut buffer) {
                Ok(step) => step,
                Err(error) => {
                    assert_eq!(decoder.finish(), Err(error), "an error stays");
                    return Outcome { data, error: Some(error) };
                }
            };
            assert!(rest.is_empty() || step.used + step.produced > 0, "no progress at {}", end - rest.len());
            rest = &rest[step.used..];
            data.extend_from_slice(&buffer[..step.produced]);
            if data.len() > data_bytes_max {
                data.truncate(data_bytes_max);
                return Outcome { data, error: None };
            }
            if rest.is_empty() && step.produced < buffer.len() {
                break;
            }
        }
    }
    let error = decoder.finish().err();
    Outcome { data, error }
}
