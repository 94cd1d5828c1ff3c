//! The command line (SPEC 11.1): arguments in, a [`Command`] or the reason why not out. Has no side effects.
//!
//! `arguments` reads the words by the original's rules and rewrites them to the form that argh takes (kebab-case names,
//! no `=`); `flags` owns what each flag means. Opens no file (the caller's closure does) and prints nothing.

pub mod address;
pub mod duration;
pub mod flags;
pub mod prefix;
pub mod url;

mod arguments;
mod help;
mod limits;

use std::fmt;
use std::io;

use flags::Flags;

use crate::model::cut::{LeftOut, Start};

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Serve with these flags.
    Serve(Box<Flags>),
    /// Write this text to stdout and exit with status 0.
    Help(String),
    /// Write the six lines of the build information to stdout and exit with status 0.
    Version,
}

/// Why a command line is refused: the MESSAGE of `PROGRAM: error: MESSAGE, try --help`; exit status 1 (SPEC 11.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the arguments (without the program's own name). `program` is the base name it was started under, for help
/// texts; `read_file` returns the content of an `@FILE`.
///
/// # Errors
/// The message of SPEC 11.1 for a word that is no flag, a missing, needless or unreadable value, a repeated flag, or
/// a set of paths that cannot be served (SPEC 11.2).
pub fn parse(
    program: &str,
    words: Vec<String>,
    read_file: &mut dyn FnMut(&str) -> io::Result<String>,
) -> Result<Command, UsageError> {
    if words.first().is_some_and(|word| word == "--completion-bash") {
        return Ok(Command::Help(help::completion_words()));
    }
    let read = arguments::read(words, read_file);
    // As in the original, these win over whatever is wrong further right, and over wrong values anywhere.
    match read.information {
        Some(arguments::Information::Version) => return Ok(Command::Version),
        Some(arguments::Information::Text(kind)) => return Ok(Command::Help(help::text(program, kind))),
        None => {}
    }
    if let Some(failure) = read.failure {
        return Err(failure);
    }
    if read.help {
        return Ok(Command::Help(help::text(program, help::Text::Usage)));
    }
    Flags::from_settings(&read.settings).map(|flags| Command::Serve(Box::new(flags)))
}

/// Quotes a word of the command line for a message as Go's `time` package does: `"` and `\` escaped, everything but
/// printable ASCII as `\xNN`.
fn quoted(text: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        let start = Start::of(text.as_bytes());
        f.write_str("\"")?;
        for byte in start.bytes.iter().copied() {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                b' '..=b'~' => write!(f, "{}", char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        write!(f, "\"{}", LeftOut(start.left_out))
    })
}

#[cfg(test)]
mod tests;
