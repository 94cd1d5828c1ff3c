//! A drop-in replacement for the Prometheus Pushgateway, as a library.
//!
//! The modules are layers: imports point down only, in the order of ARCHITECTURE.md, and
//! `tests/it/tidy.rs` fails on an import that points up. The binary (`main.rs`) only dispatches.

pub mod limits;
pub mod log;
pub mod model;

pub mod cli;
pub mod config;
pub mod exposition;
pub mod http;
pub mod net;
pub mod store;

pub mod auth;
pub mod persist;
pub mod telemetry;

pub mod app;

pub mod server;

#[cfg(feature = "fuzz")]
pub mod fuzz;
#[cfg(any(test, feature = "fuzz"))]
pub mod random;
