//! Fuzz body of the text parser: it tells its sink what the naive one does, wherever the body is cut into pieces.

use crate::exposition::text::Parser;
use crate::exposition::text::naive;
use crate::model::name::Names;

/// Parses `data` as a text body under both name schemes: whole, byte by byte, and in pieces whose lengths its own
/// bytes give.
///
/// # Panics
/// If the outcome is not that of the naive parser.
pub fn text_parser(data: &[u8]) {
    let mut parser = Parser::new();
    for names in [Names::Classic, Names::Utf8] {
        let expected = naive::parse(data, names);
        let lens_from_data = data.iter().map(|byte| usize::from(*byte % 16));
        for lens in [vec![data.len()], vec![1; data.len()], lens_from_data.collect()] {
            let outcome = naive::fast_parse(&mut parser, data, names, &lens);
            assert_eq!(outcome, expected, "body {:?} in pieces of {lens:?}", data.escape_ascii().to_string());
        }
    }
}
