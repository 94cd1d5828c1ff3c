//! The place of TLS in a build without it: a type of which there is no value.

use std::convert::Infallible;
use std::io::{self, IoSlice, Read, Write};

use super::stream::{Progress, Trouble};

/// There are no handshakes in this build.
pub type Handshake = Infallible;

#[derive(Debug)]
pub(super) enum Tls {}

impl Tls {
    pub(super) fn new(handshake: &Handshake) -> io::Result<Self> {
        match *handshake {}
    }

    pub(super) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(super) fn received_bytes(&self) -> usize {
        match *self {}
    }

    pub(super) fn unsent_bytes(&self) -> usize {
        match *self {}
    }

    pub(super) fn is_flushed(&self) -> bool {
        match *self {}
    }

    pub(super) fn read(
        &mut self,
        _: &mut (impl Read + Write),
        _: &mut [u8],
        _: &mut bool,
    ) -> Result<Progress, Trouble> {
        match *self {}
    }

    pub(super) fn write(&mut self, _: &mut impl Write, _: &[IoSlice<'_>]) -> Progress {
        match *self {}
    }

    pub(super) fn flush(&mut self, _: &mut impl Write) -> Progress {
        match *self {}
    }

    pub(super) fn say_goodbye(&mut self, _: &mut impl Write) -> bool {
        match *self {}
    }
}
