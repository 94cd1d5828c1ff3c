//! Which endpoint a method and a request target name, and where a client is sent that nearly named one
//! (SPEC 1.1-1.4, 11.2).
//!
//! Decides only; answers are built elsewhere. Does not look into grouping labels, which is `grouping`'s.
//!
//! There are two tables, as in the original: the JSON API below `<prefix>/api/v1/`, whose paths are seen without that
//! prefix, and everything else. A target goes through these steps, the first that applies decides:
//!
//! 1. `*`, bad escapes, paths that have to be cleaned (all on the target as sent);
//! 2. a route of the method, by the decoded path;
//! 3. a redirect to the same path but for its trailing slash or its case, if the method has any route in the table;
//! 4. 405 or the answer to OPTIONS, if other methods have the path; else 404.

mod target;

use target::{Escapes, Target};
pub(crate) use target::{decode as percent_decode, write_html};

use crate::limits::QUOTE_BYTES_MAX;

/// What is to be done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<'s> {
    /// The endpoint to run.
    Found(Endpoint<'s>),
    /// Send the client elsewhere (SPEC 1.4).
    Redirect {
        /// 301 or 307.
        status: u16,
        /// The `Location` header: a path and query in printable ASCII, never `//host`.
        location: String,
        /// Whether the answer has [`redirect_body`] and its content type; otherwise it is empty.
        html: bool,
    },
    /// 405 with this `Allow` header.
    MethodNotAllowed {
        /// The methods that have the path.
        allow: &'static str,
    },
    /// 200 with this `Allow` header and no body.
    Options {
        /// The methods that have the path.
        allow: &'static str,
    },
    /// 404.
    NotFound,
    /// The bare `400 Bad Request` of a malformed request line; the connection closes (SPEC 1.6).
    BadRequest,
}

/// The endpoints proper (SPEC 1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint<'s> {
    /// The exposition.
    Scrape,
    /// A push.
    Push {
        /// PUT replaces the group, POST replaces families of it.
        replace: bool,
        /// Names the group.
        path: GroupingPath<'s>,
    },
    /// Deletion of a group.
    Delete {
        /// Names the group.
        path: GroupingPath<'s>,
    },
    /// The web page.
    Page,
    /// An asset of the page, by the name below `/static/`.
    Static(&'s str),
    /// `/-/healthy`.
    Healthy,
    /// `/-/ready`.
    Ready,
    /// PUT or POST `/-/quit`.
    Quit,
    /// GET `/-/quit`: the 405 with its own text (SPEC 1.2).
    QuitExplain,
    /// The original's profiling pages, which this program does not have.
    Debug {
        /// Whether the original has a page of that name; if not it answers `Unknown profile`.
        is_known: bool,
    },
    /// `/api/v1/status`.
    ApiStatus,
    /// `/api/v1/metrics`.
    ApiMetrics,
    /// `/api/v1/groups`, a page of groups.
    ApiGroups,
    /// `/api/v1/groups/<path>`, one group.
    ApiGroup {
        /// Names the group.
        path: GroupingPath<'s>,
    },
    /// PUT `/api/v1/groups/delete`, deletion of the groups that a search finds.
    ApiGroupsDelete,
    /// `/api/v1/telemetry`, the gateway's own metrics.
    ApiTelemetry,
    /// OPTIONS anywhere below `/api/v1/`.
    ApiOptions,
    /// `/api/v1/admin/wipe`.
    Wipe,
    /// `OPTIONS *`.
    Star,
}

/// The part of a path that names a group, percent-decoded (SPEC 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupingPath<'s> {
    /// What stands for the job. May be empty.
    pub job: &'s [u8],
    /// Whether `job` is base64.
    pub job_is_base64: bool,
    /// Everything after the job: empty, or starting with its slash.
    pub rest: &'s [u8],
}

impl<'s> GroupingPath<'s> {
    /// Takes the job off the front of what follows `job/` or `job@base64/`.
    fn new(tail: &'s [u8], job_is_base64: bool) -> Self {
        let (job, rest) = tail.split_at(memchr::memchr(b'/', tail).unwrap_or(tail.len()));
        Self { job, job_is_base64, rest }
    }
}

/// The body of a redirect that answers a GET (SPEC 1.4): a link, or where that would be longer than a quote may be, its
/// words alone. Clients go where the `Location` header says.
pub fn redirect_body(status: u16, location: &str) -> String {
    let words = if status == 301 { "Moved Permanently" } else { "Temporary Redirect" };
    if location.len() > QUOTE_BYTES_MAX {
        return format!("{words}.\n\n");
    }
    let mut body = String::from("<a href=\"");
    write_html(&mut body, location);
    body + "\">" + words + "</a>.\n\n"
}

/// The routes of one configuration.
#[derive(Clone, Debug)]
pub struct Router {
    pages: Table,
    api: Table,
    /// `<prefix>/api/v1`, without a slash at its end.
    api_root: Vec<u8>,
}

impl Router {
    /// Routes below `prefix` (empty, or with a leading and no trailing slash) with the exposition at `telemetry_path`
    /// below it (SPEC 11.2). Where paths clash the exposition wins.
    pub fn new(prefix: &str, telemetry_path: &str, admin_api: bool) -> Self {
        const PUSHES: u8 = PUT | POST | DELETE;
        let below = |path: &str| [prefix, path].concat().into_bytes();
        let mut scrape = target::cleaned(&[prefix, "/", telemetry_path].concat().into_bytes());
        if scrape.len() > 1 && scrape.ends_with(b"/") {
            scrape.pop();
        }
        let pages = vec![
            Route::new(PUSHES, below("/metrics/job/"), Tail::Some, Kind::Push { job_is_base64: false }),
            Route::new(PUSHES, below("/metrics/job@base64/"), Tail::Some, Kind::Push { job_is_base64: true }),
            Route::new(GET, scrape, Tail::None, Kind::Scrape),
            Route::new(GET, below("/"), Tail::None, Kind::Page),
            Route::new(GET, below("/status"), Tail::None, Kind::Page),
            Route::new(GET, below("/static/"), Tail::Any, Kind::Static),
            Route::new(GET, below("/-/healthy"), Tail::None, Kind::Healthy),
            Route::new(GET, below("/-/ready"), Tail::None, Kind::Ready),
            Route::new(PUT | POST, below("/-/quit"), Tail::None, Kind::Quit),
            Route::new(GET, b"/-/quit".to_vec(), Tail::None, Kind::QuitExplain),
            Route::new(GET, below("/debug/pprof/"), Tail::Any, Kind::Debug),
        ];
        let mut api = vec![
            Route::new(GET, b"/status".to_vec(), Tail::None, Kind::ApiStatus),
            Route::new(GET, b"/metrics".to_vec(), Tail::None, Kind::ApiMetrics),
            Route::new(GET, b"/groups".to_vec(), Tail::None, Kind::ApiGroups),
            Route::new(GET, b"/groups/job/".to_vec(), Tail::Some, Kind::ApiGroup { job_is_base64: false }),
            Route::new(GET, b"/groups/job@base64/".to_vec(), Tail::Some, Kind::ApiGroup { job_is_base64: true }),
            Route::new(PUT, b"/groups/delete".to_vec(), Tail::None, Kind::ApiGroupsDelete),
            Route::new(GET, b"/telemetry".to_vec(), Tail::None, Kind::ApiTelemetry),
            Route::new(OPTIONS, b"/".to_vec(), Tail::Any, Kind::ApiOptions),
        ];
        if admin_api {
            api.push(Route::new(PUT, b"/admin/wipe".to_vec(), Tail::None, Kind::Wipe));
        }
        Self { pages: Table(pages), api: Table(api), api_root: below("/api/v1") }
    }

    /// Decides what the request is. `target` is as sent, with its query; `scratch` takes the decoded path.
    ///
    /// Allocates only for a redirect, once `scratch` is large enough.
    pub fn route<'s>(&self, method: &str, target: &[u8], scratch: &'s mut Vec<u8>) -> Decision<'s> {
        if target == b"*" {
            return if method == "OPTIONS" { Decision::Found(Endpoint::Star) } else { Decision::BadRequest };
        }
        if target.first() != Some(&b'/') {
            return if method == "CONNECT" { Decision::NotFound } else { Decision::BadRequest };
        }
        let target = Target::new(target);
        if target.decode(scratch).is_none() {
            return Decision::BadRequest;
        }
        if target.is_unclean && method != "CONNECT" {
            let location = target::location(&target::cleaned(target.path), Escapes::Kept, target.query);
            return Decision::Redirect { status: 307, location, html: method == "GET" };
        }
        self.route_path(method, scratch, target.query)
    }

    /// Whether the original reads the gzip header of such a request before it looks for a route: everywhere but below
    /// `/api/v1`, and for targets that are refused or redirected as sent (SPEC 1.1, 1.5).
    pub fn reads_body_first(&self, method: &str, target: &[u8], scratch: &mut Vec<u8>) -> bool {
        if target.first() != Some(&b'/') {
            return false;
        }
        let target = Target::new(target);
        if target.decode(scratch).is_none() || (target.is_unclean && method != "CONNECT") {
            return false;
        }
        !matches!(scratch.strip_prefix(self.api_root.as_slice()), Some(b"" | [b'/', ..]))
    }

    fn route_path<'s>(&self, method: &str, path: &'s [u8], query: Option<&[u8]>) -> Decision<'s> {
        match path.strip_prefix(self.api_root.as_slice()) {
            Some(b"") if method != "CONNECT" => {
                let location = target::location(&[&self.api_root, &b"/"[..]].concat(), Escapes::None, query);
                Decision::Redirect { status: 307, location, html: method == "GET" }
            }
            // The original's API does not know its own prefix, and so loses it in redirects.
            Some(inner @ [b'/', ..]) => self.api.decide(method, inner, query),
            _ => self.pages.decide(method, path, query),
        }
    }
}

// Methods as bits. The four of `ALLOW` are in alphabetical order, and are its index.
const DELETE: u8 = 1;
const GET: u8 = 2;
const POST: u8 = 4;
const PUT: u8 = 8;
const OPTIONS: u8 = 16;

/// The `Allow` header for every set of methods but OPTIONS, which it always names.
const ALLOW: [&str; 16] = [
    "OPTIONS",
    "DELETE, OPTIONS",
    "GET, OPTIONS",
    "DELETE, GET, OPTIONS",
    "OPTIONS, POST",
    "DELETE, OPTIONS, POST",
    "GET, OPTIONS, POST",
    "DELETE, GET, OPTIONS, POST",
    "OPTIONS, PUT",
    "DELETE, OPTIONS, PUT",
    "GET, OPTIONS, PUT",
    "DELETE, GET, OPTIONS, PUT",
    "OPTIONS, POST, PUT",
    "DELETE, OPTIONS, POST, PUT",
    "GET, OPTIONS, POST, PUT",
    "DELETE, GET, OPTIONS, POST, PUT",
];

/// The bit of a method, none for those without any route.
fn method_bit(method: &str) -> u8 {
    match method {
        "DELETE" => DELETE,
        "GET" => GET,
        "POST" => POST,
        "PUT" => PUT,
        "OPTIONS" => OPTIONS,
        _ => 0,
    }
}

#[derive(Clone, Debug)]
struct Table(Vec<Route>);

impl Table {
    fn decide<'s>(&self, method: &str, path: &'s [u8], query: Option<&[u8]>) -> Decision<'s> {
        let bit = method_bit(method);
        if let Some((route, tail)) = self.find(bit, path) {
            return Decision::Found(route.endpoint(bit, tail));
        }
        if let Some(elsewhere) = self.near(bit, path) {
            let location = target::location(&elsewhere, Escapes::None, query);
            let is_get = bit == GET;
            return Decision::Redirect { status: if is_get { 301 } else { 307 }, location, html: is_get };
        }
        match [DELETE, GET, POST, PUT].into_iter().filter(|bit| self.find(*bit, path).is_some()).sum::<u8>() {
            0 => Decision::NotFound,
            methods if bit == OPTIONS => Decision::Options { allow: ALLOW[usize::from(methods)] },
            methods => Decision::MethodNotAllowed { allow: ALLOW[usize::from(methods)] },
        }
    }

    /// The route of a method that matches, and what it leaves of the path.
    fn find<'p>(&self, bit: u8, path: &'p [u8]) -> Option<(&Route, &'p [u8])> {
        self.0.iter().filter(|route| route.methods & bit != 0).find_map(|route| {
            let tail = path.strip_prefix(route.literal.as_slice())?;
            route.tail.allows(tail).then_some((route, tail))
        })
    }

    /// The path of the same method that was probably meant (SPEC 1.3, step 2).
    fn near(&self, bit: u8, path: &[u8]) -> Option<Vec<u8>> {
        if path == b"/" || bit == 0 {
            return None;
        }
        let twin = slash_twin(path);
        if self.find(bit, &twin).is_some() || self.is_push_without_job(bit, path) {
            return Some(twin);
        }
        let cleaned = target::cleaned(path);
        self.find_any_case(bit, &cleaned).or_else(|| self.find_any_case(bit, &slash_twin(&cleaned)))
    }

    /// The original takes the slash off `/metrics/job/` too, although that leads nowhere.
    fn is_push_without_job(&self, bit: u8, path: &[u8]) -> bool {
        self.0.iter().any(|route| route.methods & bit != 0 && route.tail == Tail::Some && route.literal == path)
    }

    /// The path in the right case, its variable part as it is, if some route of the method matches it.
    fn find_any_case(&self, bit: u8, path: &[u8]) -> Option<Vec<u8>> {
        self.0.iter().filter(|route| route.methods & bit != 0).find_map(|route| {
            let (head, tail) = path.split_at_checked(route.literal.len())?;
            let matches = head.eq_ignore_ascii_case(&route.literal) && route.tail.allows(tail);
            matches.then(|| [route.literal.as_slice(), tail].concat())
        })
    }
}

/// The path with its trailing slash taken off, or with one added.
fn slash_twin(path: &[u8]) -> Vec<u8> {
    match path {
        [shorter @ .., b'/'] => shorter.to_vec(),
        _ => [path, b"/"].concat(),
    }
}

#[derive(Clone, Debug)]
struct Route {
    methods: u8,
    /// What the path starts with, up to its variable part.
    literal: Vec<u8>,
    tail: Tail,
    kind: Kind,
}

/// What may follow the literal part of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    None,
    /// At least one byte.
    Some,
    Any,
}

impl Tail {
    fn allows(self, tail: &[u8]) -> bool {
        match self {
            Tail::None => tail.is_empty(),
            Tail::Some => !tail.is_empty(),
            Tail::Any => true,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Push { job_is_base64: bool },
    Scrape,
    Page,
    Static,
    Healthy,
    Ready,
    Quit,
    QuitExplain,
    Debug,
    ApiStatus,
    ApiMetrics,
    ApiGroups,
    ApiGroup { job_is_base64: bool },
    ApiGroupsDelete,
    ApiTelemetry,
    ApiOptions,
    Wipe,
}

impl Route {
    fn new(methods: u8, literal: Vec<u8>, tail: Tail, kind: Kind) -> Self {
        Self { methods, literal, tail, kind }
    }

    fn endpoint<'s>(&self, bit: u8, tail: &'s [u8]) -> Endpoint<'s> {
        match self.kind {
            Kind::Push { job_is_base64 } => {
                let path = GroupingPath::new(tail, job_is_base64);
                if bit == DELETE { Endpoint::Delete { path } } else { Endpoint::Push { replace: bit == PUT, path } }
            }
            Kind::Scrape => Endpoint::Scrape,
            Kind::Page => Endpoint::Page,
            // No asset has an empty name, nor one that is not UTF-8.
            Kind::Static => Endpoint::Static(str::from_utf8(tail).unwrap_or_default()),
            Kind::Healthy => Endpoint::Healthy,
            Kind::Ready => Endpoint::Ready,
            Kind::Quit => Endpoint::Quit,
            Kind::QuitExplain => Endpoint::QuitExplain,
            Kind::Debug => Endpoint::Debug { is_known: is_profile(tail) },
            Kind::ApiStatus => Endpoint::ApiStatus,
            Kind::ApiMetrics => Endpoint::ApiMetrics,
            Kind::ApiGroups => Endpoint::ApiGroups,
            Kind::ApiGroup { job_is_base64 } => Endpoint::ApiGroup { path: GroupingPath::new(tail, job_is_base64) },
            Kind::ApiGroupsDelete => Endpoint::ApiGroupsDelete,
            Kind::ApiTelemetry => Endpoint::ApiTelemetry,
            Kind::ApiOptions => Endpoint::ApiOptions,
            Kind::Wipe => Endpoint::Wipe,
        }
    }
}

/// Whether the original has a profiling page of that name; the empty one is the index (SPEC 10, number 6).
fn is_profile(name: &[u8]) -> bool {
    const PAGES: [&str; 10] =
        ["", "cmdline", "profile", "symbol", "allocs", "block", "goroutine", "heap", "mutex", "threadcreate"];
    PAGES.iter().any(|page| page.as_bytes() == name)
}

#[cfg(test)]
mod tests;
