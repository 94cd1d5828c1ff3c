//! The disk of a simulated machine: none, one that keeps records, or one that keeps the bytes of the real database.

use std::sync::OnceLock;
use std::time::Duration;

use super::World;
use crate::app::Now;
use crate::model::time::Timestamp;
use crate::persist::Journal;
use crate::persist::simulated::{ByteDisk, Disk as Device, FakeDisk, Fault, Hand};
use crate::random::Random;
use crate::server::sim::model::{Lines, pushed_lines};
use crate::store::Snapshot;

/// See the module.
pub struct Disk {
    kind: Kind,
    /// It could not be used at a start.
    is_refused: bool,
}

enum Kind {
    None,
    Records(FakeDisk),
    Bytes(ByteDisk),
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.kind {
            Kind::None => "no disk",
            Kind::Records(_) => "records",
            Kind::Bytes(_) => "bytes",
        })
    }
}

impl Disk {
    pub fn random(random: &mut Random) -> Self {
        let kind = match random.below(16) {
            0..5 => Kind::None,
            5 => Kind::Bytes(ByteDisk::of(empty())),
            _ => Kind::Records(FakeDisk::default()),
        };
        Self { kind, is_refused: false }
    }

    /// A disk that keeps records, or none.
    pub fn plain(is_there: bool) -> Self {
        let kind = if is_there { Kind::Records(FakeDisk::default()) } else { Kind::None };
        Self { kind, is_refused: false }
    }

    /// The disk as a server opens it.
    pub fn device(&self) -> Option<Box<dyn Device>> {
        match &self.kind {
            Kind::None => None,
            Kind::Records(disk) => Some(Box::new(disk.clone())),
            Kind::Bytes(disk) => Some(Box::new(disk.clone())),
        }
    }

    /// Something fails soon.
    pub fn spoil(&self, random: &mut Random) -> String {
        match &self.kind {
            Kind::None => "there is no disk".to_owned(),
            Kind::Records(disk) => {
                let fault = if random.one_in(3) { Fault::Reopen } else { Fault::Commit };
                let after = random.index(3);
                disk.platter().faults.push((fault, after));
                format!("{fault:?} fails behind {after} more")
            }
            Kind::Bytes(disk) => {
                let left = random.index(80);
                disk.sectors().left = Some(left);
                format!("the disk works {left} more times")
            }
        }
    }

    /// The next start fails.
    pub fn spoil_start(&self) {
        match &self.kind {
            Kind::None => {}
            Kind::Records(disk) => disk.platter().faults.push((Fault::Load, 0)),
            Kind::Bytes(disk) => disk.sectors().left = Some(1),
        }
    }

    /// Nothing fails any more.
    pub fn heal(&mut self) {
        self.is_refused = false;
        match &self.kind {
            Kind::None => {}
            Kind::Records(disk) => disk.platter().faults.clear(),
            Kind::Bytes(disk) => disk.sectors().left = None,
        }
    }

    /// The machine goes down: what is on the disk afterwards, with or without power.
    pub fn freeze(&mut self, loses_power: bool, random: &mut Random) {
        match &self.kind {
            Kind::None => {}
            // Nobody goes on writing to what a new process opens.
            Kind::Records(disk) => {
                let groups = disk.platter().groups.clone();
                let new = FakeDisk::default();
                new.platter().groups = groups;
                self.kind = Kind::Records(new);
            }
            Kind::Bytes(disk) => {
                let sectors = disk.sectors().clone();
                let bytes = if loses_power { sectors.after_power_loss(random) } else { sectors.bytes() };
                self.kind = Kind::Bytes(ByteDisk::of(bytes));
            }
        }
    }

    pub fn note_refused(&mut self) {
        self.is_refused = true;
    }

    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    pub fn is_none(&self) -> bool {
        matches!(self.kind, Kind::None)
    }

    /// A copy to look at.
    fn copy(&self) -> Self {
        let mut copy = Self {
            kind: match &self.kind {
                Kind::None => Kind::None,
                Kind::Records(disk) => Kind::Records(disk.clone()),
                Kind::Bytes(disk) => Kind::Bytes(disk.clone()),
            },
            is_refused: false,
        };
        copy.freeze(false, &mut Random::new(0));
        copy
    }
}

impl World {
    /// What a server would show that starts on this disk now.
    pub fn kept_lines(&self) -> Lines {
        let Some(device) = self.disk.copy().device() else { return Lines::new() };
        let mut app = self.app();
        let (worker, mut hand) = Hand::new(device);
        app.keep(Journal::new(worker, "simulated".into(), self.weather.sync));
        hand.work();
        while hand.tell().is_some() {}
        let now = Now { wall: Timestamp(0), uptime: Duration::ZERO };
        while app.take_events(now).expect("the disk can be used") {}
        assert!(!app.is_loading(), "a start that does not end");
        let mut snapshot = Snapshot::default();
        app.store().snapshot(&mut snapshot);
        let text: Vec<u8> = snapshot.pieces().iter().flat_map(|piece| piece.iter().copied()).collect();
        pushed_lines(&String::from_utf8(text).expect("the exposition is text"))
    }
}

/// The database when nothing was stored yet.
fn empty() -> Vec<u8> {
    static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
    EMPTY
        .get_or_init(|| {
            let disk = ByteDisk::default();
            drop(ByteDisk::open(&mut disk.clone()).expect("a new one can be made"));
            disk.sectors().bytes()
        })
        .clone()
}
