//! The binary: command line, then server, then an exit status.

use std::process::ExitCode;
use std::time::SystemTime;

use pushgateway::app::{App, Settings};
use pushgateway::cli::address::ListenAddress;
use pushgateway::cli::flags::Flags;
use pushgateway::cli::{self, Command};
use pushgateway::log::{Format, Level, Logger, Value};
use pushgateway::model::build::Build;
use pushgateway::model::time::Timestamp;
use pushgateway::server::Server;

fn main() -> ExitCode {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let path = words.next().unwrap_or_default();
    let program = path.rsplit('/').next().unwrap_or_default();
    match cli::parse(program, words.collect(), &mut |file| std::fs::read_to_string(file)) {
        Ok(Command::Help(text)) => show(&text),
        Ok(Command::Version) => show(&format!("{}\n", Build::current().version_text())),
        Ok(Command::Serve(flags)) => serve(&flags),
        Err(error) => {
            eprintln!("{program}: error: {error}, try --help");
            ExitCode::FAILURE
        }
    }
}

fn show(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

fn serve(flags: &Flags) -> ExitCode {
    let level = Level::named(&flags.log_level).unwrap_or(Level::Info);
    let format = Format::named(&flags.log_format).unwrap_or(Format::Logfmt);
    let build = Build::current();
    let mut log = Logger::stderr(level, format);
    log.info("starting pushgateway", &[("version", Value::Shown(&build.info()))]);
    log.info("Build context", &[("build_context", Value::Shown(&build.context()))]);
    log.debug("external URL", &[("url", Value::Str(&flags.external_url.text))]);
    log.debug("path prefix used externally", &[("path", Value::Str(&flags.external_prefix()))]);
    log.debug("path prefix for internal routing", &[("path", Value::Str(&flags.route_prefix))]);
    if let Err(reason) = flags.unsupported() {
        log.error("cannot start", &[("err", Value::Str(&reason))]);
        return ExitCode::FAILURE;
    }
    let settings = Settings {
        route_prefix: flags.route_prefix.clone(),
        telemetry_path: flags.telemetry_path.clone(),
        link_prefix: flags.external_prefix(),
        has_admin_api: flags.enable_admin_api,
        has_lifecycle: flags.enable_lifecycle,
        flags: flags.listing(),
        build,
        started: Timestamp::from_system(SystemTime::now()),
    };
    match run(App::new(settings, log), &flags.listen_addresses) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            Logger::stderr(level, format).error("HTTP server stopped", &[("err", Value::Str(&reason))]);
            ExitCode::FAILURE
        }
    }
}

fn run(app: App, addresses: &[String]) -> Result<(), String> {
    let mut server = Server::new(app).map_err(|error| error.to_string())?;
    server.watch_signals().map_err(|error| format!("cannot watch signals: {error}"))?;
    for address in addresses {
        let parsed = ListenAddress::parse(address).map_err(|error| error.to_string())?;
        server.listen(&parsed).map_err(|error| format!("listen tcp {address}: {error}"))?;
    }
    server.run().map_err(|error| error.to_string())
}
