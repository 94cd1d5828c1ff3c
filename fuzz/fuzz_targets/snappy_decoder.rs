//! Fuzzes a snappy body, cut into pieces; what must hold is in the library, where tests replay the seeds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushgateway::fuzz::coding::snappy_decoder(data));
