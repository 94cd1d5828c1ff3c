//! How the page and its assets are served: types, compression, caching. What is in them is tested beside them.

use super::*;
use crate::app::reply::ReplyBody;
use crate::http::{Connection, Event};

/// Makes a request with these header lines and hands it on.
fn with_request<T>(headers: &str, act: impl FnOnce(&Request<'_>) -> T) -> T {
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
    let mut connection = Connection::new();
    let (_, Some(Event::Request(request))) = connection.receive(head.as_bytes()) else { panic!("a whole head") };
    act(&request)
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| &**value)
}

fn body(reply: &Reply) -> &[u8] {
    match &reply.body {
        ReplyBody::Bytes(bytes) => bytes,
        ReplyBody::Empty => b"",
        other => panic!("{other:?}"),
    }
}

const GZIP: &str = "Accept-Encoding: gzip, br\r\n";

#[test]
fn the_page_is_sent_as_the_client_reads_it() {
    let page = Page::new("/pre");
    let html = content::html("/pre");
    let packed = with_request(GZIP, |request| page.answer(request));
    assert_eq!(unpacked(body(&packed)), html);
    assert_eq!(header(&packed, "Content-Encoding"), Some("gzip"));
    let plain = with_request("", |request| page.answer(request));
    assert_eq!(body(&plain), html);
    for reply in [&packed, &plain] {
        assert_eq!((reply.status, reply.content_type), (200, Some(HTML)));
        assert_eq!(header(reply, "Cache-Control"), Some("no-cache"));
        assert_eq!(header(reply, "Vary"), Some("Accept-Encoding"));
        let policy = header(reply, "Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    }
    assert_eq!(header(&plain, "ETag"), header(&packed, "ETag"));
    assert_ne!(Page::new("").tag, page.tag);
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    let page = Page::new("");
    let tag = format!("If-None-Match: W/\"{}\"\r\n", page.tag);
    let reply = with_request(&tag, |request| page.answer(request));
    assert_eq!((reply.status, body(&reply), reply.content_type), (304, &b""[..], None));
    assert_eq!(header(&reply, "ETag"), Some(&*etag::shown(&page.tag)));
    assert!(header(&reply, "Content-Security-Policy").is_some());
    let reply = with_request("If-None-Match: \"other\"\r\n", |request| page.answer(request));
    assert_eq!(reply.status, 200);
}

#[cfg(feature = "ui")]
#[test]
fn assets_are_kept_for_good_by_their_hash_only() {
    let page = String::from_utf8(content::html("")).unwrap();
    let at = page.find("./static/").unwrap() + "./static/".len();
    let lasting = &page[at..page[at..].find('"').unwrap() + at];
    let (_, name) = lasting.split_once('/').unwrap();
    let check = |file: &str, headers: &str, status: u16, caching: Option<&str>| {
        let reply = with_request(headers, |request| asset(file, request));
        assert_eq!((reply.status, header(&reply, "Cache-Control")), (status, caching), "{file} {headers}");
        reply
    };
    let reply = check(lasting, "", 200, Some("public, max-age=31536000, immutable"));
    let tag = format!("If-None-Match: {}\r\n", header(&reply, "ETag").unwrap());
    check(name, "", 200, Some("no-cache"));
    check(name, &tag, 304, Some("no-cache"));
    check(lasting, &tag, 304, Some("public, max-age=31536000, immutable"));
    check("nope.js", "", 404, None);
    let packed = with_request(GZIP, |request| asset(name, request));
    assert_eq!(unpacked(body(&packed)), body(&reply));
}

#[test]
fn without_the_feature_the_page_says_so() {
    let page = String::from_utf8(plain::html("/pre")).unwrap();
    assert!(page.contains("<title>Prometheus Pushgateway</title>") && page.contains("without its web page"), "{page}");
    assert_eq!(plain::asset("functions.js"), None);
}
