//! The borrowed vocabulary that every layer speaks: metric kind, label, sample, numbers and names.
//!
//! Owns the rules that hold for a single word of it (what a name is, how a number is written). Knows nothing of
//! bodies, groups or connections.

pub mod build;
pub mod cut;
pub mod escape;
pub mod line;
pub mod mark;
pub mod name;
pub mod number;
pub mod order;
pub mod quote;
pub mod sample;
pub mod sorter;
pub mod table;
pub mod time;
