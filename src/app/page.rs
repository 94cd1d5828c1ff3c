//! The web page and its assets (SPEC 9). The page fills itself from the JSON API; nothing of the store is in it.

use super::route::write_html;

const INDEX: &str = include_str!("page/index.html");

/// The page. `link_prefix` is the path of the external URL as in SPEC 11.2, without a trailing slash; the assets are
/// linked below it, or relative to the page if it is empty.
pub fn index(link_prefix: &str) -> Vec<u8> {
    let mut escaped = String::new();
    write_html(&mut escaped, if link_prefix.is_empty() { "." } else { link_prefix });
    INDEX.replace("{{link_prefix}}", &escaped).into_bytes()
}

/// Content type and bytes of the asset at `/static/<file>`; `None` means 404.
pub fn asset(file: &str) -> Option<(&'static str, &'static [u8])> {
    match file {
        "functions.js" => Some(("application/javascript", include_bytes!("page/functions.js"))),
        "style.css" => Some(("text/css; charset=utf-8", include_bytes!("page/style.css"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_below_the_prefix() {
        let check = |prefix: &str, expected: &str| {
            let page = String::from_utf8(index(prefix)).unwrap();
            assert!(page.contains(expected), "{prefix}");
            assert!(!page.contains("{{"), "{prefix}");
        };
        check("", "\"./static/functions.js\"");
        check("/pre", "\"/pre/static/style.css\"");
        check("/\"><script>", "\"/&#34;&gt;&lt;script&gt;/static/");
        check("", "<title>Prometheus Pushgateway</title>");
        check("", "content=\"noindex,nofollow\"");
    }

    #[test]
    fn every_linked_asset_exists_and_nothing_else() {
        let page = String::from_utf8(index("")).unwrap();
        let linked: Vec<&str> = page.split("./static/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(linked, ["style.css", "functions.js"]);
        assert!(linked.iter().all(|file| asset(file).is_some()));
        for file in ["", "nope.js", "../index.html", "index.html", "functions.js/", "FUNCTIONS.JS"] {
            assert_eq!(asset(file), None, "{file}");
        }
    }

    #[test]
    fn nothing_pushed_becomes_markup() {
        let (_, script) = asset("functions.js").unwrap();
        let script = str::from_utf8(script).unwrap();
        for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!script.contains(sink), "{sink}");
        }
    }
}
