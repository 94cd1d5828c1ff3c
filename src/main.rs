//! The binary: command line, then server, then an exit status.

use std::process::ExitCode;

use pushgateway::cli::{self, Command};
use pushgateway::server;

fn main() -> ExitCode {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let path = words.next().unwrap_or_default();
    let program = path.rsplit('/').next().unwrap_or_default();
    match cli::parse(program, words.collect(), &mut |file| std::fs::read_to_string(file)) {
        Ok(Command::Help(text)) => show(&text),
        Ok(Command::Version) => show(&server::version()),
        Ok(Command::Serve(flags)) => server::serve(&flags).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
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
