//! Fuzz target `http_connection`: the server's side of a connection under any bytes, cut anywhere.
//!
//! Owns what must hold; how a stream is played is [`crate::http`]'s own business.

use crate::http::replay;

/// The first two bytes choose how the rest is cut. Whatever the cut, the same is seen and sent; every call makes
/// progress and nothing grows beyond its limit (asserted while playing).
pub fn http_connection(data: &[u8]) {
    let [seed, step, stream @ ..] = data else { return };
    let whole = replay::play(stream, []);
    assert_eq!(whole, replay::play_bytewise(stream), "cut behind every byte");
    let step = usize::from(*step).max(1);
    let first = usize::from(*seed).min(stream.len());
    assert_eq!(whole, replay::play(stream, (first..stream.len()).step_by(step)), "cut every {step} from {first}");
    check_chunked(stream);
}

/// Taken as a chunked body, the stream decodes as the plain decoder says.
fn check_chunked(stream: &[u8]) {
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let seen = replay::play(&[head, stream].concat(), []).events;
    let body = seen.get(1).and_then(|line| line.strip_prefix("body ")).unwrap_or_default();
    let outcome = seen.iter().find(|line| *line == "end of body" || line.starts_with("body failed"));
    match replay::dechunk(stream) {
        Ok(Some((expected, _))) => {
            assert_eq!(outcome.map(String::as_str), Some("end of body"));
            assert_eq!(body, expected.escape_ascii().to_string());
        }
        Ok(None) => assert_eq!(outcome.map(String::as_str), Some("body failed: unexpected EOF")),
        Err(()) => assert!(outcome.is_some_and(|line| line.starts_with("body failed")), "{outcome:?}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds() {
        let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/http_connection")).unwrap();
        let played = seeds.map(|seed| super::http_connection(&std::fs::read(seed.unwrap().path()).unwrap())).count();
        assert!(played >= 15, "{played} seeds");
    }

    /// A short walk from the seeds: bytes replaced, removed, doubled. Reproducible: the state is the seed.
    #[test]
    fn mutated_seeds() {
        let mut state = 0x5EED_u64;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound.max(1)
        };
        let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/http_connection")).unwrap();
        let mut seeds: Vec<_> = seeds.map(|seed| seed.unwrap().path()).collect();
        seeds.sort();
        for seed in seeds {
            let original = std::fs::read(seed).unwrap();
            for _ in 0..200 {
                let mut data = original.clone();
                for _ in 0..=below(4) {
                    let at = below(data.len());
                    match below(4) {
                        0 => data[at] = b"\r\n 0:;,/%x\0\xff"[below(12)],
                        1 => drop(data.remove(at)),
                        2 => data.insert(at, data[at]),
                        _ => data.extend_from_within(at..),
                    }
                }
                super::http_connection(&data);
            }
        }
    }
}
