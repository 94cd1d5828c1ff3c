//! Readers that stop reading: what they get is what was stored when they asked, whatever becomes of it meanwhile, and
//! what all of them hold is bounded.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use super::{Honest, get_head, memory, peak_growth, proto, put_well, reading, stalled};
use crate::server::Server;
use crate::wire;

/// With labels as long as they are, answers are longer than what a socket takes, so that a reader can stop within them.
const SERIES: usize = 3000;

const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=";

/// What readers ask for: a name, a path, header lines.
pub(super) fn questions() -> Vec<(&'static str, String)> {
    let scrape = |encoding: &str, more: &str| get_head("/metrics", &format!("Accept: {PROTOBUF}{encoding}\r\n{more}"));
    vec![
        ("JSON of the group", get_head("/api/v1/groups/job/a", "")),
        ("text of the group", get_head("/api/v1/groups/job/a", "Accept: text/plain\r\n")),
        ("JSON of all", get_head("/api/v1/metrics", "")),
        ("text", get_head("/metrics", "")),
        ("protobuf", scrape("delimited", "")),
        ("protobuf, gzip", scrape("delimited", "Accept-Encoding: gzip\r\n")),
        ("protobuf as text", scrape("text", "")),
        ("protobuf as compact text", scrape("compact-text", "")),
    ]
}

/// Label values that are long, so that few series are a long answer.
fn label(at: usize) -> String {
    format!("{at:06}{}", "l".repeat(1700))
}

fn lines(head: &str, series: impl Fn(&str) -> String) -> Vec<u8> {
    let mut body = head.to_owned();
    (0..SERIES).for_each(|at| body.push_str(&series(&label(at))));
    body.into_bytes()
}

/// A push that makes something else of the family `f`: what it is called, its header lines and its body.
type Swap = (&'static str, String, Vec<u8>);

fn text_swap(name: &'static str, head: &str, series: impl Fn(&str) -> String) -> Swap {
    (name, String::new(), lines(head, series))
}

fn protobuf_swap(name: &'static str, kind: u64, field: u32, value: &[u8]) -> Swap {
    let metrics = (0..SERIES).map(|at| proto::metric(("i", &label(at)), field, value));
    (name, proto::header(), proto::family("f", kind, metrics))
}

/// Families of all kinds, with the same labels, and with what text does not show.
fn swaps() -> Vec<Swap> {
    // A count beyond what a double shows, a time of creation, and a field that nobody knows.
    let odd = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x22\x00\x4a\x01\xff";
    vec![
        text_swap("histogram", "# TYPE f histogram\n", |i| format!("f_sum{{i=\"{i}\"}} 1\nf_count{{i=\"{i}\"}} 1\n")),
        protobuf_swap("odd summary", proto::SUMMARY, 4, odd),
        protobuf_swap("native histogram", proto::HISTOGRAM, 7, &proto::native(3)),
        text_swap("gauge", "# TYPE f gauge\n", |i| format!("f{{i=\"{i}\"}} 1\n")),
        protobuf_swap("odd histogram", proto::HISTOGRAM, 7, b"\x08\x07\x7a\x00\x9a\x06\x01\xff"),
        text_swap("summary", "# TYPE f summary\n", |i| format!("f_sum{{i=\"{i}\"}} 2\nf_count{{i=\"{i}\"}} 2\n")),
    ]
}

fn push(gateway: &Server, (name, headers, body): &Swap) {
    let response = wire::request_with(gateway.addr, "PUT", "/metrics/job/a", headers, Some(body));
    assert_eq!(response.status, Some(200), "{name}: {:.300}", response.text_lossy());
}

/// What an answer says of the family `f`: everything but what the gateway says of itself, which changes all the time.
fn about_f(name: &str, answer: &[u8]) -> Vec<u8> {
    let response = wire::parse(answer.to_vec(), false, "GET");
    assert_eq!(response.status, Some(200), "{name}");
    let body = response.text();
    let between = |begin: &[u8], end: &[u8]| {
        let begin = memchr::memmem::find(&body, begin).unwrap_or_else(|| panic!("{name}: the family is not there"));
        let length = memchr::memmem::find(&body[begin..], end).unwrap_or(body.len() - begin);
        body[begin..begin + length].to_vec()
    };
    match name {
        "protobuf" | "protobuf, gzip" => message_of_f(name, &body),
        "text" => between(b"# TYPE f ", b"# HELP "),
        "protobuf as text" => between(b"name: \"f\"\n", b"\n\n"),
        "protobuf as compact text" => between(b"name:\"f\" ", b"\n"),
        _ => body,
    }
}

fn message_of_f(name: &str, body: &[u8]) -> Vec<u8> {
    let mut rest = body;
    while let Some((length, behind)) = pushgateway::exposition::wire::varint(rest) {
        let (message, after) = behind.split_at_checked(length as usize).unwrap_or_else(|| panic!("{name}: cut short"));
        if message.starts_with(b"\x0a\x01f") {
            return message.to_vec();
        }
        rest = after;
    }
    panic!("{name}: the family is not there");
}

/// Whether an answer came to its end.
fn is_whole(answer: &[u8]) -> bool {
    let head = memchr::memmem::find(answer, b"\r\n\r\n").map_or(0, |at| at + 4);
    let length = String::from_utf8_lossy(&answer[..head]).lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length: ").and_then(|length| length.parse::<usize>().ok())
    });
    length.map_or(answer.ends_with(b"0\r\n\r\n"), |length| answer.len() == head + length)
}

/// Reads an answer to its end, however the connection goes on.
fn read_whole(name: &str, stream: &mut TcpStream) -> Vec<u8> {
    let (mut answer, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout above zero can be set");
    while !is_whole(&answer) {
        match stream.read(&mut buffer) {
            Ok(read) if read > 0 => answer.extend_from_slice(&buffer[..read]),
            outcome => panic!("{name}: {outcome:?} after {} bytes", answer.len()),
        }
    }
    answer
}

fn answers(gateway: &Server, what: &str) -> Vec<Vec<u8>> {
    let ask = |question: String| stalled(gateway, question);
    let answer = |(name, question)| about_f(name, &read_whole(&format!("{what}, {name}"), &mut ask(question)));
    questions().into_iter().map(answer).collect()
}

/// Stores `before`, lets a reader of each kind stop within its answer, changes the store, and lets them go on.
fn check_swap(gateway: &mut Server, what: &str, before: &Swap, change: impl FnOnce(&Server)) {
    push(gateway, before);
    let expected = answers(gateway, what);
    let mut readers: Vec<_> = questions().iter().map(|(_, question)| reading(gateway, question)).collect();
    // Until the sockets are full.
    std::thread::sleep(Duration::from_millis(300));
    change(gateway);
    for (((name, _), stream), expected) in questions().iter().zip(&mut readers).zip(expected) {
        let found = about_f(name, &read_whole(&format!("{what}, {name}"), stream));
        let same = found.iter().zip(&expected).take_while(|(found, expected)| found == expected).count();
        let from = |answer: &[u8]| String::from_utf8_lossy(&answer[same..answer.len().min(same + 100)]).into_owned();
        assert!(found == expected, "{what}, {name}: {:?} for {:?} at {same}", from(&found), from(&expected));
    }
    assert!(!gateway.has_ended(), "{what}: {}", gateway.log());
}

#[test]
fn an_answer_is_what_was_stored_when_it_was_asked_for() {
    let mut gateway = Server::start(&[], "");
    let swaps = swaps();
    for (before, after) in swaps.iter().zip(swaps.iter().cycle().skip(1)) {
        check_swap(&mut gateway, &format!("{} becomes {}", before.0, after.0), before, |gateway| push(gateway, after));
    }
}

#[test]
fn an_answer_goes_on_when_its_group_is_gone() {
    let mut gateway = Server::start(&["--web.enable-admin-api"], "");
    let gone: [(&str, &str); 2] = [("DELETE", "/metrics/job/a"), ("PUT", "/api/v1/admin/wipe")];
    for (swap, (method, path)) in swaps()[1..].iter().zip(gone) {
        check_swap(&mut gateway, &format!("{}, {method} {path}", swap.0), swap, |gateway| {
            assert_eq!(gateway.request(method, path, None).status, Some(202), "{method} {path}");
        });
    }
}

/// Many readers of each kind who read all the while: each gets the whole answer, honest clients are served meanwhile,
/// and what is made ahead for the readers is little.
#[test]
fn a_crowd_of_readers_is_served_and_holds_little() {
    const READERS: usize = 50;
    let gateway = Server::start(&[], "");
    let body: String = (0..6000).map(|at| format!("m{{i=\"{at}\",zone=\"eu-central-1\"}} {at}\n")).collect();
    put_well(&gateway, "/metrics/job/a", body);
    let expensive = ["JSON of the group", "protobuf, gzip", "protobuf as text"];
    for (name, question) in questions().into_iter().filter(|(name, _)| expensive.contains(name)) {
        let (before, honest) = (memory(&gateway, "VmRSS"), Honest::start(&gateway));
        let mut readers: Vec<_> = (0..READERS).map(|_| stalled(&gateway, &question)).collect();
        for stream in &mut readers {
            let answer = read_whole(name, stream);
            assert_eq!(wire::parse(answer, false, "GET").status, Some(200), "{name}");
        }
        honest.end();
        let grown = peak_growth(&gateway, before);
        assert!(grown < (READERS as u64) << 20, "{name}: {READERS} readers let memory grow by {grown} bytes");
    }
}

/// Lets readers of these kinds stop, so many in a turn, and replaces everything after each turn. What they hold is no
/// more than twice the store, as the flag is lower, and beside it what each is about to send.
fn check_held(kinds: &[&str], (turns, each): (usize, usize), replace: impl Fn(&Server, usize)) {
    const ANSWERED: u64 = 2_000_000;
    let gateway = Server::start(&[&format!("--limit.answered-bytes={ANSWERED}")], "");
    let empty = memory(&gateway, "VmRSS");
    replace(&gateway, 0);
    replace(&gateway, 1);
    let (before, mut readers) = (memory(&gateway, "VmRSS"), Vec::new());
    for turn in 2..turns + 2 {
        for (_, question) in questions().into_iter().filter(|(name, _)| kinds.contains(name)) {
            readers.extend((0..each).map(|_| reading(&gateway, &question)));
        }
        replace(&gateway, turn);
    }
    let (grown, stored) = (peak_growth(&gateway, before), before - empty);
    let most = 2 * stored.max(ANSWERED) + ((readers.len() as u64) << 17) + (16 << 20);
    println!("{} readers of {stored} bytes let memory grow by {grown} bytes", readers.len());
    assert!(grown < most, "{} readers of {stored} bytes let memory grow by {grown} bytes", readers.len());
    drop(readers);
    put_well(&gateway, "/metrics/job/last", "m 1\n");
}

#[test]
fn readers_hold_a_bounded_amount_of_text() {
    check_held(&["JSON of the group", "protobuf"], (20, 1), |gateway, turn| {
        let text: String = (0..SERIES).map(|at| format!("m{{i=\"{}\"}} {turn}\n", label(at))).collect();
        put_well(gateway, "/metrics/job/a", text);
    });
}

#[test]
fn readers_hold_a_bounded_amount_of_help() {
    check_held(&["JSON of the group", "JSON of all"], (20, 1), |gateway, turn| {
        let help = format!("{turn:02}").repeat(50_000);
        let text: String = (0..60).map(|at| format!("# HELP h{at} {help}\n# TYPE h{at} gauge\nh{at} 1\n")).collect();
        put_well(gateway, "/metrics/job/a", text);
    });
}

#[test]
fn readers_hold_a_bounded_amount_of_what_text_does_not_show() {
    check_held(&["JSON of the group", "protobuf"], (14, 1), |gateway, turn| {
        let metrics = (0..100).map(|at| proto::metric(("i", &label(at)), 7, &proto::native(20_000 + turn)));
        let body = proto::family("n", proto::HISTOGRAM, metrics);
        let response = wire::request_with(gateway.addr, "PUT", "/metrics/job/a", &proto::header(), Some(&body));
        assert_eq!(response.status, Some(200), "{:.300}", response.text_lossy());
    });
}

/// What a reader of a group knows of its families is little, or counted.
#[test]
fn readers_of_many_families_hold_a_bounded_amount() {
    check_held(&["JSON of the group"], (1, 40), |gateway, turn| {
        let help = "h".repeat(200);
        let text: String =
            (0..20_000).map(|at| format!("# HELP f{at} {help}\n# TYPE f{at} gauge\nf{at} 1\n")).collect();
        // Nothing is replaced after the first time: it is the readers alone who need memory.
        if turn == 0 {
            put_well(gateway, "/metrics/job/a", text);
        }
    });
}
