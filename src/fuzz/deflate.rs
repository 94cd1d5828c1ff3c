//! Fuzz body of the encoder of compressed pages: a library reads back what it was given, wherever that is cut.

use crate::store::deflated_in_segments;

/// Compresses `data` behind its first four bytes: three say where it is cut, one how far segments refer back.
///
/// # Panics
/// If it is not read back.
pub fn deflate_encoder(data: &[u8]) {
    let Some((choices, text)) = data.split_first_chunk::<4>() else { return };
    let mut cuts = [0, 1, 2].map(|at| usize::from(choices[at]) * text.len() / 255);
    cuts.sort_unstable();
    let stream = deflated_in_segments(text, &cuts, usize::from(choices[3]) * 16);
    let mut read = Vec::new();
    let mut decoder = flate2::bufread::DeflateDecoder::new(&*stream);
    std::io::Read::read_to_end(&mut decoder, &mut read).expect("it is deflate");
    assert!(decoder.into_inner().is_empty(), "it is one stream");
    assert!(read == text, "it is read back as something else");
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_pass() {
        let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/deflate_encoder");
        let seeds = std::fs::read_dir(seeds).unwrap();
        let count = seeds.map(|seed| super::deflate_encoder(&std::fs::read(seed.unwrap().path()).unwrap())).count();
        assert!(count >= 8, "{count} seeds");
    }
}
