//! A machine of its own for one server: network, disk, helpers and clock, all moved by a script that follows from a seed.
//!
//! The server gets a turn when epoll would have returned: something is ready, a helper has woken it, or its patience is
//! at an end. So a wake-up that is lost shows as work that stays undone while the loop sleeps.

mod check;
mod disk;
mod quiet;
mod script;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use super::super::meter::Pace;
use super::client::{Circumstances, Client, Decision};
use super::model::Model;
use super::request::{Customs, PASSWORD, Request, Wish};
use super::transcript::Transcript;
use super::{Control, Decided, Server, Verdict};
use crate::app::{App, Settings};
use crate::auth;
use crate::config::hash::BcryptHash;
use crate::config::web::{User, WebConfig};
use crate::limits::{COMMIT_TIME_MAX, METERED_BYTES, TURN_TIME_MAX};
use crate::log::{Format, Level, Logger};
use crate::model::time::Timestamp;
use crate::net::simulated::Network;
use crate::persist::simulated::{Hand, Told};
use crate::persist::{Journal, Sync};
use crate::random::Random;

use disk::Disk;

/// When the machine was switched on, seconds since the epoch.
const EPOCH: u64 = 1_800_000_000;

/// Turns in which whatever is at hand is done. A small reader of a long answer takes most.
const TURNS_MAX: usize = 10_000;

/// Counts what has gone wrong with the disk.
pub type Trouble = u64;

/// How the server stands with its disk, by what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// There is none.
    None,
    Loading,
    Running,
    Failing,
}

/// What may happen in a run.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    customs: Customs,
    sync: Sync,
    has_faults: bool,
    /// Buffers of the network are small.
    is_narrow: bool,
    clients_max: usize,
    /// How fast turns pass.
    pace: Pace,
}

/// See the module.
pub struct World {
    random: Random,
    transcript: Transcript,
    weather: Weather,
    network: Network,
    server: Option<Server>,
    disk: Disk,
    hand: Option<Hand>,
    comparisons: Option<auth::Hand>,
    model: Model,
    clients: Vec<Client>,
    /// Whose connection has this address.
    peers: HashMap<SocketAddr, usize>,
    /// Numbers samples.
    clock: u64,
    now: Duration,
    booted_at: Duration,
    /// When a password was last compared.
    compared_at: Duration,
    /// A helper has woken the loop.
    is_woken: bool,
    /// When the patience of the loop is at an end.
    wakes_at: Option<Duration>,
    view: View,
    news: Vec<Told>,
    /// When the commit under way was handed over, in the server's time.
    commit_since: Option<Duration>,
    is_stalled: bool,
    trouble: Trouble,
    /// When the server was asked to end.
    ending: Option<Duration>,
    is_ended: bool,
    turns: u64,
}

impl World {
    /// A machine that is switched on.
    pub fn new(seed: u64, transcript: Transcript) -> Self {
        let mut random = Random::new(seed);
        let crowd = if random.one_in(4) { 16 } else { 6 };
        let weather = Weather {
            customs: Customs {
                has_users: random.one_in(4),
                is_long: random.one_in(4),
                has_quits: random.one_in(4),
                is_plain: false,
                is_greedy: random.one_in(4),
            },
            sync: if random.one_in(4) { Sync::Interval(Duration::from_secs(5)) } else { Sync::Always },
            has_faults: random.one_in(2),
            is_narrow: random.one_in(2),
            clients_max: 1 + random.index(crowd),
            pace: pace(&mut random),
        };
        let disk = Disk::random(&mut random);
        Self::with(weather, disk, random, transcript)
    }

    fn with(weather: Weather, disk: Disk, mut random: Random, transcript: Transcript) -> Self {
        transcript.note(|| format!("{weather:?} {disk:?}"));
        let network = Network::new(Random::new(random.bits()));
        let mut world = Self {
            random,
            transcript,
            weather,
            network,
            server: None,
            disk,
            hand: None,
            comparisons: None,
            model: Model::default(),
            clients: Vec::new(),
            peers: HashMap::new(),
            clock: 0,
            now: Duration::ZERO,
            booted_at: Duration::ZERO,
            compared_at: Duration::ZERO,
            is_woken: false,
            wakes_at: None,
            view: View::None,
            news: Vec::new(),
            commit_since: None,
            is_stalled: false,
            trouble: 0,
            ending: None,
            is_ended: false,
            turns: 0,
        };
        world.boot();
        world
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH) + self.now
    }

    fn app(&self) -> App {
        let started = Timestamp::from_system(self.wall());
        let settings = Settings { has_admin_api: true, has_lifecycle: true, ..Settings::plain(started) };
        let log = Logger::new(Level::Warn, Format::Logfmt, Box::new(|| Timestamp(0)), Box::new(std::io::sink()));
        let mut app = App::new(settings, log);
        app.simulate();
        app
    }

    /// Starts a server on what the disk has.
    fn boot(&mut self) {
        let mut app = self.app();
        if self.weather.customs.has_users {
            let salt = [7; 16];
            let mut digest = [0; 23];
            digest.copy_from_slice(&password_hash(salt)[..23]);
            let hash = BcryptHash { text: "simulated".to_owned(), cost: 4, salt, digest };
            let users = vec![User { name: "user".to_owned(), hash }];
            app.guard(&WebConfig { users, ..WebConfig::default() }, false, Box::new(|| ()));
            self.comparisons = app.simulate_comparisons();
        }
        (self.hand, self.view) = (None, View::None);
        if let Some(disk) = self.disk.device() {
            let (worker, hand) = Hand::new(disk);
            app.keep(Journal::new(worker, "simulated".into(), self.weather.sync));
            (self.hand, self.view) = (Some(hand), View::Loading);
        }
        let mut server = Server::new(app).expect("a server can be made");
        server.reactor = self.network.reactor().expect("a reactor can be made");
        server.accepting.push(true);
        server.shared.meter.pace = self.weather.pace;
        (self.booted_at, self.wakes_at) = (self.now, Some(self.now));
        (self.commit_since, self.is_stalled) = (None, false);
        (self.ending, self.is_ended, self.is_woken) = (None, false, false);
        self.news.clear();
        self.server = Some(server);
        self.transcript.note(|| "a server starts".to_owned());
    }

    fn uptime(&self) -> Duration {
        self.now - self.booted_at
    }

    // ---- the loop ----

    /// Whether the loop would not wait now.
    fn is_awake(&self) -> bool {
        let is_due = self.wakes_at.is_some_and(|at| at <= self.now);
        !self.is_ended && (is_due || self.is_woken || self.network.has_events())
    }

    /// One turn of the loop.
    fn turn(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        self.turns += 1;
        self.is_woken = false;
        self.learn();
        server.clock.stopped = Some((self.uptime(), self.wall()));
        self.network.set_time(self.now);
        self.network.begin_turn();
        let is_terminating = self.network.is_terminating();
        let outcome = server.turn(None);
        self.wakes_at = server.patience(None).map(|patience| self.now + patience);
        let decided = std::mem::take(&mut server.shared.decided);
        let (sessions, bytes) = (server.sessions.len(), server.most_buffered_bytes());
        let steps = server.shared.meter.pace.steps;
        let is_quitting = server.app.is_quitting();
        self.server = Some(server);
        self.transcript
            .note(|| format!("turn {} at {:?}: {outcome:?}, {sessions} {bytes} {steps}", self.turns, self.now));
        if self.ending.is_none() && (is_terminating || is_quitting) {
            self.ending = Some(self.now);
        }
        for decided in decided {
            self.decide(decided);
        }
        self.note_commit();
        self.check_turn(bytes, steps);
        match outcome {
            Ok(Control::Continue) => {}
            Ok(Control::Finished) => self.is_ended = true,
            Err(error) => {
                assert!(self.view == View::Failing || self.disk.is_refused(), "the loop ends: {error}");
                self.is_ended = true;
            }
        }
    }

    /// Runs the loop until it sleeps.
    fn run(&mut self) {
        for _ in 0..TURNS_MAX {
            if !self.is_awake() {
                self.check_asleep();
                return;
            }
            self.turn();
        }
        panic!("the loop turns and turns");
    }

    /// Lets time pass; the loop wakes up when its patience is at an end.
    pub fn pass(&mut self, time: Duration) {
        let target = self.now + time;
        self.transcript.note(|| format!("{time:?} pass until {target:?}"));
        while let Some(at) = self.wakes_at.filter(|at| *at <= target && !self.is_ended) {
            self.now = self.now.max(at);
            self.run();
            self.check_deadlines();
        }
        self.now = target;
        self.run();
        self.check_deadlines();
    }

    // ---- the disk ----

    /// What the server learns about its disk at the beginning of a turn.
    fn learn(&mut self) {
        let is_overdue = self.commit_since.is_some_and(|since| since + COMMIT_TIME_MAX <= self.uptime());
        if is_overdue && !self.is_stalled {
            (self.is_stalled, self.view) = (true, View::Failing);
            self.trouble += 1;
        }
        for told in std::mem::take(&mut self.news) {
            match told {
                Told::Loaded => {}
                Told::Ready | Told::Committed => self.view = View::Running,
                Told::Failed => {
                    self.view = View::Failing;
                    self.trouble += 1;
                }
                Told::Refused => self.disk.note_refused(),
            }
            if matches!(told, Told::Committed | Told::Failed) {
                (self.commit_since, self.is_stalled) = (None, false);
            }
        }
    }

    fn note_commit(&mut self) {
        let is_committing = self.view != View::Loading && self.hand.as_mut().is_some_and(Hand::has_work);
        if is_committing && self.commit_since.is_none() {
            self.commit_since = Some(self.uptime());
        }
    }

    /// The helper does the next thing, or tells of one.
    fn work(&mut self, tells: bool) -> bool {
        let Some(hand) = &mut self.hand else { return false };
        if !tells {
            let has_work = hand.has_work();
            hand.work();
            if has_work {
                self.transcript.note(|| "the disk works".to_owned());
            }
            return has_work;
        }
        let told = hand.tell();
        if let Some(told) = told {
            self.transcript.note(|| format!("the disk tells: {told:?}"));
            self.news.push(told);
            self.is_woken = true;
        }
        told.is_some()
    }

    /// Makes a comparison of passwords.
    fn compare(&mut self) -> bool {
        let Some(hand) = &mut self.comparisons else { return false };
        if !hand.has_work() {
            return false;
        }
        hand.work();
        (self.is_woken, self.compared_at) = (true, self.now);
        self.transcript.note(|| "a password is compared".to_owned());
        true
    }

    fn is_comparing(&mut self) -> bool {
        self.comparisons.as_mut().is_some_and(auth::Hand::has_work)
    }

    /// Whether answers may wait for the disk.
    fn is_disk_busy(&mut self) -> bool {
        self.hand.as_mut().is_some_and(|hand| hand.has_work() || hand.has_news())
    }

    // ---- what is decided ----

    fn decide(&mut self, decided: Decided) {
        self.transcript.note(|| format!("decided: {decided:?}"));
        let Some(&at) = self.peers.get(&decided.peer) else { panic!("{} has asked for nothing", decided.peer) };
        let client = &self.clients[at];
        let number = client.decisions.len();
        let line = self.network.line(client.line);
        let is_complete = client.ends.get(number).is_some_and(|end| line.delivered >= *end);
        let is_cut = line.is_input_over();
        drop(line);
        let Some(request) = client.plan.get(number).cloned() else {
            panic!("line {}: {decided:?} about request {number}, which there is not", client.line)
        };
        let before = self.model.version;
        let allowed = self.allowed(&request, is_complete, is_cut);
        let is_right = match decided.verdict {
            Verdict::Answered(400 | 401 | 503) if matches!(request.wish, Wish::Garbage) => true,
            Verdict::Answered(status) => allowed.contains(&status),
            Verdict::Waits => {
                let is_change = matches!(request.wish, Wish::Push(_) | Wish::Delete(_) | Wish::Wipe);
                self.weather.sync == Sync::Always && is_change && self.view == View::Running
            }
            Verdict::Refused(status) => matches!(request.wish, Wish::Garbage) && status >= 400,
        };
        let line = client_line(&self.clients[at]);
        assert!(
            is_right,
            "{line}: {decided:?} about request {number} ({is_complete}), which is {allowed:?}: {request:?}"
        );
        let version = if self.model.version > before { self.model.version } else { 0 };
        let lines = matches!(request.wish, Wish::Scrape).then(|| self.model.lines());
        let (verdict, trouble) = (decided.verdict, self.trouble);
        self.clients[at].decisions.push(Decision { verdict, allowed, version, lines, trouble });
    }

    /// The statuses that are right for a request that is decided about now; what it changes, it changes.
    fn allowed(&mut self, request: &Request, is_complete: bool, is_cut: bool) -> Vec<u16> {
        if request.is_denied {
            return vec![401];
        }
        let is_loading = self.view == View::Loading;
        let is_failing = self.view == View::Failing;
        let is_refusing = is_loading || (is_failing && self.weather.sync == Sync::Always);
        let now = Timestamp::from_system(self.wall());
        let status = match &request.wish {
            // Whether the body or the disk is looked at first is a matter of turns.
            Wish::BadPush if is_refusing => return vec![400, 503],
            Wish::Push(_) if is_refusing && !is_complete && is_cut => return vec![400, 503],
            Wish::BadPush => 400,
            Wish::Push(_) | Wish::Delete(_) | Wish::Wipe if is_refusing => 503,
            Wish::Push(_) if !is_complete && is_cut => 400,
            _ if !is_complete => return Vec::new(),
            Wish::Push(push) => self.model.push(push, now),
            Wish::Delete(group) => {
                self.model.delete(*group);
                202
            }
            Wish::Wipe => {
                self.model.wipe();
                202
            }
            Wish::Scrape | Wish::Messages | Wish::Query if is_loading => 503,
            Wish::Ready if is_loading || is_failing => 503,
            Wish::Scrape | Wish::Messages | Wish::Query | Wish::Ready | Wish::Quit => 200,
            Wish::Other(status) => *status,
            Wish::Garbage => return Vec::new(),
        };
        vec![status]
    }
}

/// From turns that take whatever there is to turns of one step, however small that is.
fn pace(random: &mut Random) -> Pace {
    let step_time = [TURN_TIME_MAX / 10_000, TURN_TIME_MAX / 200, TURN_TIME_MAX / 10, TURN_TIME_MAX][random.index(4)];
    Pace { step_time, step_bytes: [1, 100, METERED_BYTES][random.index(3)], steps: 0 }
}

fn client_line(client: &Client) -> String {
    format!("line {}", client.line)
}

/// What comes of the password, and takes long enough to be computed once.
fn password_hash(salt: [u8; 16]) -> [u8; 24] {
    static HASH: std::sync::OnceLock<[u8; 24]> = std::sync::OnceLock::new();
    *HASH.get_or_init(|| bcrypt::bcrypt(4, salt, format!("{PASSWORD}\0").as_bytes()))
}

/// The address of a connection: a few machines, and no port twice.
fn peer(number: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, (number % 4) as u8)), 1000 + number as u16)
}
