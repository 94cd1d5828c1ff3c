//! What has happened in a run: its end in words, and all of it as a number that tells runs apart.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// The transcript. Clones are the same.
#[derive(Clone, Debug)]
pub struct Transcript(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    digest: u64,
    lines: VecDeque<String>,
    lines_max: usize,
}

impl Transcript {
    /// Nothing has happened. So many lines are kept.
    pub fn new(lines_max: usize) -> Self {
        Self(Rc::new(RefCell::new(State { lines_max, ..State::default() })))
    }

    /// Something has happened.
    pub fn note(&self, what: impl FnOnce() -> String) {
        let mut state = self.0.borrow_mut();
        let line = what();
        // FNV-1a: the same everywhere.
        let digest = line.bytes().fold(state.digest ^ 0xcbf2_9ce4_8422_2325, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        state.digest = digest;
        // Turns in which nothing changes are many.
        let what_of =
            |line: &str| line.strip_prefix("turn ").and_then(|rest| Some(rest.split_once(": ")?.1.to_owned()));
        if what_of(&line).is_some() && state.lines.back().and_then(|last| what_of(last)) == what_of(&line) {
            state.lines.pop_back();
        }
        if state.lines.len() >= state.lines_max {
            state.lines.pop_front();
        }
        state.lines.push_back(line);
    }

    /// The number of all of it.
    pub fn digest(&self) -> u64 {
        self.0.borrow().digest
    }

    /// The last lines.
    pub fn end(&self) -> String {
        let state = self.0.borrow();
        let lines = state.lines.iter().map(|line| {
            let mut line = line.clone();
            if let Some((at, _)) = line.char_indices().nth(600) {
                line.truncate(at);
            }
            format!("  {line}\n")
        });
        lines.collect()
    }
}
