//! Placeholder.

pub mod grouping;
