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
