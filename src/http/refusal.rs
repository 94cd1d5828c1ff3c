//! Why a request head is refused, and with what: status and body of the answers the connection gives by itself.
//!
//! Owns no parsing and no writing. Refusals that the application decides (404, 405, a bad push) are not its business.

use std::fmt;

use crate::limits::{HEADERS_MAX, Limit, Reached};

/// A request head that the application never sees (SPEC 1.6). The answer is final: the connection closes behind it.
///
/// `Display` gives the body of the answer, byte for byte; there is no line feed at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Broken request line, target, header or Content-Length; two Host headers (RFC 9112 2.2, 3, 5, 6.3).
    BadRequest,
    /// HTTP/1.1 without Host (RFC 9112 3.2).
    MissingHost,
    /// A Host header with bytes that no host has (RFC 9112 3.2).
    MalformedHost,
    /// `Expect` with anything but `100-continue` (RFC 9110 10.1.1).
    UnknownExpectation,
    /// More bytes than the connection takes (RFC 6585 5).
    HeadTooLarge {
        /// How many it takes.
        most: usize,
    },
    /// More headers than `HEADERS_MAX`.
    TooManyHeaders,
    /// It came too slowly, or there is no room for it.
    Limited(Reached),
    /// Transfer-Encoding other than the one value `chunked` (RFC 9112 6.1).
    UnsupportedTransferEncoding,
    /// A major version other than 1 (RFC 9110 15.6.6).
    UnsupportedVersion,
}

impl Refusal {
    /// The status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::MissingHost | Self::MalformedHost => 400,
            Self::UnknownExpectation => 417,
            Self::HeadTooLarge { .. } | Self::TooManyHeaders => 431,
            Self::Limited(reached) => reached.limit.status(),
            Self::UnsupportedTransferEncoding => 501,
            Self::UnsupportedVersion => 505,
        }
    }

    /// The limit that it is for, if it is for one that a flag sets.
    pub const fn limit(self) -> Option<Limit> {
        match self {
            Self::HeadTooLarge { .. } => Some(Limit::HeadBytes),
            Self::Limited(reached) => Some(reached.limit),
            _ => None,
        }
    }

    /// The body of the answer, up to what is known of a limit.
    const fn text(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::MissingHost => "400 Bad Request: missing required Host header",
            Self::MalformedHost => "400 Bad Request: malformed Host header",
            Self::UnknownExpectation | Self::Limited(_) => "",
            Self::HeadTooLarge { .. } | Self::TooManyHeaders => "431 Request Header Fields Too Large",
            Self::UnsupportedTransferEncoding => "Unsupported transfer encoding",
            Self::UnsupportedVersion => "505 HTTP Version Not Supported: unsupported protocol version",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        match self {
            Self::HeadTooLarge { most } => {
                write!(f, ": {}", Reached { limit: Limit::HeadBytes, value: *most as u64 })
            }
            Self::TooManyHeaders => write!(f, ": more than {HEADERS_MAX} headers"),
            Self::Limited(reached) => reached.fmt(f),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}
