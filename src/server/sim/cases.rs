//! Runs written by hand: what simulated runs have found, each as short as it gets.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use super::World;
use super::model::{Family, Push};
use super::request::{Request, Wish, chunked, snappy};
use crate::limits::{
    CODED_PIECE_BYTES, DECODED_BYTES_PER_TURN_MAX, READ_BYTES, REQUESTS_PER_TURN_MAX, SHORT_PUSH_SERIES_MAX,
};
use crate::random::Random;

const HEALTHY: &str = "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n";

/// Somebody who asks for this so often.
fn visitor(world: &mut World, count: usize) -> usize {
    world.connect(vec![Request::of(HEALTHY, Wish::Other(200)); count])
}

/// Accepting has failed while nobody was connected: the connection that waits is looked at again all the same.
#[test]
fn a_connection_that_could_not_be_accepted_is_not_forgotten() {
    let mut world = World::quiet();
    world.network().fail_accepts(1);
    let client = visitor(&mut world, 1);
    world.send(client, usize::MAX);
    assert_eq!(world.answers(client), 0);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.answers(client), 1);
}

/// The time for a head counts from its first byte, whatever came in the same packet in front of that.
#[test]
fn each_head_has_its_own_time() {
    let mut world = World::quiet();
    let client = visitor(&mut world, 2);
    world.send(client, 10);
    world.pass(Duration::from_secs(55));
    world.send(client, HEALTHY.len());
    world.pass(Duration::from_secs(55));
    assert_eq!(world.answers(client), 1);
    world.send(client, usize::MAX);
    assert_eq!(world.answers(client), 2);
    // Half a head alone has to end nevertheless.
    let client = visitor(&mut world, 1);
    world.send(client, 10);
    world.pass(Duration::from_secs(55));
    world.send(client, 2);
    // It is told so, and has some seconds to read that.
    world.pass(Duration::from_secs(7 + 6));
    assert!(world.is_closed(client));
}

/// A head that took its time is no reason to give up on an answer that waits for the disk.
#[test]
fn nobody_is_late_whose_change_is_being_written() {
    let mut world = World::quiet_with_disk();
    let head = "PUT /metrics/job/a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    let push = Push { group: 0, is_replace: true, has_timestamp: false, families: BTreeMap::new() };
    let client = world.connect(vec![Request::of(head, Wish::Push(push))]);
    world.send(client, 10);
    world.pass(Duration::from_secs(58));
    world.send(client, usize::MAX);
    world.pass(Duration::from_secs(8));
    assert!(!world.is_closed(client));
    world.commit();
    assert_eq!(world.answers(client), 1);
}

/// A push that is so long that the store takes it in steps.
fn long_push() -> Request {
    let samples: Vec<(u64, u64)> = (0..SHORT_PUSH_SERIES_MAX + 1).map(|id| (id, id)).collect();
    let lines: String = samples.iter().map(|(id, value)| format!("m_a{{id=\"{id}\"}} {value}\n")).collect();
    let families = BTreeMap::from([("m_a", Family { kind: "untyped", samples })]);
    let length = lines.len();
    let head = format!("PUT /metrics/job/a HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
    let wish = Wish::Push(Push { group: 0, is_replace: true, has_timestamp: false, families });
    Request { head_bytes: head.len(), ..Request::of(&(head + &lines), wish) }
}

/// The disk may be done with a long change before the session that waits for it has its turn.
#[test]
fn a_disk_may_be_faster_than_a_turn() {
    let mut world = World::quiet_with_disk();
    let client = world.connect(vec![long_push(), long_push()]);
    world.send_with_fast_disk(client);
    assert_eq!(world.answers(client), 2);
}

/// A head that does not come to its end is answered as what it is, and not as the request before it.
#[test]
fn giving_up_has_nothing_to_do_with_the_request_before() {
    let mut world = World::quiet();
    let head = Request { is_head: true, ..Request::of("HEAD /metrics HTTP/1.1\r\nHost: h\r\n\r\n", Wish::Other(405)) };
    let bytes = head.bytes.len();
    let client = world.connect(vec![head, Request::of(HEALTHY, Wish::Other(200))]);
    world.send(client, bytes + 10);
    assert_eq!(world.answers(client), 1);
    world.pass(Duration::from_secs(62));
    // All of what it is told has to be there.
    assert_eq!(world.answers(client), 1);
}

/// Half a head behind as many requests as a turn takes is waited for no longer than any other.
#[test]
fn half_a_head_has_to_end_wherever_it_comes_from() {
    let mut world = World::quiet();
    let client = visitor(&mut world, REQUESTS_PER_TURN_MAX + 1);
    world.send(client, REQUESTS_PER_TURN_MAX * HEALTHY.len() + 10);
    assert_eq!(world.answers(client), REQUESTS_PER_TURN_MAX);
    world.pass(Duration::from_secs(70));
    assert!(world.is_closed(client));
}

/// Who is given up is told so once, and closed if he does not read it.
#[test]
fn who_is_given_up_is_told_once() {
    let mut world = World::quiet();
    let reader = visitor(&mut world, 1);
    world.send(reader, usize::MAX);
    let answer = world.unread(reader);
    // One answer fits, and not a byte more.
    let client = world.connect_narrowly(vec![Request::of(HEALTHY, Wish::Other(200)); 2], answer);
    world.send(client, HEALTHY.len() + 10);
    assert_eq!(world.unread(client), answer);
    world.pass(Duration::from_secs(125));
    assert!(world.is_closed(client));
}

fn deflated(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// A push of nothing but so many line ends, in a coding or none, in chunks or not.
fn empty_push(body_bytes: usize, coding: &str, is_chunked: bool) -> Request {
    let body = vec![b'\n'; body_bytes];
    let body = match coding {
        "gzip" => deflated(&body),
        "snappy" => snappy(&body),
        _ => body,
    };
    let (framing, body) = if is_chunked {
        ("Transfer-Encoding: chunked".to_owned(), chunked(&body, &mut Random::new(body_bytes as u64)))
    } else {
        (format!("Content-Length: {}", body.len()), body)
    };
    let head = format!("PUT /metrics/job/a HTTP/1.1\r\nHost: h\r\nContent-Encoding: {coding}\r\n{framing}\r\n\r\n");
    let push = Push { group: 0, is_replace: true, has_timestamp: false, families: BTreeMap::new() };
    let bytes = [head.as_bytes(), &body].concat();
    Request { bytes, head_bytes: head.len(), ..Request::of("", Wish::Push(push)) }
}

/// A body that is complete is answered, wherever the share of a turn ends.
#[test]
fn a_body_may_end_with_any_share() {
    const EDGES: [usize; 3] = [CODED_PIECE_BYTES, READ_BYTES, DECODED_BYTES_PER_TURN_MAX];
    let check = |request: Request, what: &str| {
        for (mut world, pace) in [(World::quiet(), "whole turns"), (World::quiet_and_slow(), "turns of a step")] {
            let client = world.connect(vec![request.clone()]);
            world.send(client, usize::MAX);
            assert_eq!(world.answers(client), 1, "{what}, {pace}");
        }
    };
    for edge in EDGES {
        for coding in ["identity", "gzip", "snappy"] {
            for is_chunked in [false, true] {
                // What is counted begins with the head, or with the body.
                let head = empty_push(edge, coding, is_chunked).head_bytes;
                for bytes in [edge - head - 1, edge - head, edge - head + 1, edge - 1, edge, edge + 1] {
                    let what = format!("{bytes} bytes, {coding}, in chunks: {is_chunked}");
                    check(empty_push(bytes, coding, is_chunked), &what);
                }
            }
        }
    }
    // As many requests as a turn takes, and the last one with a body.
    for count in [REQUESTS_PER_TURN_MAX - 1, REQUESTS_PER_TURN_MAX, REQUESTS_PER_TURN_MAX + 1] {
        let mut world = World::quiet();
        let mut plan = vec![Request::of(HEALTHY, Wish::Other(200)); count - 1];
        plan.push(empty_push(0, "identity", false));
        plan.push(empty_push(3, "gzip", true));
        let client = world.connect(plan);
        world.send(client, usize::MAX);
        assert_eq!(world.answers(client), count + 1);
    }
}
