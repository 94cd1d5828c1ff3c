//! Fuzz body of the text parser: it tells its sink what the naive one does, wherever the body is cut into pieces.

use super::check_error;
use crate::exposition::text::Parser;
use crate::exposition::text::naive;
use crate::model::name::Names;

/// Parses `data` as a text body under both name schemes: whole, byte by byte, and in pieces whose lengths its own
/// bytes give; then each of its parts between zero bytes as a body, which may repeat one before, and all of them again.
///
/// # Panics
/// If the outcome is not that of the naive parser.
pub fn text_parser(data: &[u8]) {
    let mut parser = Parser::new();
    for names in [Names::Classic, Names::Utf8] {
        let expected = naive::parse(data, names);
        if let (_, Err(error)) = &expected {
            check_error(error, 1);
        }
        let lens_from_data = data.iter().map(|byte| usize::from(*byte % 16));
        for lens in [vec![data.len()], vec![1; data.len()], lens_from_data.collect()] {
            let outcome = naive::fast_parse(&mut parser, data, names, &lens);
            assert_eq!(outcome, expected, "body {:?} in pieces of {lens:?}", data.escape_ascii().to_string());
        }
        for body in data.split(|byte| *byte == 0).chain(data.split(|byte| *byte == 0)) {
            let outcome = naive::fast_parse(&mut parser, body, names, &[body.len()]);
            assert_eq!(outcome, naive::parse(body, names), "body {:?}", body.escape_ascii().to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_pass() {
        let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/text_parser");
        let mut count = 0;
        for seed in std::fs::read_dir(seeds).unwrap() {
            text_parser(&std::fs::read(seed.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 20, "{count}");
    }
}
