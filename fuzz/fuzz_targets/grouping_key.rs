//! Fuzzes the path of a push; the body and its oracle are in the library, where tests replay the seeds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushgateway::fuzz::grouping::grouping_key(data));
