//! YAML text to events: nothing but a call of the parser, which is generic and so compiled by the crate that names it.
//!
//! A crate of its own, since a profile sets the optimization of whole packages, and configuration is read too seldom to
//! pay for 40 kB of program. Builds nothing out of the events, and knows no rule of the configuration.

pub use saphyr_parser::{Event, ScalarStyle};
use saphyr_parser::{Parser, StrInput};

/// The events of a text.
pub struct Events<'a>(Parser<'a, StrInput<'a>>);

impl<'a> Events<'a> {
    /// Those of this text, from its beginning.
    pub fn new(text: &'a str) -> Self {
        Self(Parser::new_from_str(text))
    }

    /// The next one and the line that it starts in, from 1; `None` at the end.
    ///
    /// # Errors
    /// The line, and what is wrong with the YAML there.
    #[inline(never)]
    pub fn next(&mut self) -> Result<Option<(usize, Event<'a>)>, (usize, String)> {
        match self.0.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((span.start.line(), event))),
            Some(Err(error)) => Err((error.marker().line(), error.info().to_owned())),
        }
    }
}
