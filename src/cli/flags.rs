//! The flags (SPEC 11.1): their names, what each takes, their values checked, and their listing for the API (SPEC 8.2).
//!
//! Does not read words: `arguments` has found the flags and their texts by then.

use argh::FromArgs;

use super::arguments::Setting;
use super::duration::GoDuration;
use super::url::ExternalUrl;
use super::{UsageError, limits, prefix};
use crate::limits::{LIMITS, Limit, Limits};
use crate::model::order;

/// Where the server listens unless told otherwise.
const LISTEN_ADDRESS_DEFAULT: &str = ":9091";

/// A flag by its name on the command line.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
}

/// What stands behind a flag.
pub(super) enum Takes {
    /// Nothing; `--no-NAME` switches it off.
    Nothing,
    /// A value that this function accepts.
    Value(fn(&str) -> Result<(), UsageError>),
    /// The value of a limit.
    Limit(Limit),
}

const fn switch(name: &'static str) -> Rule {
    Rule { name, takes: Takes::Nothing }
}

const fn value(name: &'static str, check: fn(&str) -> Result<(), UsageError>) -> Rule {
    Rule { name, takes: Takes::Value(check) }
}

/// The only flag that may stand more than once.
const REPEATABLE: &str = "web.listen-address";

/// All flags.
pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    static ALL: (&[Rule], &[Rule]) = (&RULES, &limits::RULES);
    ALL.0.iter().chain(ALL.1)
}

/// All flags but those of limits, sorted by name.
const RULES: [Rule; 16] = [
    value("log.format", log_format),
    value("log.level", |text| log_level(text).map(drop)),
    value("persistence.file", |_| Ok(())),
    value("persistence.interval", |text| text.parse::<GoDuration>().map(drop)),
    value("persistence.sync", |text| persistence_sync(text).map(drop)),
    switch("push.disable-consistency-check"),
    switch("push.enable-utf8-names"),
    switch("web.auth-exempt-probes"),
    value("web.config.file", |_| Ok(())),
    switch("web.enable-admin-api"),
    switch("web.enable-lifecycle"),
    value("web.external-url", |text| ExternalUrl::parse(text).map(drop)),
    value("web.listen-address", |_| Ok(())),
    value("web.route-prefix", |_| Ok(())),
    switch("web.systemd-socket"),
    value("web.telemetry-path", |_| Ok(())),
];

/// The values of all flags. Names are those of the command line with underscores.
#[derive(FromArgs, Debug, Clone, PartialEq)]
#[argh(
    help_triggers("-h", "--help"),
    description = "The Pushgateway: batch jobs push their metrics to it, Prometheus scrapes it."
)]
pub struct Flags {
    /// address to serve on; repeatable (default :9091)
    #[argh(option, long = "web-listen-address", arg_name = "address")]
    pub listen_addresses: Vec<String>,
    /// serve on the sockets that systemd passes instead (Linux only)
    #[argh(switch, long = "web-systemd-socket")]
    pub systemd_socket: bool,
    /// file that configures TLS, authentication and headers
    #[argh(option, long = "web-config-file", arg_name = "file", default = "String::new()")]
    pub config_file: String,
    /// let /-/healthy and /-/ready be asked without credentials
    #[argh(switch, long = "web-auth-exempt-probes")]
    pub auth_exempt_probes: bool,
    /// path of the exposition, below the route prefix (default /metrics)
    #[argh(option, long = "web-telemetry-path", arg_name = "path", default = "String::from(\"/metrics\")")]
    pub telemetry_path: String,
    /// the URL under which the Pushgateway is reachable from outside
    #[argh(
        option,
        long = "web-external-url",
        arg_name = "url",
        default = "ExternalUrl::default()",
        from_str_fn(external_url)
    )]
    pub external_url: ExternalUrl,
    /// prefix of all routes (default: the path of the external URL)
    #[argh(option, long = "web-route-prefix", arg_name = "prefix", default = "String::new()")]
    pub route_prefix: String,
    /// enable shutdown by a request to /-/quit
    #[argh(switch, long = "web-enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// enable the endpoint that wipes all groups
    #[argh(switch, long = "web-enable-admin-api")]
    pub enable_admin_api: bool,
    /// file to keep metrics in across restarts; if empty, they are kept in memory only
    #[argh(option, long = "persistence-file", arg_name = "file", default = "String::new()")]
    pub persistence_file: String,
    /// least interval between two writes of the persistence file (default 5m)
    #[argh(
        option,
        long = "persistence-interval",
        arg_name = "duration",
        default = "GoDuration(300_000_000_000)",
        from_str_fn(interval)
    )]
    pub persistence_interval: GoDuration,
    /// when changes are written: always, before they are answered, or at the interval (default always)
    #[argh(
        option,
        long = "persistence-sync",
        arg_name = "when",
        default = "PersistenceSync::Always",
        from_str_fn(sync)
    )]
    pub persistence_sync: PersistenceSync,
    /// do not check the consistency of pushed metrics; DANGEROUS
    #[argh(switch, long = "push-disable-consistency-check")]
    pub disable_consistency_check: bool,
    /// allow UTF-8 in the names of metrics and labels
    #[argh(switch, long = "push-enable-utf8-names")]
    pub enable_utf8_names: bool,
    /// least severity that is logged: debug, info, warn or error (default info)
    #[argh(option, long = "log-level", arg_name = "level", default = "String::from(\"info\")", from_str_fn(level))]
    pub log_level: String,
    /// form of log lines: logfmt or json (default logfmt)
    #[argh(option, long = "log-format", arg_name = "format", default = "String::from(\"logfmt\")")]
    pub log_format: String,
    /// all limits; argh does not get to see them, as there is a flag for each
    #[argh(option, long = "limits", hidden_help, default = "Limits::default()", from_str_fn(no_limits))]
    pub limits: Limits,
}

/// When changes are written to the persistence file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersistenceSync {
    /// Before they are answered.
    Always,
    /// At the interval of `--persistence.interval`.
    Interval,
}

impl PersistenceSync {
    const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Interval => "interval",
        }
    }
}

impl Flags {
    /// Checks the settings in their order, then hands them to argh in the spelling it takes.
    pub(super) fn from_settings(settings: &[Setting]) -> Result<Self, UsageError> {
        let mut words = Vec::new();
        let mut limits = Limits::default();
        for (position, Setting { rule, value }) in settings.iter().enumerate() {
            let is_repeated = settings[..position].iter().any(|earlier| earlier.rule.name == rule.name);
            if is_repeated && rule.name != REPEATABLE {
                return Err(UsageError(format!("flag '{}' cannot be repeated", rule.name)));
            }
            match rule.takes {
                Takes::Nothing if value == "false" => {}
                Takes::Nothing => words.push(kebab(rule.name)),
                Takes::Value(check) => {
                    check(value)?;
                    words.extend([kebab(rule.name), value.clone()]);
                }
                Takes::Limit(limit) => limits.set(limit, limits::parse(limit, value)?),
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let flags = Self::from_args(&["pushgateway"], &words).map_err(|exit| UsageError(exit.output))?;
        Self { limits, ..flags }.completed()
    }

    /// Fills in the defaults that depend on other flags, and checks what only shows when all are known.
    fn completed(mut self) -> Result<Self, UsageError> {
        if self.listen_addresses.is_empty() {
            self.listen_addresses.push(LISTEN_ADDRESS_DEFAULT.to_owned());
        }
        self.route_prefix = prefix::effective_route_prefix(&self.route_prefix, &self.external_url.path);
        prefix::check(&self.route_prefix, &self.telemetry_path)?;
        Ok(self)
    }

    /// The path of the exposition, prefix included and cleaned (SPEC 11.2).
    pub fn metrics_path(&self) -> String {
        prefix::metrics_path(&self.route_prefix, &self.telemetry_path)
    }

    /// The prefix of links in pages: the path of the external URL, whatever the route prefix is (SPEC 11.2).
    pub fn external_prefix(&self) -> String {
        prefix::normal(&self.external_url.path)
    }

    /// Every flag and its value as text, sorted by name (SPEC 8.2).
    pub fn listing(&self) -> Vec<(&'static str, String)> {
        let mut listing: Vec<_> = RULES.iter().map(|rule| (rule.name, self.shown(rule.name))).collect();
        listing.extend(LIMITS.iter().map(|rule| (rule.flag, limits::shown(&self.limits, rule.limit))));
        order::sort_by_key(&mut listing, |(name, _)| *name);
        listing
    }

    /// The names of the flags whose values are not those of a start without any, sorted. A value that follows from
    /// another flag counts as well.
    pub fn changed(&self) -> Vec<&'static str> {
        let defaults = Self::from_settings(&[]).map(|defaults| defaults.listing()).unwrap_or_default();
        let listing = self.listing();
        let differs = listing.iter().filter(|flag| !defaults.contains(flag));
        differs.map(|(name, _)| *name).collect()
    }

    fn shown(&self, name: &str) -> String {
        match name {
            "log.format" => self.log_format.clone(),
            "log.level" => self.log_level.clone(),
            "persistence.file" => self.persistence_file.clone(),
            "persistence.interval" => self.persistence_interval.to_string(),
            "persistence.sync" => self.persistence_sync.name().to_owned(),
            "push.disable-consistency-check" => self.disable_consistency_check.to_string(),
            "push.enable-utf8-names" => self.enable_utf8_names.to_string(),
            "web.auth-exempt-probes" => self.auth_exempt_probes.to_string(),
            "web.config.file" => self.config_file.clone(),
            "web.enable-admin-api" => self.enable_admin_api.to_string(),
            "web.enable-lifecycle" => self.enable_lifecycle.to_string(),
            "web.external-url" => self.external_url.text.clone(),
            "web.listen-address" => self.listen_addresses.join(","),
            "web.route-prefix" => self.route_prefix.clone(),
            "web.systemd-socket" => self.systemd_socket.to_string(),
            "web.telemetry-path" => self.telemetry_path.clone(),
            _ => unreachable!("a rule without field"),
        }
    }

    /// Whether everything asked for is there. A flag that would be ignored silently is worse than no start.
    ///
    /// # Errors
    /// One message that names every flag whose feature this build does not have.
    pub fn unsupported(&self) -> Result<(), String> {
        let asked =
            [("--web.listen-address=vsock://", self.listen_addresses.iter().any(|a| a.starts_with("vsock://")))];
        let missing: Vec<&str> = asked.iter().filter(|(_, is_asked)| *is_asked).map(|(flag, _)| *flag).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("not supported by this build: {}", missing.join(", "))) }
    }
}

/// A flag's name as argh takes it, dashes in front.
pub(super) fn kebab(name: &str) -> String {
    format!("--{}", name.replace('.', "-"))
}

fn log_level(text: &str) -> Result<String, UsageError> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "debug" | "info" | "warn" | "error" => Ok(lower),
        _ => Err(UsageError(format!("unrecognized log level {text}"))),
    }
}

fn log_format(text: &str) -> Result<(), UsageError> {
    match text {
        "logfmt" | "json" => Ok(()),
        _ => Err(UsageError(format!("unrecognized log format {text}"))),
    }
}

fn level(text: &str) -> Result<String, String> {
    log_level(text).map_err(|error| error.0)
}

fn persistence_sync(text: &str) -> Result<PersistenceSync, UsageError> {
    let known = [PersistenceSync::Always, PersistenceSync::Interval];
    let found = known.into_iter().find(|sync| sync.name() == text);
    found.ok_or_else(|| UsageError(format!("enum value must be one of always,interval, got '{text}'")))
}

fn sync(text: &str) -> Result<PersistenceSync, String> {
    persistence_sync(text).map_err(|error| error.0)
}

fn interval(text: &str) -> Result<GoDuration, String> {
    text.parse().map_err(|error: UsageError| error.0)
}

fn no_limits(_: &str) -> Result<Limits, String> {
    Err("there is no such flag".to_owned())
}

fn external_url(text: &str) -> Result<ExternalUrl, String> {
    ExternalUrl::parse(text).map_err(|error| error.0)
}
