//! What a session does because of the web configuration: requests that wait for credentials, connections without the TLS
//! that they need, headers of every answer.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::super::{Clock, Shared};
use super::events::step;
use super::{Incoming, Session};
use crate::app::App;
use crate::auth::Comparison;
use crate::http;
use crate::log::Value;
use crate::net::Trouble;

impl Session {
    pub(super) fn is_unproven(&self) -> bool {
        matches!(self.incoming, Incoming::Unproven(_))
    }

    pub(in crate::server) fn awaits_comparison(&self, comparison: Comparison) -> bool {
        matches!(&self.incoming, Incoming::Unproven(unproven) if unproven.comparison == comparison)
    }

    /// The comparison that the session waits for has been made: it goes on when it has its turn.
    pub(in crate::server) fn note_compared(&mut self) {
        self.incoming = match self.incoming.take() {
            Incoming::Unproven(unproven) => Incoming::Proven(unproven),
            incoming => incoming,
        };
    }

    /// Goes on with a request whose credentials have been compared; whether there is one. Its answer, if it has one now, is
    /// still to be sent.
    pub(super) fn go_on(&mut self, app: &mut App, shared: &mut Shared, clock: Clock) -> bool {
        let unproven = match self.incoming.take() {
            Incoming::Proven(unproven) => unproven,
            incoming => {
                self.incoming = incoming;
                return false;
            }
        };
        let step = step(app.prove(unproven, self.peer, clock.now()));
        self.follow(step, app, shared);
        // From here on it is the client who is waited for.
        self.note_progress(0, shared.now, app.limits());
        true
    }

    /// There is no TLS where there has to be: the connection ends, with an answer to a client that came without.
    pub(super) fn fail_handshake(&mut self, trouble: &Trouble, app: &mut App) {
        let reason = match trouble {
            Trouble::NotTls(first) if http::is_start_of_request(*first) => {
                self.output.extend_from_slice(http::NOT_ENCRYPTED);
                "client sent an HTTP request to an HTTPS server"
            }
            Trouble::NotTls(_) => "first record does not look like a TLS handshake",
            Trouble::Tls(reason) => reason,
        };
        let keys = [("logged_source", Value::Shown(&self.peer)), ("err", Value::Str(reason))];
        app.log.debug("TLS connection failed", &keys);
        if let Incoming::Push(push) = self.incoming.take() {
            app.end_push(push);
        }
        self.http.abandon();
    }
}

/// The headers of an answer, and those that are configured for every answer. One that is given already stays as it is.
pub(super) fn headers<'a>(
    given: &'a [(&'static str, Cow<'static, str>)],
    is_bare: bool,
    app: &'a App,
) -> SmallVec<[(&'a str, &'a str); 8]> {
    let mut headers: SmallVec<[(&'a str, &'a str); 8]> =
        given.iter().map(|(name, value)| (*name as &str, &**value)).collect();
    if !is_bare {
        let missing = app.configured_headers().filter(|(name, _)| !given.iter().any(|(other, _)| other == name));
        headers.extend(missing);
    }
    headers
}
