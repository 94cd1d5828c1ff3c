//! What stands in front of the routes: the rate limit, the configured headers, and who is let in (SPEC 11.3).
//!
//! ```text
//! configuration cannot be read: 500 -> no token left: 429 -> headers -> credentials: 401 -> the routes
//! ```

use crate::auth::{Authenticator, Check, Comparison};
use crate::config::ConfigError;
use crate::config::web::{RateLimit, WebConfig};
use crate::http::{KeptRequest, Request};
use crate::limits::UNPROVEN_BYTES_MAX;
use crate::log::Value;

use super::limiter::Limiter;
use super::reply::Reply;
use super::route::{Decision, Endpoint};
use super::{Answer, App, Now, SocketAddr};

/// A request whose credentials are being compared. Only its head is kept; its body has to wait where it is.
#[derive(Debug)]
pub struct Unproven {
    head: KeptRequest,
    /// What it waits for.
    pub comparison: Comparison,
}

impl Unproven {
    /// Memory that it takes, bytes.
    pub fn held_bytes(&self) -> usize {
        self.head.bytes()
    }
}

/// The gate.
#[derive(Debug)]
pub(super) struct Gate {
    auth: Authenticator,
    limiter: Option<Limiter>,
    headers: Vec<(&'static str, String)>,
    /// The configuration cannot be read as it is now: nobody is let in.
    is_broken: bool,
    exempts_probes: bool,
    /// Of all heads that wait.
    waiting_bytes: usize,
}

/// What becomes of a request at the gate.
enum Verdict {
    Enters,
    Leaves(Reply),
    Waits(Comparison),
}

impl App {
    /// Puts a gate in front of the routes. `wake` is called by another thread when credentials have been compared.
    pub fn guard(&mut self, web: &WebConfig, exempts_probes: bool, wake: Box<dyn Fn() + Send>) {
        if let Some(RateLimit { interval, burst }) = &web.rate_limit {
            let keys = [("burst", Value::Shown(burst)), ("interval", Value::Shown(interval))];
            self.log.info("Rate Limiter is enabled.", &keys);
        }
        let limiter = web.rate_limit.map(Limiter::new);
        let auth = Authenticator::new(wake);
        self.gate =
            Some(Gate { auth, limiter, headers: Vec::new(), is_broken: false, exempts_probes, waiting_bytes: 0 });
        self.reconfigure(&Ok(web));
    }

    /// The configuration changed, or cannot be read any more. The rate limit stays what it was at the start.
    pub fn reconfigure(&mut self, web: &Result<&WebConfig, ConfigError>) {
        let Some(gate) = &mut self.gate else { return };
        gate.is_broken = web.is_err();
        match web {
            Ok(web) => {
                gate.auth.set_users(&web.users);
                gate.headers.clone_from(&web.headers);
            }
            Err(error) => self.log.error("Unable to parse configuration", &[("err", Value::Shown(error))]),
        }
    }

    /// Headers that every answer has, but for those given in front of them.
    pub fn configured_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.gate.as_ref().map_or(&[][..], |gate| &gate.headers);
        headers.iter().map(|(name, value)| (*name, &**value))
    }

    /// Has a simulation compare passwords.
    #[cfg(test)]
    pub fn simulate_comparisons(&mut self) -> Option<crate::auth::Hand> {
        self.gate.as_mut().map(|gate| gate.auth.simulate())
    }

    /// A request is at the gate: what becomes of it, unless it enters.
    pub(super) fn admit(&mut self, request: &Request<'_>, now: Now) -> Option<Answer> {
        let gate = self.gate.as_mut()?;
        if !gate.is_broken && !gate.limiter.as_mut().is_none_or(|limiter| limiter.take(now.uptime)) {
            let reply = Reply::error(429, &"Too Many Requests");
            return Some(Answer::Reply(Reply { is_bare: true, ..reply }));
        }
        match self.verdict(request) {
            Verdict::Enters => None,
            Verdict::Leaves(reply) => Some(Answer::Reply(reply)),
            Verdict::Waits(comparison) => {
                let mut head = KeptRequest::default();
                head.keep(request);
                Some(self.hold(Box::new(Unproven { head, comparison })))
            }
        }
    }

    /// Lets a request wait, if there is room for its head.
    fn hold(&mut self, unproven: Box<Unproven>) -> Answer {
        let waiting_bytes = self.gate.as_ref().map_or(0, |gate| gate.waiting_bytes) + unproven.head.bytes();
        if waiting_bytes > UNPROVEN_BYTES_MAX {
            return Answer::Reply(busy());
        }
        if let Some(gate) = &mut self.gate {
            gate.waiting_bytes = waiting_bytes;
        }
        Answer::Unproven(unproven)
    }

    /// A request that waited waits no more: it goes on, or its client is gone.
    pub fn release(&mut self, unproven: &Unproven) {
        if let Some(gate) = &mut self.gate {
            gate.waiting_bytes -= unproven.head.bytes();
        }
    }

    fn verdict(&mut self, request: &Request<'_>) -> Verdict {
        let Some(gate) = &mut self.gate else { return Verdict::Enters };
        if gate.is_broken {
            let reply = Reply::error(500, &"Internal Server Error");
            return Verdict::Leaves(Reply { is_bare: true, ..reply });
        }
        if gate.auth.is_open() || (gate.exempts_probes && self.is_probe(request)) {
            return Verdict::Enters;
        }
        let Some(gate) = &mut self.gate else { return Verdict::Enters };
        match gate.auth.check(request.headers.first("authorization")) {
            Check::Granted => Verdict::Enters,
            Check::Denied => Verdict::Leaves(Reply::error(401, &"Unauthorized").header("Www-Authenticate", "Basic")),
            Check::Busy => Verdict::Leaves(busy()),
            Check::Wait(comparison) => Verdict::Waits(comparison),
        }
    }

    /// Whether somebody only wants to know how the gateway is.
    fn is_probe(&mut self, request: &Request<'_>) -> bool {
        let decision = self.router.route(request.method, request.path_and_query(), &mut self.path);
        matches!(decision, Decision::Found(Endpoint::Healthy | Endpoint::Ready))
    }

    /// Takes a comparison that has been made, if there is one: those who wait for it are to be asked for again.
    pub fn compared(&mut self) -> Option<Comparison> {
        self.gate.as_mut()?.auth.collect()
    }

    /// What a request waited for has come about: what becomes of it. It may have to wait again, as users may have
    /// changed meanwhile.
    pub fn prove(&mut self, mut unproven: Box<Unproven>, peer: SocketAddr, now: Now) -> Answer {
        self.release(&unproven);
        let request = unproven.head.request();
        match self.verdict(&request) {
            Verdict::Enters => self.enter(&request, peer, now),
            Verdict::Leaves(reply) => Answer::Reply(reply),
            Verdict::Waits(comparison) => {
                unproven.comparison = comparison;
                self.hold(unproven)
            }
        }
    }
}

fn busy() -> Reply {
    let text = "too many passwords wait to be compared with their hashes, try again";
    Reply::error(503, &text).header("Retry-After", "1")
}
