//! Fuzzes a record of the persistence file; the body is in the library, where tests replay the seeds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushgateway::fuzz::record::record_reader(data));
