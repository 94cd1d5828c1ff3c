//! Fuzzes the negotiation of a scrape; the body is in the library, where tests replay the seeds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushgateway::fuzz::convert::accept_header(data));
