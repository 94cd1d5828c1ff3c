//! What happens in a run: steps at random, then everybody gets what is due, then the machine goes down or the gateway
//! ends in good order, and it starts again on what the disk has.

use super::*;

/// Steps between two starts, at most.
const STEPS_MAX: u64 = 160;

/// Time in which an open connection that nobody uses is closed, and a little.
const LONG: Duration = Duration::from_secs(16 * 60);

impl World {
    /// The whole run; how many turns it took.
    pub fn play(&mut self) -> u64 {
        for _ in 0..1 + self.random.below(3) {
            for _ in 0..30 + self.random.below(STEPS_MAX) {
                if self.is_ended {
                    break;
                }
                self.step();
            }
            if self.is_ended || self.ending.is_some() || self.random.one_in(3) {
                self.finish();
                continue;
            }
            if self.random.one_in(2) {
                self.crash();
                continue;
            }
            self.settle();
        }
        if self.is_ended || self.ending.is_some() {
            self.finish();
        }
        self.settle();
        // The loop looks at idle connections every second: that is many turns.
        if self.random.one_in(5) {
            self.outlast();
        }
        self.turns
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..8 => self.come(),
            8..70 => self.act(),
            70..78 => drop(self.work(false)),
            78..84 => drop(self.work(true)),
            84..88 => drop(self.compare()),
            88..92 => self.spur(),
            92..96 => {
                let time = Duration::from_millis(self.random.below(400));
                self.pass(time);
            }
            96 => {
                let time = Duration::from_secs(self.random.below(70));
                self.pass(time);
            }
            97 => self.network.fail_accepts(self.random.index(3)),
            98 if self.weather.has_faults => self.trouble_disk(),
            99 if self.random.one_in(8) => {
                self.transcript.note(|| "the gateway is asked to end".to_owned());
                self.network.terminate();
            }
            _ => {}
        }
        if self.random.one_in(4) {
            self.run();
        } else if self.is_awake() {
            self.turn();
        }
    }

    fn trouble_disk(&mut self) {
        if self.random.one_in(2) {
            self.disk.heal();
            self.transcript.note(|| "the disk is fine".to_owned());
        } else {
            let what = self.disk.spoil(&mut self.random);
            self.transcript.note(|| what);
        }
    }

    /// Somebody connects.
    fn come(&mut self) {
        let there = self.clients.iter().filter(|client| !client.is_over).count();
        if there >= self.weather.clients_max {
            return;
        }
        let sizes = if self.weather.is_narrow { [1, 20, 200, 4000] } else { [300, 3000, 50_000, 200_000] };
        // What is long takes too many turns through a narrow line.
        let (inbound_min, outbound_min) = if self.weather.customs.is_long { (1000, 4000) } else { (16, 100) };
        let inbound = sizes[self.random.index(4)].max(inbound_min);
        let outbound = sizes[self.random.index(4)].max(outbound_min);
        let peer = peer(self.clients.len());
        let Some(line) = self.network.connect(peer, inbound, outbound) else { return };
        let Self { weather, clock, random, .. } = self;
        let client = Client::random(line, peer, weather.customs, clock, random);
        self.transcript
            .note(|| format!("{line} connects, {inbound} and {outbound}: {:?} {:?}", client.habit, client.plan));
        self.add(client);
    }

    pub(super) fn add(&mut self, client: Client) {
        self.peers.insert(client.peer, self.clients.len());
        self.clients.push(client);
    }

    /// Somebody does something.
    fn act(&mut self) {
        let there: Vec<_> = (0..self.clients.len()).filter(|at| !self.clients[*at].is_over).collect();
        if there.is_empty() {
            return self.come();
        }
        let at = there[self.random.index(there.len())];
        let what = self.random.below(3);
        self.act_as(at, what);
    }

    fn act_as(&mut self, at: usize, what: u64) -> bool {
        let Some(done) = self.clients[at].act(what, &self.network, &mut self.random) else {
            // There may have been nothing but an end.
            self.take_answers(at);
            return false;
        };
        self.transcript.note(|| done);
        self.take_answers(at);
        true
    }

    fn spur(&mut self) {
        let open: Vec<_> = (0..self.network.lines()).filter(|at| !self.network.line(*at).is_closed).collect();
        if !open.is_empty() {
            self.network.spur(open[self.random.index(open.len())]);
        }
    }

    // ---- ends ----

    /// Everybody goes on until nothing is left to be done.
    fn drain(&mut self) {
        self.disk.heal();
        self.network.fail_accepts(0);
        self.clients.iter_mut().for_each(Client::hurry);
        for _ in 0..TURNS_MAX {
            let mut is_moving = false;
            for at in 0..self.clients.len() {
                if self.clients[at].is_over {
                    // What it sent is delivered all the same.
                    let line = self.clients[at].line;
                    is_moving |= self.network.deliver(line, usize::MAX);
                    continue;
                }
                for what in 0..3 {
                    is_moving |= self.act_as(at, what);
                }
            }
            is_moving |= self.work(false) | self.work(true) | self.compare() | self.is_awake();
            if self.is_awake() {
                self.turn();
            }
            if is_moving || self.is_ended {
                continue;
            }
            self.run();
            // A disk that has failed is tried again a little later, and so is accepting.
            if self.view != View::Failing && !self.network.has_backlog() {
                return;
            }
            self.pass(Duration::from_millis(200));
        }
        assert!(self.is_ended, "it never comes to rest");
    }

    /// Everybody has what is due to him, and the gateway serves as on the first day.
    fn settle(&mut self) {
        self.drain();
        if self.is_ended || self.ending.is_some() {
            return self.finish();
        }
        for client in self.clients.iter().filter(|client| client.is_cooperative() && !client.is_to_be_ended()) {
            let (answers, requests) = (client.answers, client.honest_requests());
            assert!(answers >= requests || client.is_over, "line {}: {answers} of {requests}", client.line);
        }
        let Self { weather, clock, random, .. } = self;
        let customs = Customs { is_plain: true, ..weather.customs };
        let mut plan = vec![Request::proof(customs, clock, random), Request::scrape(customs, random)];
        if customs.is_long && random.one_in(2) {
            plan.insert(0, Request::heavy(customs));
        }
        let requests = plan.len();
        let peer = peer(self.clients.len());
        let line = self.network.connect(peer, 1 << 20, 1 << 20).expect("it listens");
        self.transcript.note(|| format!("{line} proves"));
        self.add(Client::with_plan(line, peer, plan));
        self.drain();
        let last = self.clients.last().expect("it was added just now");
        assert_eq!(last.answers, requests, "a gateway that nobody disturbs does not answer");
        if self.weather.has_faults && self.random.one_in(2) {
            self.relapse();
        }
    }

    /// The disk fails, and everybody leaves: it is tried again without anybody asking.
    fn relapse(&mut self) {
        let customs = Customs { is_plain: true, ..self.weather.customs };
        let what = self.disk.spoil(&mut self.random);
        self.transcript.note(|| format!("a relapse: {what}"));
        let peer = peer(self.clients.len());
        let line = self.network.connect(peer, 1 << 20, 1 << 20).expect("it listens");
        let plan = vec![Request::proof(customs, &mut self.clock, &mut self.random)];
        self.add(Client::with_plan(line, peer, plan));
        let last = self.clients.len() - 1;
        for _ in 0..3 {
            for what in 0..3 {
                self.act_as(last, what);
            }
            self.run();
            let _ = self.work(false) | self.work(true) | self.compare();
        }
        for client in self.clients.iter_mut().filter(|client| !client.is_over) {
            client.leave(&self.network);
            self.network.deliver(client.line, usize::MAX);
        }
        self.run();
        self.drain();
        assert!(matches!(self.view, View::None | View::Running), "the disk is fine, and nobody has noticed");
    }

    /// Nobody is there for ever.
    fn outlast(&mut self) {
        if self.server.is_none() {
            return;
        }
        self.pass(LONG);
        let server = self.server.as_ref().expect("it was there just now");
        assert_eq!(server.sessions.len(), 0, "sessions are left");
        assert!(server.waiting.is_empty(), "answers are left");
    }

    /// The machine goes down in the middle of everything, and comes up again.
    fn crash(&mut self) {
        if self.weather.has_faults && self.random.one_in(2) {
            let what = self.disk.spoil(&mut self.random);
            self.transcript.note(|| what);
            self.work(false);
        }
        self.hear_everything();
        let loses_power = self.random.one_in(2);
        self.transcript.note(|| format!("everything stops, the power too: {loses_power}"));
        self.disk.freeze(loses_power, &mut self.random);
        self.stop();
        self.start_again();
    }

    /// The gateway ends in good order, and starts again.
    fn finish(&mut self) {
        if self.ending.is_none() && !self.is_ended {
            self.transcript.note(|| "the gateway is asked to end at last".to_owned());
            self.network.terminate();
            self.turn();
        }
        let is_healthy = self.random.one_in(2);
        if is_healthy {
            self.disk.heal();
        }
        while !self.is_ended {
            for at in 0..self.clients.len() {
                let what = self.random.below(3);
                if !self.clients[at].is_over {
                    self.act_as(at, what);
                }
            }
            if is_healthy || self.random.one_in(3) {
                let _ = self.work(false) | self.work(true) | self.compare();
            }
            if self.is_awake() {
                self.turn();
            } else {
                let time = Duration::from_millis(self.random.below(2000));
                self.pass(time);
            }
        }
        let is_all_kept = self.view == View::Running;
        self.transcript.note(|| format!("the gateway has ended, all is kept: {is_all_kept}"));
        self.hear_everything();
        if is_all_kept {
            self.model.promised = self.model.version;
        }
        self.disk.freeze(false, &mut self.random);
        self.stop();
        self.start_again();
    }

    /// Everybody reads what was sent to him: it counts, whether or not he would have.
    fn hear_everything(&mut self) {
        for at in 0..self.clients.len() {
            if !self.clients[at].is_over {
                self.clients[at].read_all(&self.network);
                self.take_answers(at);
            }
        }
    }

    fn stop(&mut self) {
        self.server = None;
        (self.hand, self.comparisons) = (None, None);
        self.network.close_listener();
        for client in &mut self.clients {
            let line = self.network.line(client.line);
            assert!(line.is_closed || line.is_ending(), "line {}: open without a gateway", client.line);
            client.is_over = true;
        }
        self.is_ended = true;
    }

    fn start_again(&mut self) {
        let is_spoilt = self.weather.has_faults && !self.disk.is_none() && self.random.one_in(6);
        self.disk.heal();
        let kept = self.kept_lines();
        self.model.restart(&kept).unwrap_or_else(|why| panic!("{why}"));
        if is_spoilt {
            self.disk.spoil_start();
            self.boot();
            while !self.is_ended {
                let _ = self.work(false) | self.work(true);
                self.run();
            }
            self.transcript.note(|| "a start fails".to_owned());
            self.stop();
            self.disk.heal();
        }
        self.boot();
    }
}
