//! Store operations: any run of pushes, deletes and wipes leaves the store as its oracle says.

use crate::limits::QUOTE_BYTES_MAX;
use crate::model::sample::Kind;
use crate::store::naive::{Labels, Push, PushedFamily, Step, Twins};

/// Most steps of one run; longer input is cut, so that runs stay fast.
const STEPS_MAX: usize = 64;

const NAMES: [&str; 8] = ["a", "h", "h_count", "h_bucket", "s", "s_sum", "m_own", "push_time_seconds"];
const LABELS: [&str; 6] = ["instance", "x", "y", "le", "quantile", "__r"];
const VALUES: [&str; 4] = ["", "1", "q\"\\\n", "é\0"];
/// A value that is too long to be quoted, in bytes that take four when they are.
const LONG: &str = match str::from_utf8(&[1; 2 * QUOTE_BYTES_MAX]) {
    Ok(long) => long,
    Err(_) => panic!("it is ASCII"),
};
const KINDS: [Kind; 6] =
    [Kind::Gauge, Kind::Counter, Kind::Untyped, Kind::Histogram, Kind::Summary, Kind::GaugeHistogram];

/// Reads `data` as a run of operations and takes them with the store and with its oracle.
pub fn store_ops(data: &[u8]) {
    run(Twins::default(), data);
    run(Twins::unchecked(), data);
    run(Twins::large(), data);
    run(Twins::in_steps(1 + data.len() % 7), data);
}

fn run(mut twins: Twins, data: &[u8]) {
    let mut input = Input(data);
    for _ in 0..STEPS_MAX {
        if input.0.is_empty() {
            break;
        }
        let step = input.step();
        twins.step(&step);
        if input.byte() & 7 == 0 {
            twins.hold();
        }
    }
}

/// Choices, one byte each; zero when there are no more.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::from(self.byte()) % list.len()]
    }

    fn step(&mut self) -> Step {
        match self.byte() {
            0..=3 => Step::Wipe,
            4..=40 => Step::Delete(self.group()),
            41..=60 => Step::Own(usize::from(self.byte()) % 3, (self.byte() & 1 == 0).then_some(7)),
            61..=90 => {
                let [body, group] = [self.byte(), self.byte()].map(|byte| usize::from(byte & 3));
                Step::Again { body, group, add: i64::from(self.byte()) * 500 }
            }
            choice => Step::Push(Push {
                is_replace: choice & 1 == 0,
                has_timestamp: choice == 255,
                is_interleaved: choice & 2 == 0,
                is_whole: choice & 4 == 4,
                labels: self.group(),
                families: self.families(),
            }),
        }
    }

    fn group(&mut self) -> Labels {
        // A reserved name cannot come out of a path, so the last one is for bodies only.
        let mut labels = self.labels(&LABELS[..5]);
        labels.push(("job".to_owned(), self.pick(&["j", "k"]).to_owned()));
        labels
    }

    fn labels(&mut self, names: &[&str]) -> Labels {
        let present = self.byte();
        let chosen = names.iter().enumerate().filter(|(at, _)| present >> at & 1 == 1);
        chosen.map(|(_, name)| ((*name).to_owned(), self.value().to_owned())).collect()
    }

    fn value(&mut self) -> &'static str {
        match self.byte() {
            252..=255 => LONG,
            byte => VALUES[usize::from(byte) % VALUES.len()],
        }
    }

    fn families(&mut self) -> Vec<PushedFamily> {
        let present = self.byte();
        let chosen = NAMES.iter().enumerate().filter(|(at, _)| present >> at & 1 == 1);
        chosen.map(|(_, name)| self.family(name)).collect()
    }

    fn family(&mut self, name: &str) -> PushedFamily {
        let kind = self.pick(&KINDS);
        let help = match self.byte() & 3 {
            0 => None,
            help => Some(format!("help {help}")),
        };
        let is_compound = kind.is_histogram() || kind == Kind::Summary;
        // Bounds of a compound are given away to its own labels, as the parser does.
        let names = if is_compound { &LABELS[..3] } else { &LABELS[..] };
        let count = match self.byte() {
            byte @ 0..=250 => usize::from(byte & 3),
            byte => usize::from(byte) * 3,
        };
        let mut metrics = Vec::new();
        for at in 0..count {
            let mut labels = if count > 3 { Labels::new() } else { self.labels(names) };
            if count > 3 {
                labels.push(("id".to_owned(), format!("{at:010}")));
            }
            // Long ones are told apart by their id already.
            if !is_compound || count > 3 || !metrics.iter().any(|(known, _)| *known == labels) {
                metrics.push((labels, if is_compound { 5 } else { at as i64 }));
            }
        }
        PushedFamily { name: name.to_owned(), kind, help, metrics }
    }
}
