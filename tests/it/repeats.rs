//! Pushes that repeat earlier ones but for their values: a gateway that may recognize them shows what one does that reads
//! each of them, and keeps it.

use std::fmt::Write as _;

use pushgateway::random::Random;

use crate::kept::Home;
use crate::server::Server;
use crate::wire;

/// How many templates of bodies there are, and how many pushes of each.
const TEMPLATES: usize = 120;
const PUSHES: usize = 8;

const VALUES: [&str; 12] =
    ["0", "1", "-1", "-0", "17.5", "1e3", "123456789", "+Inf", "NaN", "0.10", "1e-9", "00000000000000000000000001"];

/// A body with a `@` in the place of each value.
fn template(random: &mut Random) -> String {
    let mut heads = Vec::new();
    let mut samples = Vec::new();
    for name in ["m_a", "m_b", "m_c", "m_h", "push_time_seconds"] {
        let one_of = if name.starts_with("m_h") || name.starts_with("push") { 6 } else { 2 };
        if !random.one_in(one_of) {
            continue;
        }
        if random.one_in(2) {
            heads.push(format!("# HELP {name} {}\n", random.pick(&["some", "other \\n"])));
        }
        if name == "m_h" {
            heads.push(format!("# TYPE {name} histogram\n"));
            samples.push(format!("{name}_bucket{{le=\"1\"}} @\n{name}_sum @\n{name}_count @\n"));
            continue;
        }
        heads.push(format!("# TYPE {name} {}\n", if name == "m_c" { "counter" } else { "gauge" }));
        let count = if random.one_in(8) { 0 } else { 1 + random.below(2) };
        for at in 0..count {
            let labels =
                random.pick(&["", "{x=\"#\"}", "{x=\"#\",job=\"no\"}", "{y=\"#\", x=\"\\\"\" , }", "{zz=\"} #\"}"]);
            samples.push(format!("{name}{} @\n", labels.replace('#', &at.to_string())));
        }
    }
    if random.one_in(3) {
        random.shuffle(&mut samples);
    }
    if random.one_in(3) {
        random.shuffle(&mut heads);
    }
    heads.concat() + &samples.concat()
}

fn filled(template: &str, random: &mut Random) -> String {
    let mut body = String::new();
    for piece in template.split_inclusive('@') {
        match piece.strip_suffix('@') {
            Some(text) => write!(body, "{text}{}", random.pick(&VALUES)).expect("a string takes everything"),
            None => body.push_str(piece),
        }
    }
    body
}

/// What the gateway shows of what was pushed; of the push times only whose they are.
fn shown(server: &Server) -> String {
    let text = server.scrape();
    let lines = text.lines().filter(|line| line.contains("m_") || line.contains("job=\""));
    let shown = lines.map(|line| if line.starts_with("push_") { line.split(' ').next().unwrap_or(line) } else { line });
    shown.collect::<Vec<_>>().join("\n")
}

/// The values that JSON and only JSON tells apart.
fn told(server: &Server) -> usize {
    server.request("GET", "/api/v1/metrics", None).text_lossy().matches("\"value\":\"-0\"").count()
}

#[test]
fn are_as_good_as_bodies_that_are_read() {
    let mut random = Random::for_test(3);
    let home = Home::new("repeats");
    let (mut first, second) = (home.start(&[]), Server::start(&["--push.enable-utf8-names"], ""));
    let mut refused = 0;
    for _ in 0..TEMPLATES {
        let template = template(&mut random);
        let mut group = format!("/metrics/job/j{}", random.below(3));
        for _ in 0..PUSHES {
            if random.one_in(6) {
                group = format!("/metrics/job/j{}{}", random.below(3), random.pick(&["", "/x/1", "/instance/i"]));
            }
            if random.one_in(20) {
                for server in [&first, &second] {
                    assert_eq!(server.request("DELETE", &group, None).status, Some(202));
                }
            }
            let method = if random.one_in(3) { "POST" } else { "PUT" };
            let body = filled(&template, &mut random);
            let status = first.request(method, &group, Some(body.as_bytes())).status;
            // In chunks no body is known to be whole.
            let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            let chunks = if body.is_empty() { "0\r\n\r\n".to_owned() } else { chunks };
            let head = format!(
                "{method} {group} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
                second.addr
            );
            let expected =
                wire::exchange(second.addr, (head + &chunks).as_bytes(), method, false, wire::TIMEOUT).status;
            assert_eq!(status, expected, "{method} {group}\n{body}");
            refused += usize::from(status != Some(200));
            assert_eq!(shown(&first), shown(&second), "{method} {group}\n{body}");
        }
        assert_eq!(told(&first), told(&second), "{template}");
    }
    assert!((10..TEMPLATES * PUSHES / 2).contains(&refused), "{refused}");
    let expected = shown(&first);
    first.kill();
    assert_eq!(shown(&home.start(&[])), expected, "after a restart");
}
