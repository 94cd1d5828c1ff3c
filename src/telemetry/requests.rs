//! How often each handler has answered which method with which status.
//!
//! Series appear with their first count. There are few of them, so they are a sorted list.

use super::push_line;

/// A handler, in the order of its label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handler {
    /// GET of a page of groups, or of one, and deletion of those that a search finds.
    ApiGroups,
    /// GET of the metrics as JSON.
    ApiMetrics,
    /// OPTIONS of the JSON API.
    ApiOptions,
    /// GET of the status as JSON.
    ApiStatus,
    /// GET of the gateway's own metrics as JSON.
    ApiTelemetry,
    /// Deletion of a group.
    Delete,
    /// The health check.
    Healthy,
    /// PUT and POST of metrics.
    Push,
    /// The readiness check.
    Ready,
    /// Assets of the page.
    Static,
    /// The page.
    Status,
    /// Deletion of all groups.
    Wipe,
}

impl Handler {
    /// Its label value.
    pub const fn name(self) -> &'static str {
        match self {
            Handler::ApiGroups => "api/v1/groups",
            Handler::ApiMetrics => "api/v1/metrics",
            Handler::ApiOptions => "api/v1/options",
            Handler::ApiStatus => "api/v1/status",
            Handler::ApiTelemetry => "api/v1/telemetry",
            Handler::Delete => "delete",
            Handler::Healthy => "healthy",
            Handler::Push => "push",
            Handler::Ready => "ready",
            Handler::Static => "static",
            Handler::Status => "status",
            Handler::Wipe => "wipe",
        }
    }
}

/// A request method, in the order of its label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// CONNECT.
    Connect,
    /// DELETE.
    Delete,
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// OPTIONS.
    Options,
    /// PATCH.
    Patch,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// TRACE.
    Trace,
    /// Any other: clients must not make up series.
    Unknown,
}

impl Method {
    /// The method of this token, which is case-sensitive (RFC 9110, 9.1).
    pub fn of(token: &[u8]) -> Self {
        match token {
            b"CONNECT" => Method::Connect,
            b"DELETE" => Method::Delete,
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"OPTIONS" => Method::Options,
            b"PATCH" => Method::Patch,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"TRACE" => Method::Trace,
            _ => Method::Unknown,
        }
    }

    /// Its label value.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Connect => "connect",
            Method::Delete => "delete",
            Method::Get => "get",
            Method::Head => "head",
            Method::Options => "options",
            Method::Patch => "patch",
            Method::Post => "post",
            Method::Put => "put",
            Method::Trace => "trace",
            Method::Unknown => "unknown",
        }
    }
}

/// The labels of a series; ordered as the exposition orders them.
type Series = (u16, Handler, Method);

/// The counts.
#[derive(Default)]
pub(super) struct Requests {
    /// Invariant: sorted by series, each once.
    counts: Vec<(Series, u64)>,
}

impl Requests {
    pub(super) fn count(&mut self, handler: Handler, method: Method, status: u16) {
        let series = (status, handler, method);
        match self.counts.binary_search_by_key(&series, |(series, _)| *series) {
            Ok(index) => self.counts[index].1 += 1,
            Err(index) => self.counts.insert(index, (series, 1)),
        }
    }

    pub(super) fn push_lines(&self, lines: &mut Vec<u8>, name: &str) {
        for ((status, handler, method), count) in &self.counts {
            let digits = [100, 10, 1].map(|unit| b'0' + (status / unit % 10) as u8);
            let code = str::from_utf8(&digits).unwrap_or_default();
            let labels = ["\",handler=\"", handler.name(), "\",method=\"", method.name(), "\"}"];
            let [h, handler, m, method, end] = labels;
            push_line(lines, &[name, "{code=\"", code, h, handler, m, method, end], *count as f64);
        }
    }
}
