//! Fuzzes the query of `/api/v1/groups`; the body and its oracle are in the library, where tests replay the seeds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushgateway::fuzz::query::query_string(data));
