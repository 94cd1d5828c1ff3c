//! The one integration binary: the running server against black-box cases and real peers, and the house rules.
//!
//! One binary, so that everything links once. Support modules: `server` starts the gateway, `wire` speaks HTTP to
//! it, `kept` gives it a persistence file, `tools` finds the programs of real peers, `original` runs the Go original. A
//! missing program is a failure with the command that installs it.

mod allocations;
mod attacks;
mod auth;
mod browser;
mod cases;
mod clients;
mod coding;
mod connections;
mod crash;
mod dependencies;
mod faults;
mod gzip;
mod hostile;
mod kept;
mod limits;
mod migration;
mod original;
mod persistence;
mod pki;
mod prefixes;
mod prometheus;
mod query;
mod repeats;
mod roundtrip;
mod scraped;
mod seeds;
mod server;
mod soak;
mod systemd;
mod tidy;
mod tls;
mod tools;
mod unchecked;
mod wire;
