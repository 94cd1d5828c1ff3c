//! Why pushes are refused, and the texts of that.

use std::fmt::{self, Write as _};

use super::problem::Problems;
use crate::limits::{FAILURE_REASON_BYTES_MAX, Reached};

/// Why a push was refused (SPEC 5.4). Shown as the answer's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A sample has a timestamp.
    Timestamps,
    /// The result would be inconsistent.
    Inconsistent(Problems),
    /// The group's push times would be the same series as those of a group that differs only by an empty
    /// `instance`; no group was created (SPEC appendix B, 3).
    Twin(Problems),
    /// There is no room for it, or it would cost too much to check it; nothing at all was changed.
    NoRoom(Reached),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Refusal::NoRoom(reached) = self {
            return reached.fmt(f);
        }
        f.write_str("pushed metrics are invalid or inconsistent with existing metrics: ")?;
        self.detail().fmt(f)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// What is wrong, without the words that all refusals begin with.
    fn detail(&self) -> &dyn fmt::Display {
        match self {
            Refusal::NoRoom(reached) => reached,
            Refusal::Timestamps => &"pushed metrics must not have timestamps",
            Refusal::Inconsistent(problems) | Refusal::Twin(problems) => problems,
        }
    }

    /// The same, as short as a group keeps it.
    pub(super) fn reason(&self) -> Box<str> {
        let mut reason = Short(String::new());
        // The only error is that the rest does not fit, which is what the bound is for.
        let _ = write!(reason, "{}", self.detail());
        reason.0.into_boxed_str()
    }
}

/// Takes the beginning of a text: [`FAILURE_REASON_BYTES_MAX`] of it, whole characters.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = FAILURE_REASON_BYTES_MAX - self.0.len();
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}
