//! How far a reader has come that goes along what metrics say beyond their lines.

/// A place among the details of a snapshot; the default is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The part of the list of blocks.
    pub shelf: usize,
    /// The block in that part: what one group has of one family.
    pub block: usize,
    /// The detail in that block.
    pub item: usize,
}
