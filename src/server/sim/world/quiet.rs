//! A machine on which nothing happens by itself, for runs written by hand. The checks are those of all runs.

use super::*;

/// Turns have time for whatever there is.
const UNHURRIED: Pace = Pace { step_time: Duration::from_nanos(1), step_bytes: METERED_BYTES, steps: 0 };

impl World {
    /// Without a disk.
    pub fn quiet() -> Self {
        Self::calm(false, UNHURRIED)
    }

    /// Without a disk, and with turns that have time for one step.
    pub fn quiet_and_slow() -> Self {
        Self::calm(false, Pace { step_time: TURN_TIME_MAX, step_bytes: 1, steps: 0 })
    }

    /// With a disk, from which everything has been loaded.
    pub fn quiet_with_disk() -> Self {
        let mut world = Self::calm(true, UNHURRIED);
        while world.view == View::Loading {
            world.commit();
        }
        world
    }

    fn calm(has_disk: bool, pace: Pace) -> Self {
        let customs = Customs { has_users: false, is_long: false, has_quits: false, is_plain: true, is_greedy: false };
        let weather =
            Weather { customs, sync: Sync::Always, has_faults: false, is_narrow: false, clients_max: 0, pace };
        let mut world = Self::with(weather, Disk::plain(has_disk), Random::new(0), Transcript::new(50));
        world.run();
        world
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Somebody connects who is going to ask for this.
    pub fn connect(&mut self, plan: Vec<Request>) -> usize {
        self.connect_narrowly(plan, 1 << 20)
    }

    /// The same on a line that holds so many bytes that were not read.
    pub fn connect_narrowly(&mut self, plan: Vec<Request>, outbound_max: usize) -> usize {
        let peer = peer(self.clients.len());
        let line = self.network.connect(peer, 1 << 20, outbound_max).expect("it listens");
        self.add(Client::with_plan(line, peer, plan));
        self.clients.len() - 1
    }

    /// So many bytes of a client come.
    pub fn send(&mut self, client: usize, count: usize) {
        self.clients[client].send_some(count, &self.network);
        self.network.deliver(self.clients[client].line, usize::MAX);
        self.run();
    }

    /// All of what a client has to send comes, and the disk is so fast that it is never waited for: whatever a turn hands
    /// over is done and told before the next one.
    pub fn send_with_fast_disk(&mut self, client: usize) {
        self.clients[client].send_some(usize::MAX, &self.network);
        self.network.deliver(self.clients[client].line, usize::MAX);
        for _ in 0..TURNS_MAX {
            while self.work(false) | self.work(true) {}
            if !self.is_awake() {
                return self.check_asleep();
            }
            self.turn();
        }
        panic!("the loop turns and turns");
    }

    /// How many bytes were sent to a client that it has not read.
    pub fn unread(&self, client: usize) -> usize {
        self.network.line(self.clients[client].line).outbound.len()
    }

    /// How many answers a client has.
    pub fn answers(&mut self, client: usize) -> usize {
        self.clients[client].read_all(&self.network);
        self.take_answers(client);
        self.clients[client].answers
    }

    /// Whether its connection was closed.
    pub fn is_closed(&self, client: usize) -> bool {
        self.network.line(self.clients[client].line).is_closed
    }

    /// The helper does what there is to do, and tells of it.
    pub fn commit(&mut self) {
        while self.work(false) | self.work(true) {}
        self.run();
    }
}
