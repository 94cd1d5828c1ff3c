//! Fuzzes a gzip body, cut into pieces; what must hold is in the library, where tests replay the seeds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushgateway::fuzz::coding::gzip_decoder(data));
