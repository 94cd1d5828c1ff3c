//! Where routes live (SPEC 11.2): the effective prefix, the path of the exposition, and which of them cannot work.
//!
//! Does not know what the routes do; it only knows their paths.

use super::UsageError;

/// GET routes that the exposition must not take, below the prefix. One that ends in a slash takes everything below.
const TAKEN: [&str; 6] = ["/", "/status", "/static/", "/-/healthy", "/-/ready", "/api/v1/"];

/// The one route that a prefix does not move.
const QUIT: &str = "/-/quit";

/// `text` with a slash in front and none at the end; empty for `/`.
pub fn normal(text: &str) -> String {
    match text {
        "" | "/" => String::new(),
        _ => {
            let slash = if text.starts_with('/') { "" } else { "/" };
            format!("{slash}{}", text.strip_suffix('/').unwrap_or(text))
        }
    }
}

/// The prefix of all routes: the flag's if it is not empty, else the path of the external URL.
pub fn effective_route_prefix(flag: &str, external_path: &str) -> String {
    normal(if flag.is_empty() { external_path } else { flag })
}

/// The path of the exposition below a prefix, cleaned: no empty, `.` or `..` segments, no slash at the end.
pub fn metrics_path(prefix: &str, telemetry_path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in prefix.split('/').chain(telemetry_path.split('/')) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Whether the exposition can be served under this prefix at this path.
///
/// # Errors
/// Where the original panics at start: no path, one without leading slash, one that another GET route has, a prefix
/// with a blank.
pub fn check(prefix: &str, telemetry_path: &str) -> Result<(), UsageError> {
    if prefix.contains(' ') {
        return Err(UsageError(format!("route prefix '{prefix}' contains a blank")));
    }
    if !telemetry_path.starts_with('/') {
        return Err(UsageError(format!("telemetry path '{telemetry_path}' does not begin with '/'")));
    }
    let path = metrics_path(prefix, telemetry_path);
    let below = path.strip_prefix(prefix).unwrap_or(&path);
    let is_taken = |route: &&str| match *route {
        "/" => below.is_empty() || below == "/",
        route => below == route || (route.ends_with('/') && below.starts_with(route)),
    };
    if path == QUIT || TAKEN.iter().any(is_taken) {
        return Err(UsageError(format!("telemetry path '{telemetry_path}' is another endpoint's")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let check = |flag: &str, external: &str, expected: &str| {
            assert_eq!(effective_route_prefix(flag, external), expected, "{flag} {external}");
        };
        check("", "", "");
        check("/", "", "");
        check("", "/", "");
        check("", "/ext", "/ext");
        check("", "/ext/", "/ext");
        check("", "ext", "/ext");
        check("/", "/ext", "");
        check("foo", "/ext", "/foo");
        check("foo/", "", "/foo");
        check("/foo/bar/", "", "/foo/bar");
        check("/foo//", "", "/foo/");
    }

    #[test]
    fn metrics_paths() {
        let check = |prefix: &str, path: &str, expected: &str| assert_eq!(metrics_path(prefix, path), expected);
        check("", "/metrics", "/metrics");
        check("", "/m/", "/m");
        check("", "//a/./b/../c", "/a/c");
        check("/p", "/metrics", "/p/metrics");
        check("/p/", "/..", "/");
    }

    #[test]
    fn refused_sets() {
        let check = |prefix: &str, path: &str, expected: Result<(), &str>| {
            let expected = expected.map_err(|message| UsageError(message.to_owned()));
            assert_eq!(super::check(prefix, path), expected, "{prefix} {path}");
        };
        for path in ["/metrics", "/m/", "/a b", "/metrics/job/x", "/static", "/statusx", "/-/", "/api/v1"] {
            check("", path, Ok(()));
            check("/p", path, Ok(()));
        }
        check("/p", "/-/quit", Ok(()));
        check("", "", Err("telemetry path '' does not begin with '/'"));
        check("", "m", Err("telemetry path 'm' does not begin with '/'"));
        check("/a b", "/metrics", Err("route prefix '/a b' contains a blank"));
        for path in ["/", "//", "/status", "/-/healthy", "/-/ready/", "/static/x", "/api/v1/metrics", "/x/../status"] {
            let message = format!("telemetry path '{path}' is another endpoint's");
            check("", path, Err(&message));
            check("/p", path, Err(&message));
        }
        check("", "/-/quit", Err("telemetry path '/-/quit' is another endpoint's"));
        check("/-", "/quit", Err("telemetry path '/quit' is another endpoint's"));
    }
}
