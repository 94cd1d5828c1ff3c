//! A push while its body arrives: the parser's state and what it has read so far.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::exposition::text::{ParseError, Parser};
use crate::model::name::Names;
use crate::store::{Mode, Staged};
use crate::telemetry::Method;

/// A push on its way in. Reused from push to push for its working memory.
#[derive(Default)]
pub struct Push {
    parser: Parser,
    staged: Staged,
    /// What is known of its request.
    pub origin: Option<Origin>,
}

/// The request of a push.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// PUT or POST.
    pub mode: Mode,
    /// The same for the own metrics.
    pub method: Method,
    /// Its size as the own metrics count it, bytes (SPEC 7.8).
    pub size: u64,
    /// When its head was complete, since the start of the process.
    pub started: Duration,
    /// Who sent it.
    pub peer: SocketAddr,
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Push {
    /// Starts a push to the group of these labels, sorted by name.
    pub fn begin<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        names: Names,
        origin: Origin,
    ) {
        self.parser.reset(names);
        self.staged.begin(labels);
        self.origin = Some(origin);
    }

    /// Takes a piece of the body.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), ParseError> {
        self.parser.feed(piece, &mut self.staged)
    }

    /// The body is complete: what is to be stored.
    pub fn finish(&mut self) -> Result<&mut Staged, ParseError> {
        self.parser.finish(&mut self.staged)?;
        self.staged.seal();
        Ok(&mut self.staged)
    }

    /// Forgets the push, so that it can be kept for the next one.
    pub fn clear(&mut self) {
        self.staged.clear();
        self.parser.reset(Names::Classic);
        self.origin = None;
    }
}
