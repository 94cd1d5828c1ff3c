//! From flags to a server that listens: settings, the first log lines, sockets.

use std::path::Path;
use std::time::SystemTime;

use super::Server;
use crate::app::{App, Settings};
use crate::cli::address::ListenAddress;
use crate::cli::flags::{Flags, PersistenceSync};
use crate::config::watch::Watch;
use crate::log::{Format, Level, Logger, Value};
use crate::model::build::Build;
use crate::model::name::Names;
use crate::model::time::Timestamp;
use crate::net;
use crate::net::notify::Supervisor;
use crate::persist::{Options, Sync};

/// The lines that `--version` prints (SPEC 11.1).
pub fn version() -> String {
    format!("{}\n", Build::current().version_text())
}

/// Serves as the flags say until a signal or a client ends it.
///
/// # Errors
/// Why it cannot serve, or not any longer; it has been logged.
pub fn serve(flags: &Flags) -> Result<(), String> {
    let level = Level::named(&flags.log_level).unwrap_or(Level::Info);
    let format = Format::named(&flags.log_format).unwrap_or(Format::Logfmt);
    let mut log = Logger::stderr(level, format);
    greet(flags, &mut log);
    let outcome = flags.unsupported().and_then(|()| run(flags, log));
    if let Err(reason) = &outcome {
        Logger::stderr(level, format).error("HTTP server stopped", &[("err", Value::Str(reason))]);
    }
    outcome
}

fn greet(flags: &Flags, log: &mut Logger) {
    let build = Build::current();
    log.info("starting pushgateway", &[("version", Value::Shown(&build.info()))]);
    log.info("Build context", &[("build_context", Value::Shown(&build.context()))]);
    log.debug("external URL", &[("url", Value::Str(&flags.external_url.text))]);
    log.debug("path prefix used externally", &[("path", Value::Str(&flags.external_prefix()))]);
    log.debug("path prefix for internal routing", &[("path", Value::Str(&flags.route_prefix))]);
}

/// How groups are to be kept, if they are.
fn persistence(flags: &Flags) -> Option<Options> {
    if flags.persistence_file.is_empty() {
        return None;
    }
    let sync = match flags.persistence_sync {
        PersistenceSync::Always => Sync::Always,
        PersistenceSync::Interval => Sync::Interval(flags.persistence_interval.to_std()),
    };
    let is_checked = !flags.disable_consistency_check;
    Some(Options { path: flags.persistence_file.clone().into(), sync, is_checked })
}

fn run(flags: &Flags, log: Logger) -> Result<(), String> {
    let settings = Settings {
        route_prefix: flags.route_prefix.clone(),
        telemetry_path: flags.telemetry_path.clone(),
        link_prefix: flags.external_prefix(),
        has_admin_api: flags.enable_admin_api,
        has_lifecycle: flags.enable_lifecycle,
        has_consistency_check: !flags.disable_consistency_check,
        names: if flags.enable_utf8_names { Names::Utf8 } else { Names::Classic },
        limits: flags.limits,
        flags: flags.listing(),
        flags_changed: flags.changed(),
        build: Build::current(),
        started: Timestamp::from_system(SystemTime::now()),
    };
    net::raise_descriptor_limit();
    let mut server = Server::new(App::new(settings, log)).map_err(|error| error.to_string())?;
    server.watch_signals().map_err(|error| format!("cannot watch signals: {error}"))?;
    if !flags.config_file.is_empty() {
        guard(flags, &mut server)?;
    }
    listen(flags, &mut server)?;
    if let Some(options) = persistence(flags) {
        server.keep(&options)?;
    }
    server.report_to(Supervisor::from_env());
    server.run().map_err(|error| error.to_string())
}

fn guard(flags: &Flags, server: &mut Server) -> Result<(), String> {
    let opened = Watch::open(Path::new(&flags.config_file), SystemTime::now());
    let (watch, web, handshake) = opened.map_err(|error| error.to_string())?;
    server.guard(watch, &web, handshake, flags.auth_exempt_probes).map_err(|error| error.to_string())
}

fn listen(flags: &Flags, server: &mut Server) -> Result<(), String> {
    if flags.systemd_socket {
        return server.listen_on_passed().map_err(|error| error.to_string());
    }
    for address in &flags.listen_addresses {
        let parsed = ListenAddress::parse(address).map_err(|error| error.to_string())?;
        server.listen(&parsed).map_err(|error| format!("listen tcp {address}: {error}"))?;
    }
    Ok(())
}
