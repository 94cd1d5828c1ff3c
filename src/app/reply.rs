//! What the application answers, before HTTP frames it: status, headers, and a body that may still have to be made.

use std::borrow::Cow;
use std::fmt;

use smallvec::{SmallVec, smallvec};

use super::conversion::Conversion;
use super::query::stream::JsonBody;
use crate::limits::ERROR_BYTES_MAX;
use crate::model::cut::bounded;
use crate::store::Snapshot;

const PLAIN: &str = "text/plain; charset=utf-8";

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The content type; none for answers without body.
    pub content_type: Option<&'static str>,
    /// Further headers.
    pub headers: SmallVec<[(&'static str, Cow<'static, str>); 1]>,
    /// The body.
    pub body: ReplyBody,
    /// The connection closes behind it.
    pub closes: bool,
    /// It goes without the configured headers.
    pub is_bare: bool,
}

/// The body of an answer.
#[derive(Debug)]
pub enum ReplyBody {
    /// None.
    Empty,
    /// Finished bytes.
    Bytes(Cow<'static, [u8]>),
    /// The exposition as it was when it was asked for.
    Exposition(Snapshot),
    /// The same as a gzip member, of which parts may still have to be made.
    Compressed(Snapshot),
    /// The same in another format, written while it is sent.
    Converted(Box<Conversion>),
    /// JSON that is written while it is sent.
    Json(Box<JsonBody>),
}

impl Reply {
    /// An answer without body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            headers: SmallVec::new(),
            body: ReplyBody::Empty,
            closes: false,
            is_bare: false,
        }
    }

    /// An answer with a body of this type.
    pub fn with_body(status: u16, content_type: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        let body = ReplyBody::Bytes(body.into());
        Self { content_type: Some(content_type), body, ..Self::empty(status) }
    }

    /// Plain text without the error headers (SPEC 1.2).
    pub fn text(status: u16, text: &'static str) -> Self {
        Self::with_body(status, PLAIN, text.as_bytes())
    }

    /// An error: the message and a line feed, with the error headers (SPEC 1.4). Messages are short by themselves; one
    /// that is not is cut.
    #[inline(never)]
    pub fn error(status: u16, message: &dyn fmt::Display) -> Self {
        let headers = smallvec![("X-Content-Type-Options", Cow::Borrowed("nosniff"))];
        let mut text = bounded(message, ERROR_BYTES_MAX - 1);
        text.push('\n');
        Self { headers, ..Self::with_body(status, PLAIN, text.into_bytes()) }
    }

    /// The same with one more header.
    #[inline(never)]
    pub fn header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_bounded() {
        let check = |message: &str, expected: &str| {
            let ReplyBody::Bytes(body) = Reply::error(400, &message).body else { panic!("an error has a text") };
            assert_eq!(str::from_utf8(&body), Ok(expected));
        };
        check("job name is required", "job name is required\n");
        let fits = "x".repeat(ERROR_BYTES_MAX - 1);
        check(&fits, &format!("{fits}\n"));
        check(&format!("{fits}x"), &format!("{}...\n", &fits[3..]));
    }
}
