//! Fuzzes a persistence file of the original; the body and its oracle are in the library, where tests replay the seeds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushgateway::fuzz::gob::gob_reader(data));
