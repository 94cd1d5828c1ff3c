//! The place of the helper thread in a build without persistence: a type of which there is no value. So there is no value
//! of a journal either, which the compiler knows, and it leaves out all that needs one.

use super::batch::Batch;
use super::report::Report;

#[derive(Debug)]
pub enum Worker {}

impl Worker {
    pub fn commit(&self, _: Batch) {
        match *self {}
    }

    pub fn replace_foreign(&self) {
        match *self {}
    }

    pub fn report(&self) -> Option<Report> {
        match *self {}
    }

    pub fn finish(&mut self) {
        match *self {}
    }
}
