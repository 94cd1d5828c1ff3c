//! The external URL: checked by the rules of Go's `net/url`, of which only the path is ever used (SPEC 11.2).

use super::{UsageError, quoted};

/// A URL as given, and its path.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ExternalUrl {
    /// The text as given on the command line.
    pub text: String,
    /// The path, percent-decoded; empty if the URL has none.
    pub path: String,
}

impl ExternalUrl {
    /// Checks a URL and takes its path.
    ///
    /// # Errors
    /// `invalid URL: parse "...": REASON` with Go's reasons.
    pub fn parse(text: &str) -> Result<Self, UsageError> {
        let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
        let invalid = |part: &str, reason: String| UsageError(format!("invalid URL: parse {}: {reason}", quoted(part)));
        let path = path_of(url).map_err(|reason| invalid(url, reason))?;
        unescaped(fragment).map_err(|reason| invalid(text, reason))?;
        Ok(Self { text: text.to_owned(), path })
    }
}

fn path_of(url: &str) -> Result<String, String> {
    if url.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let (scheme, rest) = split_scheme(url)?;
    let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
    if !rest.starts_with('/') {
        if !scheme.is_empty() {
            return Ok(String::new()); // Opaque, as in `mailto:somebody`.
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    match rest.strip_prefix("//") {
        Some(rest) if !scheme.is_empty() || !rest.starts_with('/') => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            check_authority(authority)?;
            decoded(path)
        }
        _ => decoded(rest),
    }
}

fn split_scheme(url: &str) -> Result<(&str, &str), String> {
    for (position, byte) in url.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if position > 0 => {}
            b':' if position == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&url[..position], &url[position + 1..])),
            _ => break,
        }
    }
    Ok(("", url))
}

fn check_authority(authority: &str) -> Result<(), String> {
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let port = match (host.starts_with('['), host.rfind(']')) {
        (true, None) => return Err("missing ']' in host".to_owned()),
        (true, Some(bracket)) => &host[bracket + 1..],
        (false, _) => &host[host.rfind(':').unwrap_or(host.len())..],
    };
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
    if !is_port {
        return Err(format!("invalid port {} after host", quoted(port)));
    }
    unescaped(host)?;
    if let Some(bad) = host.chars().find(|c| c.is_ascii() && !is_host_char(*c)) {
        return Err(format!("invalid character {} in host name", quoted(bad.encode_utf8(&mut [0; 4]))));
    }
    let is_user_char = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !user.chars().all(is_user_char) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    unescaped(user).map(|_| ())
}

fn is_host_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(c)
}

fn decoded(path: &str) -> Result<String, String> {
    String::from_utf8(unescaped(path)?).map_err(|_| "path is not UTF-8".to_owned())
}

fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            out.push(*first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).and_then(|pair| str::from_utf8(pair).ok()).filter(|p| !p.starts_with('+'));
        let Some(byte) = digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) else {
            let shown = String::from_utf8_lossy(&rest[..rest.len().min(3)]);
            return Err(format!("invalid URL escape {}", quoted(&shown)));
        };
        out.push(byte);
        rest = &after[2..];
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_path() {
        let check = |url: &str, path: &str| {
            let expected = ExternalUrl { text: url.to_owned(), path: path.to_owned() };
            assert_eq!(ExternalUrl::parse(url), Ok(expected));
        };
        check("", "");
        check("foo", "foo");
        check("/ext", "/ext");
        check("http://h", "");
        check("http://h/", "/");
        check("http://h:9091/ext/?q=/x#/y", "/ext/");
        check("http://u:p@h/a b", "/a b");
        check("http://[::1]:80/%41%2f+", "/A/+");
        check("http:///p", "/p");
        check("//h/p", "/p");
        check("///h/p", "///h/p");
        check("a:b:c", "");
        check("/a:b", "/a:b");
        check("http://é/%C3%A9", "/é");
    }

    #[test]
    fn refuses_what_go_refuses() {
        let check = |url: &str, reason: &str| {
            let expected = format!("invalid URL: parse {}: {reason}", quoted(url));
            assert_eq!(ExternalUrl::parse(url), Err(UsageError(expected)));
        };
        check("%", r#"invalid URL escape "%""#);
        check("http://h/%zz", r#"invalid URL escape "%zz""#);
        check("http://h/%+1", r#"invalid URL escape "%+1""#);
        check("http://h/#%", r#"invalid URL escape "%""#);
        check("http://h%zz/", r#"invalid URL escape "%zz""#);
        check("http://h:x/", r#"invalid port ":x" after host"#);
        check("http://[::1/", "missing ']' in host");
        check("http://[::1]x/", r#"invalid port "x" after host"#);
        check(":foo", "missing protocol scheme");
        check("1http:foo", "first path segment in URL cannot contain colon");
        check("a%41:b", "first path segment in URL cannot contain colon");
        check("http://a b/", r#"invalid character " " in host name"#);
        check("http://a b@h/", "net/url: invalid userinfo");
        check("http://h/\u{1}", "net/url: invalid control character in URL");
        check("/%ff", "path is not UTF-8");
    }
}
