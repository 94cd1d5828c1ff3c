//! Fuzzes the encoder of compressed pages; the body is in the library, where tests replay the seeds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushgateway::fuzz::deflate::deflate_encoder(data));
