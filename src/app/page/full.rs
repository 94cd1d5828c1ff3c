//! The page of a usual build: the files in `assets`, which `build.rs` has compressed.

use super::Asset;
use crate::app::route::write_html;

/// What the page has in the place of the address that its assets are below.
const PLACEHOLDER: &str = "{{static}}";

const INDEX: &str = include_str!("assets/index.html");

/// A packed file.
struct File {
    name: &'static str,
    tag: &'static str,
    packed: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The page. Modules import each other by relative addresses, so the hash of all of them stands in their folder.
pub(super) fn html(link_prefix: &str) -> Vec<u8> {
    let mut address = String::new();
    write_html(&mut address, if link_prefix.is_empty() { "." } else { link_prefix });
    address.push_str("/static/");
    address.push_str(VERSION);
    INDEX.replace(PLACEHOLDER, &address).into_bytes()
}

/// The asset at `/static/<path>`; `None` means 404.
pub(super) fn asset(path: &str) -> Option<Asset> {
    let (name, is_lasting) = match path.split_once('/') {
        Some((VERSION, name)) => (name, true),
        _ => (path, false),
    };
    let file = FILES.iter().find(|file| file.name == name)?;
    Some(Asset { content_type: content_type(name), tag: file.tag, packed: file.packed, is_lasting })
}

/// The types are the original's (SPEC 9).
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "js")) => "application/javascript",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Page, unpacked};
    use super::*;

    /// Everything that a first visit loads, compressed, bytes.
    const WEIGHT_MAX: usize = 60 << 10;

    fn index(link_prefix: &str) -> String {
        String::from_utf8(html(link_prefix)).unwrap()
    }

    fn text(name: &str) -> String {
        String::from_utf8(unpacked(asset(name).unwrap().packed)).unwrap()
    }

    fn names(extension: &str) -> Vec<&'static str> {
        FILES.iter().map(|file| file.name).filter(|name| name.ends_with(extension)).collect()
    }

    #[test]
    fn links_are_below_the_prefix() {
        let check = |prefix: &str, expected: &str| {
            let page = index(prefix);
            assert!(page.contains(expected), "{prefix}");
            assert!(!page.contains("{{"), "{prefix}");
        };
        check("", &format!("\"./static/{VERSION}/functions.js\""));
        check("/pre", &format!("\"/pre/static/{VERSION}/style.css\""));
        check("/\"><script>", "\"/&#34;&gt;&lt;script&gt;/static/");
        check("", "<title>Prometheus Pushgateway</title>");
        check("", "content=\"noindex,nofollow\"");
    }

    #[test]
    fn every_linked_asset_exists_and_nothing_else() {
        let page = index("");
        let address = format!("./static/{VERSION}/");
        let linked: Vec<&str> = page.split(&address).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        for name in &linked {
            assert!(asset(&format!("{VERSION}/{name}")).is_some_and(|asset| asset.is_lasting), "{name}");
            assert!(asset(name).is_some_and(|asset| !asset.is_lasting), "{name}");
        }
        for File { name, .. } in FILES {
            assert!(linked.contains(name), "{name} is loaded late, or never");
        }
        assert_eq!(page.matches("./static/").count(), linked.len());
        let page_by_hash = format!("{VERSION}/index.html");
        for file in ["", "nope.js", "../index.html", "index.html", &page_by_hash, "functions.js/", "FUNCTIONS.JS"] {
            assert_eq!(asset(file), None, "{file}");
        }
        assert_eq!(asset("0000000000000000/functions.js"), None);
        assert_eq!(asset(&format!("{VERSION}/{VERSION}/functions.js")), None);
    }

    #[test]
    fn modules_import_each_other_only() {
        for name in names(".js") {
            let text = text(name);
            for import in text.lines().filter(|line| line.starts_with("import ") || line.starts_with("} from ")) {
                let Some((_, from)) = import.split_once(" from \"./") else {
                    assert!(import.starts_with("import {") && !import.contains(';'), "{name}: {import}");
                    continue;
                };
                assert!(asset(from.trim_end_matches("\";")).is_some(), "{name}: {import}");
            }
        }
    }

    #[test]
    fn the_page_is_light() {
        let weight = FILES.iter().map(|file| file.packed.len()).sum::<usize>() + Page::new("").packed.len();
        assert!(weight <= WEIGHT_MAX, "{weight} bytes");
    }

    #[test]
    fn nothing_pushed_becomes_markup() {
        for name in names(".js") {
            for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("] {
                assert!(!text(name).contains(sink), "{name}: {sink}");
            }
        }
    }

    #[test]
    fn nothing_needs_what_the_policy_forbids() {
        let page = index("");
        assert_eq!(
            page.matches("<script").count(),
            page.matches("<script src=").count() + page.matches("<script type=\"module\" src=").count()
        );
        for forbidden in [" style=", " onclick=", "<style", "javascript:", "http://", "https://fonts"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        for name in names(".css") {
            assert!(!text(name).contains("url("), "{name}");
        }
        for name in names(".js") {
            assert!(!text(name).contains("\"style\","), "{name} sets a style attribute");
        }
    }
}
