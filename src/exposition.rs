//! The exposition formats: how bodies are read and written. Never sees the store.

pub mod protobuf;
pub mod text;
