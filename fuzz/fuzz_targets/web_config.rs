//! Fuzzes the reader of the web configuration; the body is in the library, where tests replay the seeds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushgateway::fuzz::config::web_config(data));
