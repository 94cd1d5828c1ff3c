//! Placeholder.

pub mod grouping;
//! The bodies of the fuzz targets, so that `cargo test` can replay their seeds. Not part of the program.

pub mod http;
pub mod text;
