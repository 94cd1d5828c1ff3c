//! The gateway's own metrics (SPEC 7.8): plain values that the app updates, rendered as finished sample lines.
//!
//! Does not know the store, nor how its lines are put between those of pushed families; HELP and TYPE lines are the
//! caller's too, made from [`FAMILIES`]. Counting, observing and rendering do not allocate once warm.

mod process;
mod requests;
mod summary;

pub use requests::{Handler, Method};

use std::time::Duration;

use crate::limits::{LIMITS, LIMITS_COUNT, Limit};
use crate::model::build::Build;
use crate::model::number;
use crate::model::sample::Kind;
use crate::model::time::Timestamp;
use process::Process;
use requests::Requests;
use summary::{QUANTILES, Summary};

/// A family of the gateway's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnFamily {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its help text, unescaped.
    pub help: &'static str,
}

const fn family(name: &'static str, kind: Kind, help: &'static str) -> OwnFamily {
    OwnFamily { name, kind, help }
}

/// All own families, in name order, whether or not they have series at the moment.
pub const FAMILIES: [OwnFamily; 23] = [
    family("process_cpu_seconds_total", Kind::Counter, "Total user and system CPU time spent in seconds."),
    family("process_max_fds", Kind::Gauge, "Maximum number of open file descriptors."),
    family(
        "process_network_receive_bytes_total",
        Kind::Counter,
        "Number of bytes received by the process over the network.",
    ),
    family(
        "process_network_transmit_bytes_total",
        Kind::Counter,
        "Number of bytes sent by the process over the network.",
    ),
    family("process_open_fds", Kind::Gauge, "Number of open file descriptors."),
    family("process_resident_memory_bytes", Kind::Gauge, "Resident memory size in bytes."),
    family("process_start_time_seconds", Kind::Gauge, "Start time of the process since unix epoch in seconds."),
    family("process_virtual_memory_bytes", Kind::Gauge, "Virtual memory size in bytes."),
    family("process_virtual_memory_max_bytes", Kind::Gauge, "Maximum amount of virtual memory available in bytes."),
    family("promhttp_metric_handler_requests_in_flight", Kind::Gauge, "Current number of scrapes being served."),
    family("promhttp_metric_handler_requests_total", Kind::Counter, "Total number of scrapes by HTTP status code."),
    family(
        "pushgateway_build_info",
        Kind::Gauge,
        "A metric with a constant '1' value labeled by version, revision, branch, goversion from which pushgateway was \
         built, and the goos and goarch for the build.",
    ),
    family(
        "pushgateway_http_push_duration_seconds",
        Kind::Summary,
        "HTTP request duration for pushes to the Pushgateway.",
    ),
    family("pushgateway_http_push_size_bytes", Kind::Summary, "HTTP request size for pushes to the Pushgateway."),
    family(
        "pushgateway_http_requests_total",
        Kind::Counter,
        "Total HTTP requests processed by the Pushgateway, excluding scrapes.",
    ),
    family(
        "pushgateway_limit_refusals_total",
        Kind::Counter,
        "Total requests refused, connections closed or kept waiting for a limit; the flag is --limit.NAME.",
    ),
    family(
        "pushgateway_persistence_commit_duration_seconds",
        Kind::Summary,
        "Time that commits of changed groups to the persistence file took.",
    ),
    family(
        "pushgateway_persistence_commit_failures_total",
        Kind::Counter,
        "Total commits to the persistence file that failed.",
    ),
    family(
        "pushgateway_persistence_commits_total",
        Kind::Counter,
        "Total commits to the persistence file that succeeded.",
    ),
    family("pushgateway_persistence_file_bytes", Kind::Gauge, "Size of the persistence file in bytes."),
    family(
        "pushgateway_persistence_last_commit_timestamp_seconds",
        Kind::Gauge,
        "Unix time of the last successful commit to the persistence file, 0 if there was none.",
    ),
    family(
        "pushgateway_persistence_queue_length",
        Kind::Gauge,
        "Groups whose last change is not in the persistence file yet.",
    ),
    family(
        "pushgateway_scrape_pages_compressed_total",
        Kind::Counter,
        "Total pages of pushed text compressed for scrapes; pages that did not change are not compressed again.",
    ),
];

/// Where the families that are not `process_*` stand; those come first and in the order of [`process::Readings`].
const SCRAPES_IN_FLIGHT: usize = 9;
const SCRAPES: usize = 10;
const BUILD_INFO: usize = 11;
const PUSH_DURATION: usize = 12;
const PUSH_SIZE: usize = 13;
const REQUESTS: usize = 14;
const LIMIT_REFUSALS: usize = 15;
const COMMIT_DURATION: usize = 16;
const COMMIT_FAILURES: usize = 17;
const COMMITS: usize = 18;
const FILE_BYTES: usize = 19;
const LAST_COMMIT: usize = 20;
const QUEUE_LENGTH: usize = 21;
const PAGES_COMPRESSED: usize = 22;

/// The methods that push, as the summaries label them, in label order.
const PUSH_METHODS: [&str; 2] = ["post", "put"];

/// The status codes that a scrape may end with.
const SCRAPE_CODES: [u16; 3] = [200, 500, 503];

/// The least observations the summaries tell apart, as powers of two: a nanosecond and a byte.
const LEAST_SECONDS_LOG2: i32 = -30;
const LEAST_BYTES_LOG2: i32 = 0;

/// What there is to say about the persistence file, if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Persistence {
    /// Commits that succeeded.
    pub commits: u64,
    /// Commits that failed.
    pub failures: u64,
    /// Groups whose last change is not on the disk.
    pub queue_length: u64,
    /// When a commit last succeeded; zero if none did.
    pub last_commit: Timestamp,
    /// The length of the file, bytes.
    pub file_bytes: u64,
}

/// The values of all own families.
pub struct Telemetry {
    build_info: String,
    process: Process,
    requests: Requests,
    /// Of one method each, in the order of `PUSH_METHODS`.
    push_sizes: [Summary; 2],
    push_durations: [Summary; 2],
    commit_durations: Summary,
    scrapes_in_flight: u64,
    /// One count per code of `SCRAPE_CODES`.
    scrapes: [u64; 3],
    pages_compressed: u64,
    /// One count per limit.
    refusals: [u64; LIMITS_COUNT],
    /// The lines of one family; kept for its capacity.
    lines: Vec<u8>,
}

impl Telemetry {
    /// Own metrics of a server that started at this time. Reads once what does not change while the process lives.
    pub fn new(build: &Build, started: Timestamp) -> Self {
        Self {
            build_info: build_info(build),
            process: Process::new(started),
            requests: Requests::default(),
            push_sizes: [Summary::new(LEAST_BYTES_LOG2), Summary::new(LEAST_BYTES_LOG2)],
            push_durations: [Summary::new(LEAST_SECONDS_LOG2), Summary::new(LEAST_SECONDS_LOG2)],
            commit_durations: Summary::new(LEAST_SECONDS_LOG2),
            scrapes_in_flight: 0,
            scrapes: [0; 3],
            pages_compressed: 0,
            refusals: [0; LIMITS_COUNT],
            lines: Vec::new(),
        }
    }

    /// Takes nothing from the kernel: a simulation has to come out the same every time.
    #[cfg(test)]
    pub fn simulate(&mut self) {
        self.process.simulate();
    }

    /// Counts a request that a handler has answered. Scrapes, redirects and requests without handler do not count.
    pub fn count_request(&mut self, handler: Handler, method: Method, status: u16) {
        self.requests.count(handler, method, status);
    }

    /// Observes a push, refused ones too: its size as SPEC 7.8 defines it, and how long it took. `now` is the time
    /// since the start on a monotonic clock. A method other than POST counts as PUT.
    pub fn observe_push(&mut self, method: Method, size_bytes: u64, seconds: f64, now: Duration) {
        let index = if method == Method::Post { 0 } else { 1 };
        self.push_sizes[index].observe(size_bytes as f64, now);
        self.push_durations[index].observe(seconds, now);
    }

    /// A commit succeeded, and took so long. `now` is as above.
    pub fn observe_commit(&mut self, seconds: f64, now: Duration) {
        self.commit_durations.observe(seconds, now);
    }

    /// A scrape begins; call it before rendering, since a scrape counts itself.
    pub fn scrape_started(&mut self) {
        self.scrapes_in_flight += 1;
    }

    /// A scrape has ended with this status; anything but 200 and 503 counts as 500.
    pub fn scrape_ended(&mut self, status: u16) {
        self.scrapes_in_flight = self.scrapes_in_flight.saturating_sub(1);
        let index = SCRAPE_CODES.iter().position(|code| *code == status).unwrap_or(1);
        self.scrapes[index] += 1;
    }

    /// Something was refused for a limit, or had to wait.
    pub fn count_refusal(&mut self, limit: Limit) {
        self.refusals[limit as usize] += 1;
    }

    /// A page of pushed text was compressed for a scrape.
    pub fn count_compressed_page(&mut self) {
        self.pages_compressed += 1;
    }

    /// Hands the sample lines of every family to `each`, with its index in [`FAMILIES`] and in that order. A family
    /// without series has no lines, nor have those of a persistence file that there is not. `now` is the time since the
    /// start on a monotonic clock.
    pub fn render(&mut self, now: Duration, kept: Option<&Persistence>, each: &mut dyn FnMut(usize, &[u8])) {
        let process = self.process.readings(now).in_name_order();
        let mut lines = std::mem::take(&mut self.lines);
        for (index, OwnFamily { name, .. }) in FAMILIES.iter().enumerate() {
            lines.clear();
            match index {
                SCRAPES_IN_FLIGHT => push_line(&mut lines, &[name], self.scrapes_in_flight as f64),
                SCRAPES => self.push_scrapes(&mut lines, name),
                BUILD_INFO => push_line(&mut lines, &[name, &self.build_info], 1.0),
                PUSH_DURATION => push_summaries(&mut lines, name, &mut self.push_durations, now),
                PUSH_SIZE => push_summaries(&mut lines, name, &mut self.push_sizes, now),
                REQUESTS => self.requests.push_lines(&mut lines, name),
                LIMIT_REFUSALS => self.push_refusals(&mut lines, name),
                PAGES_COMPRESSED => push_line(&mut lines, &[name], self.pages_compressed as f64),
                COMMIT_DURATION if kept.is_some() => push_summary(&mut lines, name, &mut self.commit_durations, now),
                _ => {
                    let value = process
                        .get(index)
                        .copied()
                        .unwrap_or_else(|| kept.and_then(|kept| persistence_value(kept, index)));
                    if let Some(value) = value {
                        push_line(&mut lines, &[name], value);
                    }
                }
            }
            each(index, &lines);
        }
        self.lines = lines;
    }

    fn push_scrapes(&self, lines: &mut Vec<u8>, name: &str) {
        for (code, count) in ["200", "500", "503"].iter().zip(self.scrapes) {
            push_line(lines, &[name, "{code=\"", code, "\"}"], count as f64);
        }
    }

    fn push_refusals(&self, lines: &mut Vec<u8>, name: &str) {
        for (rule, count) in LIMITS.iter().zip(self.refusals) {
            push_line(lines, &[name, "{limit=\"", rule.limit.name(), "\"}"], count as f64);
        }
    }
}

fn persistence_value(kept: &Persistence, index: usize) -> Option<f64> {
    match index {
        COMMIT_FAILURES => Some(kept.failures as f64),
        COMMITS => Some(kept.commits as f64),
        FILE_BYTES => Some(kept.file_bytes as f64),
        LAST_COMMIT => Some(kept.last_commit.seconds()),
        QUEUE_LENGTH => Some(kept.queue_length as f64),
        _ => None,
    }
}

fn push_summary(lines: &mut Vec<u8>, name: &str, summary: &mut Summary, now: Duration) {
    for ((_, rank), value) in QUANTILES.iter().zip(summary.quantiles(now)) {
        push_line(lines, &[name, "{quantile=\"", rank, "\"}"], value);
    }
    push_line(lines, &[name, "_sum"], summary.sum());
    push_line(lines, &[name, "_count"], summary.count() as f64);
}

fn push_summaries(lines: &mut Vec<u8>, name: &str, summaries: &mut [Summary; 2], now: Duration) {
    for (method, summary) in PUSH_METHODS.iter().zip(summaries) {
        if summary.count() == 0 {
            continue;
        }
        for ((_, rank), value) in QUANTILES.iter().zip(summary.quantiles(now)) {
            push_line(lines, &[name, "{method=\"", method, "\",quantile=\"", rank, "\"}"], value);
        }
        push_line(lines, &[name, "_sum{method=\"", method, "\"}"], summary.sum());
        push_line(lines, &[name, "_count{method=\"", method, "\"}"], summary.count() as f64);
    }
}

/// Appends a sample line; `series` is the name and the labels, in pieces.
fn push_line(lines: &mut Vec<u8>, series: &[&str], value: f64) {
    for piece in series {
        lines.extend_from_slice(piece.as_bytes());
    }
    lines.push(b' ');
    number::write(lines, value);
    lines.push(b'\n');
}

fn build_info(build: &Build) -> String {
    let labels = [
        ("branch", build.branch),
        ("goarch", build.goarch),
        ("goos", build.goos),
        ("goversion", build.go_version),
        ("revision", build.revision),
        ("tags", build.tags),
        ("version", build.version),
    ];
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

const _: () = assert!(process::READINGS == SCRAPES_IN_FLIGHT && PAGES_COMPRESSED + 1 == FAMILIES.len());

#[cfg(test)]
mod tests;
