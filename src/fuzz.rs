//! The bodies of the fuzz targets, so that `cargo test` can replay their seeds. Not part of the program.

pub mod coding;
pub mod config;
pub mod convert;
pub mod deflate;
pub mod gob;
pub mod grouping;
pub mod http;
pub mod protobuf;
pub mod query;
pub mod record;
pub mod store;
pub mod text;

use std::fmt;

use crate::limits::{ERROR_BYTES_MAX, QUOTE_BYTES_MAX};

/// The words of an error beside its quotes, and the marks of what they leave out, bytes at most.
const WORDS_BYTES_MAX: usize = 400;

/// Asserts that an error with so many quotes has a text, and one that is no longer than they may be, however long the
/// input was. An escaped byte of a quote takes six bytes at most.
fn check_error(error: impl fmt::Display, quotes: usize) {
    let text = error.to_string();
    assert!(!text.is_empty());
    assert!(text.len() <= ERROR_BYTES_MAX.min(WORDS_BYTES_MAX + quotes * 6 * QUOTE_BYTES_MAX), "{}", text.len());
}
