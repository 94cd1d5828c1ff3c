//! Long texts in any place and order: what is stored stays what was pushed.

use super::{put, put_well};
use crate::server::Server;
use crate::wire;

/// Lengths around a half page, a page, and what 16 bits count.
const LENGTHS: [usize; 8] = [10, 16_000, 17_000, 33_000, 65_000, 66_000, 140_000, 1_000_000];

fn family(name: &str, help: usize) -> String {
    format!("# HELP {name} {}\n# TYPE {name} gauge\n{name} 1\n", "h".repeat(help))
}

/// A family as the text of its group shows it.
fn shown(name: &str, help: usize) -> String {
    family(name, help).replace(&format!("\n{name} 1\n"), &format!("\n{name}{{instance=\"\",job=\"a\"}} 1\n"))
}

/// The group's text, scrape and JSON show exactly these families.
fn check(gateway: &mut Server, what: &str, families: &[(&str, usize)]) {
    let get = |path: &str| wire::request_with(gateway.addr, "GET", path, "Accept: text/plain\r\n", None);
    let (text, scrape) = (get("/api/v1/groups/job/a"), get("/metrics").text_lossy());
    assert_eq!(text.status, Some(200), "{what}: {}", gateway.log());
    let text = text.text_lossy();
    for (name, help) in families {
        let shown = shown(name, *help);
        assert!(text.contains(&shown), "{what}: the text of the group lacks {name}, {help}");
        assert!(scrape.contains(&shown), "{what}: the scrape lacks {name}, {help}");
    }
    assert_eq!(text.matches("\n# TYPE ").count(), families.len() + 2, "{what}");
    let json = gateway.request("GET", "/api/v1/groups/job/a", None);
    assert_eq!(json.status, Some(200), "{what}: {}", gateway.log());
    let json: serde_json::Value = serde_json::from_slice(&json.body).expect("it is JSON");
    for (name, help) in families {
        let family = &json["data"]["group"][*name];
        assert_eq!(family["help"].as_str().map(str::len), Some(*help), "{what}: {name}");
        assert_eq!(family["metrics"][0]["value"], "1", "{what}: {name}");
    }
    assert!(!gateway.has_ended(), "{what}: {}", gateway.log());
}

#[test]
fn help_texts_of_any_length_stand_beside_others() {
    let mut gateway = Server::start(&["--limit.label-value-bytes=2000000"], "");
    for help in LENGTHS {
        let mut families = [("a", help), ("b", 10), ("c", help), ("d", help)];
        let bodies: Vec<_> = families.iter().map(|(name, help)| family(name, *help)).collect();
        // All at once; then one by one, from the first and from the last.
        put_well(&gateway, "/metrics/job/a", bodies.concat());
        check(&mut gateway, &format!("{help} at once"), &families);
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
            assert_eq!(gateway.request("DELETE", "/metrics/job/a", None).status, Some(202));
            for at in order {
                let response = gateway.request("POST", "/metrics/job/a", Some(bodies[at].as_bytes()));
                assert_eq!(response.status, Some(200), "{help}, {order:?}: {}", response.text_lossy());
            }
            check(&mut gateway, &format!("{help}, {order:?}"), &families);
        }
        // Longer and shorter where it stands.
        for (at, longer) in [(0, help + 70_000), (1, help + 70_000), (0, 5), (2, 5)] {
            families[at].1 = longer;
            let body = family(families[at].0, longer);
            assert_eq!(gateway.request("POST", "/metrics/job/a", Some(body.as_bytes())).status, Some(200));
            check(&mut gateway, &format!("{help}, then {longer} of {}", families[at].0), &families);
        }
    }
    assert_eq!(gateway.request("DELETE", "/metrics/job/a", None).status, Some(202));
    assert!(!gateway.scrape().contains("hhhhh"), "nothing is left");
    assert_eq!(put(&gateway, "/metrics/job/a", "m 1\n").status, Some(200));
}
