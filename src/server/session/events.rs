//! What an event of HTTP asks of the application, and what the application's answer asks of the session.

use std::fmt::Display;
use std::net::SocketAddr;

use super::super::Clock;
use super::{Incoming, Share, Step};
use crate::app::push::PushError;
use crate::app::{Answer, App};
use crate::http::Event;

/// Tells the application what arrived.
pub(super) fn take_event(
    event: Event<'_>,
    incoming: &mut Incoming,
    peer: SocketAddr,
    share: &mut Share,
    app: &mut App,
    clock: Clock,
) -> Step {
    match event {
        Event::Request(request) => step(app.request(&request, peer, clock.now())),
        Event::Body(piece) => take_piece(piece, incoming, peer, share, app, clock),
        Event::End => match incoming.take() {
            Incoming::Push(push) => step(app.push_end(push, clock.now())),
            Incoming::Held(held) => {
                let error = held.cut_short();
                Step::Answer(app.held_failed(held, &error))
            }
            Incoming::Unproven(_) | Incoming::Proven(_) | Incoming::Working(_) | Incoming::Nothing => Step::Nothing,
        },
        Event::BodyFailed(error) => failed(incoming, 400, &error, app, clock),
        Event::Refused(refusal) => Step::Refuse(refusal),
    }
}

pub(super) fn step(answer: Answer) -> Step {
    match answer {
        Answer::Reply(reply) => Step::Answer(reply),
        Answer::Push(push) => Step::Receive(Incoming::Push(push)),
        Answer::Hold(held) => Step::Receive(Incoming::Held(held)),
        Answer::Pending(pending) => Step::Await(pending),
        Answer::Working(work) => Step::Work(work),
        Answer::Unproven(unproven) => Step::Prove(unproven),
    }
}

fn take_piece(
    piece: &[u8],
    incoming: &mut Incoming,
    peer: SocketAddr,
    share: &mut Share,
    app: &mut App,
    clock: Clock,
) -> Step {
    let mut rest = piece;
    if let Incoming::Held(held) = incoming {
        match held.feed(piece) {
            Ok(_) if !held.is_complete() => return Step::Nothing,
            Ok(used) => rest = &piece[used..],
            Err(error) => return failed(incoming, 400, &error, app, clock),
        }
        let Incoming::Held(held) = incoming.take() else { unreachable!("it was one just now") };
        match step(app.resume(held, peer, clock.now())) {
            Step::Receive(push) => *incoming = push,
            step => return step,
        }
    }
    let Incoming::Push(push) = incoming else { return Step::Nothing };
    match app.push_piece(push, rest) {
        Ok(decoded) => {
            share.decoded = share.decoded.saturating_sub(decoded);
            Step::Nothing
        }
        Err(error) => push_failed(incoming, error, app, clock),
    }
}

fn push_failed(incoming: &mut Incoming, error: PushError, app: &mut App, clock: Clock) -> Step {
    match (incoming.take(), error) {
        (Incoming::Push(push), PushError::Limit(reached)) => Step::Answer(app.push_limited(push, reached, clock.now())),
        (Incoming::Push(push), error) => Step::Answer(app.push_failed(push, error.status(), &error, clock.now())),
        _ => Step::Nothing,
    }
}

fn failed(incoming: &mut Incoming, status: u16, error: &dyn Display, app: &mut App, clock: Clock) -> Step {
    match incoming.take() {
        Incoming::Push(push) => Step::Answer(app.push_failed(push, status, error, clock.now())),
        Incoming::Held(held) => Step::Answer(app.held_failed(held, error)),
        Incoming::Unproven(_) | Incoming::Proven(_) | Incoming::Working(_) | Incoming::Nothing => Step::Nothing,
    }
}
