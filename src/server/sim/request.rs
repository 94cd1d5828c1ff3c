//! Requests as clients of a simulation send them: their bytes, and what they ask for.

use std::collections::BTreeMap;

use super::model::{Family, GROUPS, NAMES, Push};
use crate::exposition::wire::write_varint;
use crate::random::Random;

/// What a request asks for.
#[derive(Clone, Debug)]
pub enum Wish {
    /// A push whose body is fine.
    Push(Push),
    /// A push whose body cannot be read.
    BadPush,
    /// The deletion of one of the groups.
    Delete(usize),
    /// The deletion of all.
    Wipe,
    /// The exposition as text.
    Scrape,
    /// The exposition in messages.
    Messages,
    /// Whether changes are taken.
    Ready,
    /// Something in JSON that is there once everything is loaded.
    Query,
    /// Something that always has this status.
    Other(u16),
    /// The end of the gateway.
    Quit,
    /// No request.
    Garbage,
}

/// A request.
#[derive(Clone)]
pub struct Request {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Where its head ends.
    pub head_bytes: usize,
    /// What it asks for.
    pub wish: Wish,
    /// The answer has no body.
    pub is_head: bool,
    /// Its password is wrong.
    pub is_denied: bool,
    /// It says that it is the last one.
    pub is_last: bool,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = self.bytes[..self.head_bytes].escape_ascii();
        write!(f, "{head} and {} more bytes, {:?}", self.bytes.len() - self.head_bytes, self.wish)
    }
}

/// What is the same for all requests of a run.
#[derive(Clone, Copy, Debug)]
pub struct Customs {
    /// Passwords are asked for.
    pub has_users: bool,
    /// Bodies may be long.
    pub is_long: bool,
    /// Some may end the gateway.
    pub has_quits: bool,
    /// Passwords are right, and nobody asks first whether a body is wanted.
    pub is_plain: bool,
    /// Half of the requests ask for everything.
    pub is_greedy: bool,
}

/// What everybody calls `user`.
pub const PASSWORD: &str = "secret";

const RIGHT: &str = "Authorization: Basic dXNlcjpzZWNyZXQ=\r\n";
const WRONG: &str = "Authorization: Basic dXNlcjp3cm9uZw==\r\n";

impl Request {
    /// Some request. `clock` numbers samples, so that no two pushes are the same.
    pub fn random(customs: Customs, is_last: bool, clock: &mut u64, random: &mut Random) -> Self {
        let is_greedy = customs.is_greedy && random.one_in(2);
        let kind = if is_greedy { [70, 81, 90][random.index(3)] } else { random.below(100) };
        let (wish, method, path) = match kind {
            0..45 => {
                let push = push(customs, clock, random);
                let (method, path) = (if push.is_replace { "PUT" } else { "POST" }, group_path(push.group));
                (Wish::Push(push), method, path)
            }
            45..49 => (Wish::BadPush, "POST", group_path(random.index(GROUPS.len()))),
            49..60 => {
                let group = random.index(GROUPS.len());
                (Wish::Delete(group), "DELETE", group_path(group))
            }
            60..62 => (Wish::Wipe, "PUT", "/api/v1/admin/wipe".to_owned()),
            62..80 => (Wish::Scrape, "GET", "/metrics".to_owned()),
            80..82 => (Wish::Other(405), "HEAD", "/metrics".to_owned()),
            82..85 => (Wish::Messages, "GET", "/metrics".to_owned()),
            85..89 => (Wish::Ready, "GET", "/-/ready".to_owned()),
            89..93 => (Wish::Query, "GET", random.pick(&["/api/v1/metrics", "/api/v1/groups"]).to_owned()),
            93 if customs.has_quits && random.one_in(4) => (Wish::Quit, "POST", "/-/quit".to_owned()),
            _ => {
                let (status, path) =
                    [(200, "/-/healthy"), (200, "/"), (404, "/nothing"), (200, "/api/v1/status")][random.index(4)];
                (Wish::Other(status), "GET", path.to_owned())
            }
        };
        build(customs, wish, method, &path, is_last, random)
    }

    /// This request.
    pub fn of(text: &str, wish: Wish) -> Self {
        let bytes = text.as_bytes().to_vec();
        Self { head_bytes: bytes.len(), bytes, wish, is_head: false, is_denied: false, is_last: false }
    }

    /// A push with a body that one read does not take, and a mistake at its end.
    pub fn heavy(customs: Customs) -> Self {
        let body = "m_a{id=\"1\"} 1\n".repeat(7000) + "m_a{ = \n";
        let credentials = if customs.has_users { RIGHT } else { "" };
        let head =
            format!("POST /metrics/job/a HTTP/1.1\r\nHost: h\r\n{credentials}Content-Length: {}\r\n\r\n", body.len());
        let head_bytes = head.len();
        Self { head_bytes, ..Self::of(&(head + &body), Wish::BadPush) }
    }

    /// Something small that is asked for again and again.
    pub fn trifle(customs: Customs, random: &mut Random) -> Self {
        build(Customs { is_plain: true, ..customs }, Wish::Other(200), "GET", "/-/healthy", false, random)
    }

    /// The scrape that ends a run.
    pub fn scrape(customs: Customs, random: &mut Random) -> Self {
        build(customs, Wish::Scrape, "GET", "/metrics", false, random)
    }

    /// A push that has to succeed.
    pub fn proof(customs: Customs, clock: &mut u64, random: &mut Random) -> Self {
        *clock += 1;
        let push = Push { group: 5, is_replace: true, has_timestamp: false, families: BTreeMap::new() };
        build(customs, Wish::Push(push), "PUT", &group_path(5), false, random)
    }

    /// No request at all.
    pub fn garbage(random: &mut Random) -> Self {
        let mut bytes = match random.below(7) {
            0 => b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            1 => b"GET /metrics HTTP/3.0\r\nHost: h\r\n\r\n".to_vec(),
            2 => b"POST /metrics/job/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_vec(),
            3 => b"GET / HTTP/1.1\r\nbad header\r\n\r\n".to_vec(),
            4 => b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n".to_vec(),
            5 => b"PUT /metrics/job/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n".to_vec(),
            _ => (0..20 + random.index(200)).map(|_| random.bits() as u8).chain(*b"\r\n\r\n").collect(),
        };
        let head_bytes = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
        // Who talks such nonsense does not stop.
        bytes.resize(bytes.len() + random.index(2000), b'x');
        Self { bytes, head_bytes, wish: Wish::Garbage, is_head: false, is_denied: false, is_last: false }
    }
}

fn group_path(group: usize) -> String {
    GROUPS[group].iter().fold("/metrics".to_owned(), |path, (name, value)| format!("{path}/{name}/{value}"))
}

fn push(customs: Customs, clock: &mut u64, random: &mut Random) -> Push {
    let group = random.index(GROUPS.len());
    let mut families = BTreeMap::new();
    for name in NAMES {
        if random.one_in(2) {
            continue;
        }
        let kind = match random.below(24) {
            0 => "counter",
            1 => "untyped",
            _ => "gauge",
        };
        let count = match random.below(64) {
            0 if customs.is_long => 2000 + random.below(3000),
            1..8 if customs.is_long => 20 + random.below(1200),
            _ => 1 + random.below(3),
        };
        let samples = (0..count).map(|id| {
            *clock += 1;
            (id, *clock)
        });
        families.insert(name, Family { kind, samples: samples.collect() });
    }
    Push { group, is_replace: random.one_in(2), has_timestamp: random.one_in(20), families }
}

fn build(customs: Customs, wish: Wish, method: &str, path: &str, is_last: bool, random: &mut Random) -> Request {
    let is_denied = customs.has_users && !customs.is_plain && random.one_in(10);
    let is_old = is_last && random.one_in(3);
    let mut head = format!("{method} {path} HTTP/1.{}\r\nHost: h\r\n", if is_old { 0 } else { 1 });
    if customs.has_users {
        head += if is_denied { WRONG } else { RIGHT };
    }
    if is_last && !is_old {
        head += "Connection: close\r\n";
    }
    let mut body = Vec::new();
    match &wish {
        Wish::Push(push) => body = encoded(push, &mut head, random),
        Wish::BadPush => body = broken(&mut head, random),
        Wish::Scrape if random.one_in(2) => head += "Accept-Encoding: gzip\r\n",
        Wish::Messages => {
            head += "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n";
        }
        _ => {}
    }
    if matches!(wish, Wish::Push(_) | Wish::BadPush) {
        if !is_old && !customs.is_plain && random.one_in(8) {
            head += "Expect: 100-continue\r\n";
        }
        if !is_old && random.one_in(3) {
            head += "Transfer-Encoding: chunked\r\n";
            body = chunked(&body, random);
        } else {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
    }
    head += "\r\n";
    let head_bytes = head.len();
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&body);
    Request { bytes, head_bytes, wish, is_head: method == "HEAD", is_denied, is_last }
}

/// The body of a push, in one of the formats and codings, which the head names.
fn encoded(push: &Push, head: &mut String, random: &mut Random) -> Vec<u8> {
    let body = if random.one_in(3) {
        *head += "Content-Type: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited\r\n";
        messages(push)
    } else {
        text(push).into_bytes()
    };
    match random.below(5) {
        0 => {
            *head += "Content-Encoding: gzip\r\n";
            gzip(&body)
        }
        1 => {
            *head += "Content-Encoding: snappy\r\n";
            snappy(&body)
        }
        _ => body,
    }
}

fn broken(head: &mut String, random: &mut Random) -> Vec<u8> {
    let lines = "m_a{id=\"1\"} 1\n".repeat(random.index(200));
    let text = format!("{lines}m_a{{ = \n{lines}").into_bytes();
    match random.below(3) {
        0 => {
            *head += "Content-Encoding: gzip\r\n";
            let mut body = gzip(&text);
            let at = body.len() - 5;
            body[at] ^= 1;
            body
        }
        _ => text,
    }
}

fn text(push: &Push) -> String {
    let mut text = String::new();
    for (name, family) in &push.families {
        text += &format!("# TYPE {name} {}\n", family.kind);
        for (id, value) in &family.samples {
            text += &format!("{name}{{id=\"{id}\"}} {value}{}\n", if push.has_timestamp { " 7" } else { "" });
        }
    }
    text
}

fn messages(push: &Push) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8], out: &mut Vec<u8>| {
        out.push(number << 3 | 2);
        write_varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    };
    let mut out = Vec::new();
    for (name, family) in &push.families {
        let mut message = Vec::new();
        field(1, name.as_bytes(), &mut message);
        // A type and the field of a metric with that type.
        let (kind, value_field) = match family.kind {
            "counter" => (0, 3),
            "gauge" => (1, 2),
            _ => (3, 5),
        };
        message.extend_from_slice(&[3 << 3, kind]);
        for (id, value) in &family.samples {
            let (mut label, mut number, mut metric) = (Vec::new(), vec![1 << 3 | 1], Vec::new());
            field(1, b"id", &mut label);
            field(2, id.to_string().as_bytes(), &mut label);
            number.extend_from_slice(&(*value as f64).to_le_bytes());
            field(1, &label, &mut metric);
            field(value_field, &number, &mut metric);
            if push.has_timestamp {
                metric.extend_from_slice(&[6 << 3, 7]);
            }
            field(4, &metric, &mut message);
        }
        write_varint(&mut out, message.len() as u64);
        out.extend_from_slice(&message);
    }
    out
}

/// Stored blocks: compressing takes long and is not what a simulation is about.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for block in body.chunks(40_000) {
        let len = block.len() as u16;
        out.push(0);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&[1, 0, 0, 255, 255]);
    let mut checksum = flate2::Crc::new();
    checksum.update(body);
    out.extend_from_slice(&checksum.sum().to_le_bytes());
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out
}

pub(super) fn snappy(body: &[u8]) -> Vec<u8> {
    let mut out = b"\xff\x06\0\0sNaPpY".to_vec();
    for block in body.chunks(60_000) {
        let checksum = crc32c::crc32c(block).rotate_right(15).wrapping_add(0xa282_ead8);
        out.push(1);
        out.extend_from_slice(&(block.len() as u32 + 4).to_le_bytes()[..3]);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(block);
    }
    out
}

pub(super) fn chunked(body: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, more) = rest.split_at(1 + random.index(rest.len().min(5000)));
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = more;
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}
