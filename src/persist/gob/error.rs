//! What is wrong with a file.

use std::fmt;

/// A file cannot be read: something else stands at a place than what is expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GobError {
    /// The place, bytes from the start of the file; its length if the file ends too early.
    pub offset: usize,
    /// What is expected there, with its article.
    pub expected: &'static str,
}

impl fmt::Display for GobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at byte {}", self.expected, self.offset)
    }
}

impl std::error::Error for GobError {}
