//! The web page and its assets (SPEC 9): how they are served. The page fills itself from the JSON API; nothing of the
//! store is in it.
//!
//! Everything is kept compressed. Assets are linked below the hash of all of them, so that they may be cached for good;
//! under their bare names they are there as well. What the page is like is the files' in `page/assets`, or, without
//! the feature `ui`, that of a page of one sentence.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::etag;
use super::negotiation::accepts_gzip;
use super::reply::Reply;
use crate::http::Request;

#[cfg(feature = "ui")]
mod full;
#[cfg(any(test, not(feature = "ui")))]
mod plain;

#[cfg(feature = "ui")]
use full as content;
#[cfg(not(feature = "ui"))]
use plain as content;

/// What the page may do: load what this server has, and nothing else. Neither markup nor a library can loosen it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";

/// The page of one configuration.
#[derive(Debug)]
pub struct Page {
    packed: Vec<u8>,
    tag: String,
}

/// A file below `/static/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asset {
    content_type: &'static str,
    /// Changes with the content.
    tag: &'static str,
    packed: &'static [u8],
    /// Whether it was asked for by a name that never stands for anything else.
    is_lasting: bool,
}

impl Page {
    /// The page with its links below `link_prefix`: the path of the external URL as in SPEC 11.2, without a trailing
    /// slash. If it is empty, links are relative to the page.
    pub fn new(link_prefix: &str) -> Self {
        const IN_MEMORY: &str = "writing to memory does not fail";
        let html = content::html(link_prefix);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&html).expect(IN_MEMORY);
        let packed = encoder.finish().expect(IN_MEMORY);
        // The checksum in the trailer and the length tell one page from another; its assets are part of its links.
        let (_, trailer) = packed.split_last_chunk().expect("gzip ends in a trailer");
        let tag = format!("{:016x}", u64::from_be_bytes(*trailer));
        Self { packed, tag }
    }

    /// The answer to a request for the page.
    pub fn answer(&self, request: &Request<'_>) -> Reply {
        answer(request, HTML, &self.tag, "no-cache", &self.packed).header("Content-Security-Policy", POLICY)
    }
}

/// The answer to a request for the asset at `/static/<file>`.
pub fn asset(file: &str, request: &Request<'_>) -> Reply {
    match content::asset(file) {
        Some(asset) => {
            let caching = if asset.is_lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
            answer(request, asset.content_type, asset.tag, caching, asset.packed)
        }
        None => Reply::error(404, &"404 page not found"),
    }
}

fn answer(request: &Request<'_>, content_type: &'static str, tag: &str, caching: &'static str, packed: &[u8]) -> Reply {
    let is_known = etag::is_known(request.headers.all("if-none-match"), tag);
    let reply = if is_known {
        Reply::empty(304)
    } else if accepts_gzip(request.headers.all("accept-encoding")) {
        Reply::with_body(200, content_type, packed.to_vec()).header("Content-Encoding", "gzip")
    } else {
        Reply::with_body(200, content_type, unpacked(packed))
    };
    let reply = reply.header("ETag", etag::shown(tag)).header("Cache-Control", caching);
    reply.header("Vary", "Accept-Encoding").header("X-Content-Type-Options", "nosniff")
}

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut plain).expect("what was packed here can be unpacked");
    plain
}

#[cfg(test)]
mod tests;
