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
