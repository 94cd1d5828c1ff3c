//! The requests for one group, and whether its state can have come of them.
//!
//! A state can if there is an order of the requests such that each comes behind those that were acknowledged before it was
//! sent, all acknowledged ones are in it, and their effects one after the other are the state. Requests that were not
//! acknowledged may be in it or not.
//!
//! Who wrote what is known, as each request writes a generation of its own. So an order is looked for among the writers of
//! what is there: the last request that replaced the whole group, and the later ones whose families are still there.

use std::time::{Instant, SystemTime};

/// How many families a group may have.
pub const FAMILIES: usize = 30;

/// The generation of each family that a request writes.
pub type Writes = [Option<u64>; FAMILIES];

/// A request for the group.
#[derive(Clone, Debug)]
pub struct Record {
    /// What it writes.
    pub writes: Writes,
    /// Whether families that it does not write are gone behind it.
    pub is_whole: bool,
    /// When it was sent; `None` if it stands for all that was before.
    pub sent: Option<Instant>,
    /// The same by the calendar.
    pub wall: Option<SystemTime>,
    /// When its answer said that it was done.
    pub acknowledged: Option<Instant>,
}

/// What is shown of a group; nothing if it is not there.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The generation of each family.
    pub families: Writes,
    /// When it was pushed to, seconds; zero if it is not there.
    pub pushed: f64,
}

impl Default for State {
    fn default() -> Self {
        Self { families: [None; FAMILIES], pushed: 0.0 }
    }
}

/// The requests since the group was last looked at.
#[derive(Debug, Default)]
pub struct History {
    base: State,
    records: Vec<Record>,
}

impl History {
    /// Starts anew with the group as it is.
    pub fn begin(&mut self, base: State) {
        self.records.clear();
        self.base = base;
    }

    /// A request was sent.
    pub fn add(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Whether the state can have come of the requests.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, state: &State) -> Result<(), String> {
        let base = Record { writes: self.base.families, is_whole: true, sent: None, wall: None, acknowledged: None };
        let records: Vec<&Record> = std::iter::once(&base).chain(&self.records).collect();
        let whole = (0..records.len()).filter(|at| records[*at].is_whole);
        let mut writers = whole.filter_map(|last| writers(&records, last, state));
        let Some(found) = writers.find(|writers| is_in_order(&records, writers, state)) else {
            return Err(self.complaint(state));
        };
        self.check_time(&records, &found, state)
    }

    /// The push time is that of a request that has written something: not before the last of them was sent.
    fn check_time(&self, records: &[&Record], writers: &[usize], state: &State) -> Result<(), String> {
        if state.pushed == 0.0 {
            return Ok(());
        }
        // Of the first it is not known whether it was done if nothing of it is there.
        let is_there = |at: usize| {
            (0..FAMILIES)
                .any(|family| state.families[family].is_some() && state.families[family] == records[at].writes[family])
        };
        let wall = writers.iter().filter(|at| is_there(**at)).filter_map(|at| records[*at].wall).max();
        let Some(wall) = wall else {
            let is_same = state.pushed == self.base.pushed;
            return if is_same { Ok(()) } else { Err(format!("the push time was {}: {state:?}", self.base.pushed)) };
        };
        let seconds = wall.duration_since(SystemTime::UNIX_EPOCH).expect("it is not that early").as_secs_f64();
        // Shown times are rounded to about a microsecond.
        let is_later = state.pushed > seconds - 1e-5;
        if is_later { Ok(()) } else { Err(format!("pushed at {}, and sent at {seconds}", state.pushed)) }
    }

    fn complaint(&self, state: &State) -> String {
        let first = self.records.iter().filter_map(|record| record.sent).min();
        let since = |at: Option<Instant>| at.zip(first).map(|(at, first)| at.duration_since(first).as_micros());
        let mut lines: Vec<_> = self.records.iter().map(|record| (since(record.sent), record)).collect();
        lines.sort_by_key(|(sent, _)| *sent);
        let skipped = lines.len().saturating_sub(30);
        let shown: Vec<_> = lines[skipped..]
            .iter()
            .map(|(sent, record)| {
                let generation = record.writes.iter().flatten().next();
                let families: Vec<_> = (0..FAMILIES).filter(|at| record.writes[*at].is_some()).collect();
                let what = if record.is_whole { "replaces all" } else { "writes" };
                format!("{sent:?} to {:?} us: {generation:?} {what} {families:?}", since(record.acknowledged))
            })
            .collect();
        format!(
            "no order of requests leads to {state:?}\nfrom {:?}\nthe last {} of {}:\n{}",
            self.base,
            shown.len(),
            lines.len(),
            shown.join("\n")
        )
    }
}

/// Who has written what is there, if `last` was the last one to replace the whole group: `last`, then the others.
fn writers(records: &[&Record], last: usize, state: &State) -> Option<Vec<usize>> {
    let mut writers = vec![last];
    for (family, generation) in state.families.iter().enumerate() {
        let Some(generation) = generation else {
            if records[last].writes[family].is_some() {
                return None;
            }
            continue;
        };
        let writer = records.iter().position(|record| record.writes[family] == Some(*generation))?;
        if writer != last && records[writer].is_whole {
            return None;
        }
        if !writers.contains(&writer) {
            writers.push(writer);
        }
    }
    Some(writers)
}

/// Whether these can have been the last writers, in some order with `writers[0]` first.
fn is_in_order(records: &[&Record], writers: &[usize], state: &State) -> bool {
    // Whether one request has to be before another as it was acknowledged before that one was sent.
    let is_before = |one: usize, other: usize| match (records[one].sent, records[other].sent) {
        (None, other) => other.is_some(),
        (_, None) => false,
        (_, Some(sent)) => records[one].acknowledged.is_some_and(|acknowledged| acknowledged < sent),
    };
    let last = writers[0];
    // Whether a request, if it is in the order, has to be before this writer.
    let is_overwritten_by = |at: usize, writer: usize| {
        if at == writer {
            return false;
        }
        let record = records[at];
        if writer == last {
            let writes_what_is_gone =
                (0..FAMILIES).any(|family| record.writes[family].is_some() && state.families[family].is_none());
            let is_below = (0..FAMILIES).any(|family| {
                record.writes[family].is_some()
                    && records[last].writes[family].is_some_and(|generation| state.families[family] == Some(generation))
            });
            return record.is_whole || writes_what_is_gone || is_below;
        }
        at == last
            || record.is_whole
            || (0..FAMILIES).any(|family| {
                record.writes[family].is_some()
                    && records[writer].writes[family].is_some()
                    && state.families[family] == records[writer].writes[family]
            })
    };
    let is_applied = |at: usize| at == 0 || records[at].acknowledged.is_some() || writers.contains(&at);
    let applied: Vec<usize> = (0..records.len()).filter(|at| is_applied(*at)).collect();
    // An edge leads from one writer to another that has to be behind it, over at most one request in between.
    let has_edge = |one: usize, other: usize| {
        (one != other && is_before(one, other))
            || applied.iter().any(|at| is_overwritten_by(*at, other) && (*at == one || is_before(one, *at)))
    };
    has_no_circle(writers, &has_edge)
}

/// Takes away writers that nothing left has to be before, until none is left or all that are left are in circles.
fn has_no_circle(writers: &[usize], has_edge: &dyn Fn(usize, usize) -> bool) -> bool {
    let edges: Vec<Vec<bool>> =
        writers.iter().map(|one| writers.iter().map(|other| has_edge(*one, *other)).collect()).collect();
    let mut left: Vec<usize> = (0..writers.len()).collect();
    while !left.is_empty() {
        let free = left.iter().position(|other| !left.iter().any(|one| edges[*one][*other]));
        let Some(free) = free else { return false };
        left.remove(free);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Requests as `generation families sent acknowledged`, `=` in front of those that replace everything; no generation
    /// for those that write nothing.
    fn history(requests: &[&str]) -> History {
        let start = Instant::now();
        let time = |text: &str| text.parse().ok().map(|ms| start + Duration::from_millis(ms));
        let mut history = History::default();
        for request in requests {
            let is_whole = request.starts_with('=');
            let words: Vec<_> = request.trim_start_matches('=').split(' ').collect();
            let mut writes = [None; FAMILIES];
            for family in words[1].split(',').filter_map(|family| family.parse::<usize>().ok()) {
                writes[family] = words[0].parse().ok();
            }
            let (sent, acknowledged) = (time(words[2]), time(words[3]));
            history.add(Record { writes, is_whole, sent, wall: Some(SystemTime::UNIX_EPOCH), acknowledged });
        }
        history
    }

    /// The states that can have come of requests, and those that cannot: `family:generation` each.
    #[track_caller]
    fn check(requests: &[&str], possible: &[&str], impossible: &[&str]) {
        let state = |text: &str| {
            let mut state = State::default();
            for (family, generation) in text.split(' ').filter_map(|pair| pair.split_once(':')) {
                state.families[family.parse::<usize>().expect("a number")] = generation.parse().ok();
                state.pushed = 1.0;
            }
            state
        };
        let history = history(requests);
        for text in possible {
            assert_eq!(history.check(&state(text)), Ok(()), "{requests:?}: {text}");
        }
        for text in impossible {
            assert!(history.check(&state(text)).is_err(), "{requests:?}: {text}");
        }
    }

    #[test]
    fn states_are_told_apart() {
        check(&[], &[""], &["0:1"]);
        // Not acknowledged: all of it or nothing.
        check(&["=1 0,1 0 -"], &["", "0:1 1:1"], &["0:1", "1:1", "0:1 1:1 2:1"]);
        check(&["=1 0,1 0 5"], &["0:1 1:1"], &["", "0:1"]);
        // One behind the other.
        check(&["=1 0 0 5", "=2 1 6 9"], &["1:2"], &["0:1", "", "0:1 1:2"]);
        check(&["=1 0 0 5", "=2 1 6 -"], &["1:2", "0:1"], &["", "0:1 1:2"]);
        check(&["1 0,1 0 5", "2 1,2 6 9"], &["0:1 1:2 2:2"], &["0:1 1:1 2:2", "0:1 1:1", "1:2 2:2"]);
        check(&["1 0,1 0 5", "2 1,2 6 -"], &["0:1 1:2 2:2", "0:1 1:1"], &["0:1 1:1 2:2", "0:1 1:2"]);
        check(&["1 0 0 5", "=- - 6 9"], &[""], &["0:1"]);
        check(&["1 0 0 5", "=- - 4 9"], &["", "0:1"], &[]);
        check(&["=- - 0 5", "1 0 6 9"], &["0:1"], &[""]);
        // At the same time: one order for all families.
        check(&["1 0,1 0 9", "2 0,1 1 8"], &["0:1 1:1", "0:2 1:2"], &["0:1 1:2", "0:2 1:1", "0:1", ""]);
        check(
            &["1 0,1 0 9", "2 1,2 1 8", "3 2,0 2 7"],
            &["0:1 1:2 2:2", "0:1 1:1 2:3", "0:3 1:2 2:3"],
            &["0:1 1:2 2:3", "0:3 1:1 2:2"],
        );
        check(&["=1 0 0 9", "2 1 1 8", "=3 2 2 7"], &["0:1", "0:1 1:2", "2:3", "1:2 2:3"], &["0:1 2:3", "1:2", ""]);
        // What was acknowledged is behind what was before it, even if that was never answered.
        check(&["=1 0 0 -", "=2 1 1 5", "=3 2 6 -"], &["0:1", "1:2", "2:3"], &["", "0:1 1:2"]);
        check(&["=1 0 0 3", "=2 1 4 5", "=3 2 6 -"], &["1:2", "2:3"], &["", "0:1"]);
    }

    #[test]
    fn a_state_goes_on_from_the_one_before() {
        let mut history = history(&["1 1 0 5"]);
        let mut base = State { pushed: 3.0, ..State::default() };
        base.families[0] = Some(7);
        history.base = base.clone();
        let mut both = base.clone();
        both.families[1] = Some(1);
        assert_eq!(history.check(&both), Ok(()));
        assert!(history.check(&base).is_err());
        history.begin(both.clone());
        assert_eq!(history.check(&both), Ok(()));
        assert!(history.check(&base).is_err());
        assert!(history.check(&State { pushed: 4.0, ..both }).is_err());
    }
}
