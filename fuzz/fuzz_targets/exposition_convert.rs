//! Fuzzes what is stored in every format of the exposition; the body is in the library, where tests replay the seeds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushgateway::fuzz::convert::exposition_convert(data));
