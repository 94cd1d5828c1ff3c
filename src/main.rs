//! The binary: command line, then server, then an exit status.

fn main() {}
