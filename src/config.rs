//! The file of `--web.config.file` (SPEC 11.3): its text in, checked settings out, or which of its fields is wrong.
//!
//! `yaml` reads the syntax, `web` knows the keys, `hash` the form of stored passwords; `tls` makes of the settings what
//! a handshake needs, and `watch` follows the files. Decides about no request and no connection.

pub mod hash;
pub mod names;
pub mod tls;
pub mod watch;
pub mod web;

mod yaml;

use std::fmt;
use std::io;
use std::path::Path;

use crate::model::quote::Plain;

/// Why a configuration cannot be used: one line that names the field or the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// A failed operation on a file in Go's words: `open F: no such file or directory`.
fn file_error(operation: &str, path: &Path, error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(text.as_str(), |(reason, _)| reason);
    let first_bytes = text.chars().next().map_or(0, char::len_utf8);
    let path = Plain(path.as_os_str().as_encoded_bytes());
    format!("{operation} {path}: {}{}", text[..first_bytes].to_ascii_lowercase(), &text[first_bytes..])
}
