//! The exposition formats: how bodies are read and written. Never sees the store.

pub mod convert;
pub mod format;
pub mod protobuf;
pub mod text;
pub mod wire;
