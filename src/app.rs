//! What requests mean and what is answered: routes, pushes, scrapes, queries, lifecycle and the web page.
//!
//! Owns the store and the gateway's own metrics. Sees no socket, no file and no clock: requests and body pieces come
//! in with the time, replies go out, and how they travel is the server's business.

mod audit;
mod change;
pub mod conversion;
mod deletion;
pub mod durable;
pub mod etag;
pub mod gate;
pub mod grouping;
pub mod held;
pub mod import;
pub mod json;
mod limited;
mod limiter;
pub mod media;
pub mod negotiation;
pub mod page;
pub mod push;
pub mod query;
mod reading;
pub mod reply;
pub mod route;
pub mod work;

use std::cell::OnceCell;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::exposition::format::{Escaping, Format};
use crate::http::Request;
use crate::http::coding::Coding;
use crate::limits::{DECODED_PIECE_BYTES, IDLE_PUSHES_MAX, Limits};
use crate::log::{Logger, Value};
use crate::model::build::Build;
use crate::model::name::Names;
use crate::model::quote::Plain;
use crate::model::time::Timestamp;
use crate::persist::Journal;
use crate::store::{Deflater, FamilyId, Mode, PageText, Refusal, Snapshot, Store};
use crate::telemetry::{FAMILIES, Handler, Method, Telemetry};

use audit::Asker;
use change::Changes;
use conversion::Conversion;
use durable::{Counted, Pending};
use gate::{Gate, Unproven};
use grouping::{GroupingError, GroupingLabels};
use held::Held;
use page::Page;
use push::{BodyFormat, Origin, Push, PushError};
use query::own;
use query::stream::{GroupsJson, JsonBody};
use reply::{Reply, ReplyBody};
use route::{Decision, Endpoint, GroupingPath, Router};
use work::Work;

/// The exposition format, as far as one group can show it.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is fixed at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Prefix of all routes (SPEC 11.2).
    pub route_prefix: String,
    /// Path of the exposition below that prefix.
    pub telemetry_path: String,
    /// Prefix of the page's links.
    pub link_prefix: String,
    /// Whether `/api/v1/admin/wipe` is there.
    pub has_admin_api: bool,
    /// Whether `/-/quit` works.
    pub has_lifecycle: bool,
    /// Whether pushes are checked before they are applied (SPEC 5.5).
    pub has_consistency_check: bool,
    /// Which names pushes may use (SPEC 3.7, 2.4).
    pub names: Names,
    /// What pushes and the store are bounded by.
    pub limits: Limits,
    /// All flags as the query API lists them.
    pub flags: Vec<(&'static str, String)>,
    /// The names of those that are not as by default.
    pub flags_changed: Vec<&'static str>,
    /// How the program was built.
    pub build: Build,
    /// When it was started.
    pub started: Timestamp,
}

#[cfg(any(test, feature = "fuzz"))]
impl Settings {
    /// Those of a gateway without flags; for tests.
    pub fn plain(started: Timestamp) -> Self {
        Self {
            route_prefix: String::new(),
            telemetry_path: "/metrics".to_owned(),
            link_prefix: String::new(),
            has_admin_api: false,
            has_lifecycle: false,
            has_consistency_check: true,
            names: Names::Classic,
            limits: Limits::default(),
            flags: Vec::new(),
            flags_changed: Vec::new(),
            build: Build::current(),
            started,
        }
    }
}

/// The time, as the server reads it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By the calendar.
    pub wall: Timestamp,
    /// Since the start of the process; never goes back.
    pub uptime: Duration,
}

/// What a scrape is to look like.
#[derive(Clone, Copy, Debug)]
pub struct ScrapeForm {
    format: Format,
    escaping: Escaping,
    is_gzip: bool,
}

/// What becomes of a request once its head is there.
#[derive(Debug)]
pub enum Answer {
    /// It is answered.
    Reply(Reply),
    /// It is a push, and its body is wanted.
    Push(Box<Push>),
    /// What it is counts only behind the gzip header of its body.
    Hold(Box<Held>),
    /// Its answer is there, and is to be given once its change is on the disk.
    Pending(Pending),
    /// It takes more steps, of which [`App::work`] does the next one.
    Working(Work),
    /// Whether it is let in is not known yet. Its body has to wait.
    Unproven(Box<Unproven>),
}

/// The application.
pub struct App {
    settings: Settings,
    router: Router,
    /// Made when it is first asked for: most gateways never show it.
    page: OnceCell<Page>,
    store: Store,
    /// Where it is kept, if it is.
    journal: Option<Journal>,
    /// What stands in front of the routes, if anything does.
    gate: Option<Gate>,
    telemetry: Telemetry,
    deflater: Deflater,
    /// The families of `telemetry::FAMILIES` in the store.
    own: [FamilyId; FAMILIES.len()],
    /// Where the log goes; the server writes to it as well.
    pub log: Logger,
    is_quitting: bool,
    changes: Changes,
    /// Working memory, kept from request to request.
    path: Vec<u8>,
    labels: GroupingLabels,
    #[expect(clippy::vec_box, reason = "pushes are handed out boxed: they are large, and sessions small")]
    idle_pushes: Vec<Box<Push>>,
    idle_held: Option<Box<Held>>,
    /// Where bodies are decoded to, between decoder and parser; empty before the first one.
    decoded: Box<[u8]>,
    idle_snapshots: Vec<Snapshot>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("settings", &self.settings).field("groups", &self.store.group_count()).finish()
    }
}

impl App {
    /// An application with an empty store.
    pub fn new(settings: Settings, log: Logger) -> Self {
        let mut store = if settings.has_consistency_check { Store::new() } else { Store::unchecked() };
        store.set_limits(settings.limits);
        // The families without series at the start are those whose help the original demands of pushes, too.
        let own = FAMILIES.each_ref().map(|own| {
            let demands_help = own.name.starts_with("pushgateway_http_");
            store.declare_own(own.name, own.kind, own.help, demands_help)
        });
        Self {
            router: Router::new(&settings.route_prefix, &settings.telemetry_path, settings.has_admin_api),
            page: OnceCell::new(),
            telemetry: Telemetry::new(&settings.build, settings.started),
            deflater: Deflater::default(),
            settings,
            store,
            journal: None,
            gate: None,
            own,
            log,
            is_quitting: false,
            changes: Changes::default(),
            path: Vec::new(),
            labels: GroupingLabels::default(),
            idle_pushes: Vec::new(),
            idle_held: None,
            decoded: Box::default(),
            idle_snapshots: Vec::new(),
        }
    }

    /// Shows nothing of this process among its own metrics.
    #[cfg(test)]
    pub fn simulate(&mut self) {
        self.telemetry.simulate();
    }

    /// What is stored.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Does a bounded part of what no request of the turn does: writes out what has changed, frees what was wiped, goes on
    /// with a long change. Whether there is more of it.
    pub fn work_off(&mut self, now: Now) -> bool {
        let has_more = self.journal.as_mut().is_some_and(|journal| journal.advance(&self.store, now.uptime));
        self.store.discard_some();
        self.change_some(now) || has_more || self.store.has_discarded()
    }

    /// Whether a client asked for the end (SPEC 10).
    pub fn is_quitting(&self) -> bool {
        self.is_quitting
    }

    // ---- requests ----

    /// A request's head is complete.
    pub fn request(&mut self, request: &Request<'_>, peer: SocketAddr, now: Now) -> Answer {
        match self.admit(request, now) {
            Some(answer) => answer,
            None => self.enter(request, peer, now),
        }
    }

    /// A request that was let in.
    fn enter(&mut self, request: &Request<'_>, peer: SocketAddr, now: Now) -> Answer {
        let coding = request.headers.first("content-encoding").and_then(Coding::of);
        if coding == Some(Coding::Gzip) && self.reads_body_first(request) {
            let mut held = self.idle_held.take().unwrap_or_default();
            held.begin(request);
            return Answer::Hold(held);
        }
        let mut answer = self.route(request, peer, now);
        if let (Answer::Push(push), Some(coding)) = (&mut answer, coding) {
            push.decode(coding);
        }
        answer
    }

    /// The gzip header of a request's body is complete: what becomes of the request. Never [`Answer::Hold`].
    pub fn resume(&mut self, mut held: Box<Held>, peer: SocketAddr, now: Now) -> Answer {
        let mut answer = self.route(&held.request(), peer, now);
        if let Answer::Push(push) = &mut answer {
            push.decode_behind(held.take_header());
        }
        self.end_held(held);
        answer
    }

    /// The body of a request has no gzip header, although it should. Such requests are not counted (SPEC 1.5, 7.8).
    pub fn held_failed(&mut self, held: Box<Held>, error: &dyn fmt::Display) -> Reply {
        self.end_held(held);
        Reply::error(400, error)
    }

    fn end_held(&mut self, mut held: Box<Held>) {
        held.clear();
        self.idle_held = Some(held);
    }

    fn reads_body_first(&mut self, request: &Request<'_>) -> bool {
        self.router.reads_body_first(request.method, request.path_and_query(), &mut self.path)
    }

    fn route(&mut self, request: &Request<'_>, peer: SocketAddr, now: Now) -> Answer {
        let mut path = std::mem::take(&mut self.path);
        let decision = self.router.route(request.method, request.path_and_query(), &mut path);
        let answer = match decision {
            Decision::Found(endpoint) => self.run(endpoint, request, peer, now),
            decision => Answer::Reply(undecided(decision)),
        };
        self.path = path;
        answer
    }

    fn run(&mut self, endpoint: Endpoint<'_>, request: &Request<'_>, peer: SocketAddr, now: Now) -> Answer {
        let method = Method::of(request.method.as_bytes());
        let (handler, reply) = match endpoint {
            Endpoint::Push { replace, path } => {
                let mode = if replace { Mode::Replace } else { Mode::Merge };
                let origin = Origin { mode, method, size: request.size(), started: now.uptime, peer };
                return self.open_push(path, request, origin, now);
            }
            Endpoint::Scrape => return self.scrape(request, now),
            Endpoint::Delete { path } => return self.delete(path, method, now),
            Endpoint::Wipe => return self.wipe(method, now),
            Endpoint::Page => {
                let page = self.page.get_or_init(|| Page::new(&self.settings.link_prefix));
                (Handler::Status, page.answer(request))
            }
            Endpoint::Static(file) => (Handler::Static, page::asset(file, request)),
            Endpoint::Healthy => (Handler::Healthy, Reply::text(200, "OK")),
            Endpoint::Ready => return self.ready(method, now),
            Endpoint::Quit => return Answer::Reply(self.quit()),
            Endpoint::QuitExplain => {
                return Answer::Reply(Reply::text(405, "Only POST or PUT requests allowed."));
            }
            Endpoint::Debug { is_known } => return Answer::Reply(debug(is_known)),
            Endpoint::ApiStatus => {
                let Settings { build, flags, flags_changed, started, .. } = &self.settings;
                (Handler::ApiStatus, with_cors(json(query::status(build, flags, flags_changed, *started))))
            }
            Endpoint::ApiMetrics => {
                let reply = self.unavailable(Some(Handler::ApiMetrics));
                let reply = reply.unwrap_or_else(|| long_json(JsonBody::Groups(GroupsJson::default())));
                (Handler::ApiMetrics, with_cors(reply))
            }
            Endpoint::ApiGroups => return self.groups(request, method),
            Endpoint::ApiGroup { path } => return self.group(path, request, method),
            Endpoint::ApiGroupsDelete => return self.delete_found(request, method, now),
            Endpoint::ApiTelemetry => {
                let kept = self.journal.as_ref().map(durable::readings);
                let body = own::telemetry(&self.store, &mut self.telemetry, kept.as_ref(), now.uptime);
                (Handler::ApiTelemetry, with_cors(json(body)))
            }
            Endpoint::ApiOptions => (Handler::ApiOptions, with_cors(Reply::empty(200))),
            Endpoint::Star => return Answer::Reply(Reply::empty(200)),
        };
        self.telemetry.count_request(handler, method, reply.status);
        Answer::Reply(reply)
    }

    // ---- pushes ----

    fn open_push(&mut self, path: GroupingPath<'_>, request: &Request<'_>, origin: Origin, now: Now) -> Answer {
        if let Some(reply) = self.unavailable(Some(Handler::Push)) {
            return Answer::Reply(self.close_push(origin, reply, now));
        }
        if let Err(error) = grouping::parse(&path, self.settings.names, &mut self.labels) {
            self.log_bad_path(&path, &error);
            return Answer::Reply(self.close_push(origin, Reply::error(400, &error), now));
        }
        if let Err(reached) = self.check_request(request) {
            return Answer::Reply(self.refuse_limited(origin, reached, now));
        }
        let limits = self.settings.limits;
        let mut push = self.idle_pushes.pop().unwrap_or_else(|| Box::new(Push::new(limits)));
        let content_type = request.headers.first("content-type").unwrap_or_default();
        let format = if media::is_delimited_protobuf(content_type) {
            BodyFormat::Protobuf
        } else {
            BodyFormat::Text(self.settings.names)
        };
        push.begin(self.labels.iter(), format, request.content_length, origin);
        Answer::Push(push)
    }

    /// A piece of a push's body; how many bytes it was decoded to, if it is coded.
    pub fn push_piece(&mut self, push: &mut Push, piece: &[u8]) -> Result<usize, PushError> {
        if push.is_coded() && self.decoded.is_empty() {
            self.decoded = vec![0; DECODED_PIECE_BYTES].into_boxed_slice();
        }
        let decoded = push.feed(piece, &mut self.decoded)?;
        if push.has_become_long() {
            self.store.forget_compressed(push.key());
        }
        Ok(decoded)
    }

    /// A push's body is complete.
    pub fn push_end(&mut self, mut push: Box<Push>, now: Now) -> Answer {
        if self.repeat_push(&push, now) {
            return self.accept_push(push, now);
        }
        match push.finish() {
            Ok(()) => self.push_settle(push, now),
            Err(PushError::Limit(reached)) => Answer::Reply(self.push_limited(push, reached, now)),
            Err(error) => Answer::Reply(self.push_failed(push, error.status(), &error, now)),
        }
    }

    /// Takes the values of a push that says what its group holds; whether it does, and changes are taken.
    fn repeat_push(&mut self, push: &Push, now: Now) -> bool {
        let Some(repeat) = push.repeat() else { return false };
        if self.must_wait_for(push.key()) {
            return false;
        }
        self.unavailable(Some(Handler::Push)).is_none() && self.store.repeat(push.key(), repeat, now.wall)
    }

    /// A push was stored: its answer.
    fn accept_push(&mut self, push: Box<Push>, now: Now) -> Answer {
        let Some(origin) = push.origin else { unreachable!("a push that was begun has an origin") };
        let ticket = self.mark(push.key());
        self.end_push(push);
        let status = if self.store.is_checked() { 200 } else { 202 };
        self.answer_change(ticket, Reply::empty(status), Counted::Push(origin), now)
    }

    /// Does one step of what is left to do for a push whose body is complete.
    pub(super) fn push_settle(&mut self, mut push: Box<Push>, now: Now) -> Answer {
        if !push.staged().seal_some() {
            return Answer::Working(Work::Push(push));
        }
        if let Err(reached) = push.staged().check_bounds() {
            return Answer::Reply(self.push_limited(push, reached, now));
        }
        if push.staged().is_unsettled() {
            push.staged().settle_some();
            return Answer::Working(Work::Push(push));
        }
        let Some(origin) = push.origin else { unreachable!("a push that was begun has an origin") };
        // The disk may have failed since the push began.
        if let Some(reply) = self.unavailable(Some(Handler::Push)) {
            self.end_push(push);
            return Answer::Reply(self.close_push(origin, reply, now));
        }
        self.apply_push(push, origin, now)
    }

    /// A push's body cannot be read, or not to its end (SPEC 1.5, 3).
    pub fn push_failed(&mut self, push: Box<Push>, status: u16, error: &dyn fmt::Display, now: Now) -> Reply {
        let Some(origin) = push.origin else { unreachable!("a push that was begun has an origin") };
        let keys = [("logged_source", Value::Shown(&origin.peer)), ("err", Value::Shown(error))];
        self.log.debug("failed to parse text", &keys);
        self.end_push(push);
        self.close_push(origin, Reply::error(status, error), now)
    }

    /// Lets go of a push that was answered or whose client is gone; keeps its memory for the next one.
    pub fn end_push(&mut self, mut push: Box<Push>) {
        if self.idle_pushes.len() < IDLE_PUSHES_MAX {
            push.clear();
            self.idle_pushes.push(push);
        }
    }

    fn refuse_push(&mut self, origin: Origin, refusal: &Refusal) -> Reply {
        let method = if origin.mode == Mode::Replace { "PUT" } else { "POST" };
        let message = "pushed metrics are invalid or inconsistent with existing metrics";
        let (peer, err) = (Value::Shown(&origin.peer), refusal.detail());
        self.log
            .error(message, &[("method", Value::Str(method)), ("logged_source", peer), ("err", Value::Shown(&err))]);
        Reply::error(400, refusal)
    }

    /// Every push is counted and measured, whatever came of it (SPEC 7.8).
    fn close_push(&mut self, origin: Origin, reply: Reply, now: Now) -> Reply {
        self.telemetry.count_request(Handler::Push, origin.method, reply.status);
        let seconds = now.uptime.saturating_sub(origin.started).as_secs_f64();
        self.telemetry.observe_push(origin.method, origin.size, seconds, now.uptime);
        reply
    }

    fn log_bad_path(&mut self, path: &GroupingPath<'_>, error: &GroupingError) {
        match error {
            GroupingError::JobBase64 { .. } => {
                let keys = [("job", Value::Shown(&Plain(path.job))), ("err", Value::Shown(error))];
                self.log.debug("invalid base64 encoding in job name", &keys);
            }
            GroupingError::NoJob => self.log.debug("job name is required", &[]),
            _ => {
                let keys = [("url", Value::Shown(&Plain(path.rest))), ("err", Value::Shown(error))];
                self.log.debug("failed to parse URL", &keys);
            }
        }
    }

    // ---- the other endpoints ----

    fn scrape(&mut self, request: &Request<'_>, now: Now) -> Answer {
        self.telemetry.scrape_started();
        if let Some(reply) = self.unavailable(None) {
            self.telemetry.scrape_ended(reply.status);
            return Answer::Reply(reply);
        }
        let (format, escaping) = negotiation::negotiate(request.headers.first("accept"));
        let is_gzip = negotiation::accepts_gzip(request.headers.all("accept-encoding"));
        let form = ScrapeForm { format, escaping, is_gzip };
        if self.store.is_checked() {
            return self.answer_scrape(form, now);
        }
        self.answer_audited(Asker::Scrape(form), now)
    }

    /// The answer to a scrape, which has to wait while a long change is between its beginning and its end.
    pub(super) fn answer_scrape(&mut self, form: ScrapeForm, now: Now) -> Answer {
        if self.store.is_between() {
            return Answer::Working(Work::Scrape(form));
        }
        Answer::Reply(self.show(form, now))
    }

    /// The answer to a scrape: the exposition as it is now.
    fn show(&mut self, form: ScrapeForm, now: Now) -> Reply {
        let Self { telemetry, store, journal, own, .. } = self;
        let kept = journal.as_ref().map(durable::readings);
        telemetry.render(now.uptime, kept.as_ref(), &mut |index, lines| store.set_own(own[index], lines));
        let mut snapshot = self.idle_snapshots.pop().unwrap_or_default();
        self.store.snapshot(&mut snapshot);
        let ScrapeForm { format, escaping, is_gzip } = form;
        let is_as_stored = escaping == Escaping::AllowUtf8 || !self.store.has_quoted_names();
        let body = if format != Format::Text || !is_as_stored {
            let escaping = if is_as_stored { Escaping::AllowUtf8 } else { escaping };
            ReplyBody::Converted(Box::new(Conversion::new(format, escaping, is_gzip, snapshot)))
        } else if is_gzip {
            ReplyBody::Compressed(snapshot)
        } else {
            ReplyBody::Exposition(snapshot)
        };
        let content_type = negotiation::content_type(format, escaping);
        let reply = Reply { content_type: Some(content_type), body, ..Reply::empty(200) };
        if is_gzip { reply.header("Content-Encoding", "gzip") } else { reply }
    }

    /// Compresses what is not yet compressed of a page of a scrape, unless the budget is used up: so many bytes of text.
    pub fn compress(&mut self, page: &PageText, budget: &mut usize) {
        if *budget == 0 {
            return;
        }
        let bytes = self.deflater.compress(page);
        *budget = budget.saturating_sub(bytes);
        if bytes > 0 && !page.is_own() {
            self.telemetry.count_compressed_page();
        }
    }

    /// A scrape was sent, or its client is gone.
    pub fn end_scrape(&mut self, mut snapshot: Snapshot) {
        self.telemetry.scrape_ended(200);
        snapshot.clear();
        if self.idle_snapshots.len() < IDLE_PUSHES_MAX {
            self.idle_snapshots.push(snapshot);
        }
    }

    fn quit(&mut self) -> Reply {
        if !self.settings.has_lifecycle {
            return Reply::text(403, "Lifecycle API is not enabled.");
        }
        self.is_quitting = true;
        Reply { closes: true, ..Reply::text(200, "Requesting termination... Goodbye!") }
    }
}

/// The answer to a request that reached no endpoint (SPEC 1.3, 1.4).
fn undecided(decision: Decision<'_>) -> Reply {
    match decision {
        Decision::Found(_) => unreachable!("endpoints are run"),
        Decision::Redirect { status, location, html } => {
            let reply = if html {
                let body = route::redirect_body(status, &location).into_bytes();
                Reply::with_body(status, "text/html; charset=utf-8", body)
            } else {
                Reply::empty(status)
            };
            reply.header("Location", location)
        }
        Decision::MethodNotAllowed { allow } => Reply::error(405, &"Method Not Allowed").header("Allow", allow),
        Decision::Options { allow } => Reply::empty(200).header("Allow", allow),
        Decision::NotFound => Reply::error(404, &"404 page not found"),
        Decision::BadRequest => Reply { closes: true, ..Reply::text(400, "400 Bad Request") },
    }
}

fn debug(is_known: bool) -> Reply {
    if is_known {
        let text = "There are no Go profiles here. Use perf or eBPF tools on the process, and its process_* metrics.";
        Reply::error(404, &text)
    } else {
        Reply::error(404, &"Unknown profile")
    }
}

fn json(body: Vec<u8>) -> Reply {
    Reply::with_body(200, "application/json", body)
}

/// JSON that is written while it is sent.
fn long_json(body: JsonBody) -> Reply {
    Reply { body: ReplyBody::Json(Box::new(body)), ..json(Vec::new()) }
}

fn with_cors(mut reply: Reply) -> Reply {
    const HEADERS: [(&str, &str); 5] = [
        ("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin"),
        ("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Expose-Headers", "Date"),
        ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ];
    reply.headers.extend(HEADERS.map(|(name, value)| (name, value.into())));
    reply
}
