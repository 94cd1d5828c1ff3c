//! One client of a simulation: what it sends and when it reads, and whether it gets what is due to it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::answer::{Answer, REQUEST_TIMEOUT};
use super::model::{Lines, Version, pushed_lines};
use super::request::{Customs, Request, Wish};
use super::{Verdict, world::Trouble};
use crate::net::simulated::{End, Network};
use crate::random::Random;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Habit {
    /// Bytes that it sends, are delivered, and that it reads at once, at most.
    sends: usize,
    delivers: usize,
    reads: usize,
    /// It does not wait for answers.
    pipelines: bool,
    /// It falls silent behind so many bytes.
    stops_at: Option<usize>,
    /// It reads no more behind so many bytes.
    deaf_from: Option<usize>,
    /// It reads nothing behind so many bytes until everybody comes to an end.
    rests_at: Option<usize>,
    /// It hangs up behind so many bytes; whether with a reset.
    leaves_at: Option<(usize, bool)>,
    /// It ends what it sends once all is sent.
    half_closes: bool,
}

/// What was decided about a request, and what should have been.
#[derive(Debug)]
pub struct Decision {
    /// What was decided.
    pub verdict: Verdict,
    /// The statuses that are right.
    pub allowed: Vec<u16>,
    /// The change that it made; 0 if none.
    pub version: Version,
    /// What a scrape has to show.
    pub lines: Option<Lines>,
    /// How often the disk had been in trouble by then.
    pub trouble: Trouble,
}

/// The client.
#[derive(Debug)]
pub struct Client {
    /// Its line of the network.
    pub line: usize,
    /// Its address, which no other one has.
    pub peer: SocketAddr,
    /// What it asks for.
    pub plan: Vec<Request>,
    stream: Vec<u8>,
    /// Where each request ends in what it sends.
    pub ends: Vec<usize>,
    pub habit: Habit,
    sent: usize,
    received: Vec<u8>,
    received_bytes: usize,
    /// What was decided about its requests so far.
    pub decisions: Vec<Decision>,
    /// How many answers it has read.
    pub answers: usize,
    /// An answer said that it is the last one.
    has_last: bool,
    has_finished: bool,
    /// Nothing more is expected of it or for it.
    pub is_over: bool,
    /// Of which request a part of the head is there, and since when.
    pub head_since: Option<(usize, Duration)>,
    /// When the gateway last read something of it.
    pub heard_at: Option<Duration>,
    /// The longest that it was silent, or had half a head.
    pub slowest: Duration,
    /// It was told that its request took too long, which is no answer to a request that was decided about.
    pub is_given_up: bool,
}

/// What a client knows about its gateway when its connection ends.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// The gateway ends, or is gone.
    pub is_ending: bool,
    /// Its connection was silent for so long that it may be closed.
    pub is_late: bool,
}

impl Client {
    /// Somebody with some plan.
    pub fn random(line: usize, peer: SocketAddr, customs: Customs, clock: &mut u64, random: &mut Random) -> Self {
        let count = 1 + random.below(5);
        let says_bye = random.one_in(5);
        let mut plan: Vec<_> =
            (1..=count).map(|at| Request::random(customs, says_bye && at == count, clock, random)).collect();
        if random.one_in(40) && !says_bye {
            let trifle = Request::trifle(customs, random);
            plan.resize(plan.len() + random.index(200), trifle);
        }
        if random.one_in(10) && !says_bye {
            plan.push(Request::garbage(random));
        }
        let mut client = Self::with_plan(line, peer, plan);
        let length = client.stream.len();
        let sizes = [1, 7, 60, 500, 5000, 100_000];
        let mut size = || sizes[random.index(sizes.len())];
        let (sends, delivers, reads) = (size(), size(), size());
        // One byte at a time takes many turns.
        let least = length / 40 + 1;
        client.habit =
            Habit { sends: sends.max(least), delivers: delivers.max(least), reads: reads.max(50), ..client.habit };
        client.habit.pipelines = random.one_in(2);
        let far = if random.one_in(2) { 9000 } else { 300_000 };
        match random.below(12) {
            0 => client.habit.stops_at = Some(random.index(length + 1)),
            1 => client.habit.deaf_from = Some(random.index(far)),
            6 | 7 => client.habit.rests_at = Some(random.index(far)),
            2 | 3 => client.habit.leaves_at = Some((random.index(length + 1), random.one_in(2))),
            4 | 5 => client.habit.half_closes = true,
            _ => {}
        }
        client
    }

    /// Somebody who asks for this, all at once, and reads everything.
    pub fn with_plan(line: usize, peer: SocketAddr, plan: Vec<Request>) -> Self {
        let stream: Vec<u8> = plan.iter().flat_map(|request| request.bytes.iter().copied()).collect();
        let ends = plan.iter().scan(0, |end, request| {
            *end += request.bytes.len();
            Some(*end)
        });
        let everything = usize::MAX >> 1;
        Self {
            line,
            peer,
            ends: ends.collect(),
            plan,
            stream,
            habit: Habit {
                sends: everything,
                delivers: everything,
                reads: everything,
                pipelines: false,
                stops_at: None,
                deaf_from: None,
                rests_at: None,
                leaves_at: None,
                half_closes: false,
            },
            sent: 0,
            received: Vec::new(),
            received_bytes: 0,
            decisions: Vec::new(),
            answers: 0,
            has_last: false,
            has_finished: false,
            is_over: false,
            head_since: None,
            heard_at: None,
            slowest: Duration::ZERO,
            is_given_up: false,
        }
    }

    /// Sends something, has something delivered, or reads; `None` if there was nothing to do.
    pub fn act(&mut self, what: u64, network: &Network, random: &mut Random) -> Option<String> {
        match what {
            0 => self.send(network, random),
            1 => {
                let count = 1 + random.index(self.habit.delivers);
                network.deliver(self.line, count).then(|| format!("{} delivers up to {count}", self.line))
            }
            _ => {
                // It may stop anywhere, and not only between two reads.
                let stops = [self.habit.deaf_from, self.habit.rests_at];
                let left = stops.into_iter().flatten().map(|at| at.saturating_sub(self.received_bytes)).min();
                if left == Some(0) {
                    return None;
                }
                let count = (1 + random.index(self.habit.reads)).min(left.unwrap_or(usize::MAX));
                let bytes = network.receive(self.line, count);
                self.received_bytes += bytes.len();
                self.received.extend_from_slice(&bytes);
                (!bytes.is_empty()).then(|| format!("{} reads {}", self.line, bytes.len()))
            }
        }
    }

    /// Takes no small steps any more.
    pub fn hurry(&mut self) {
        self.habit.rests_at = None;
        let Habit { sends, delivers, reads, .. } = &mut self.habit;
        [sends, delivers, reads].into_iter().for_each(|size| *size = (*size).max(10_000));
    }

    fn send(&mut self, network: &Network, random: &mut Random) -> Option<String> {
        if let Some((at, is_abrupt)) = self.habit.leaves_at
            && self.sent >= at
        {
            network.hang_up(self.line, is_abrupt);
            self.is_over = true;
            return Some(format!("{} hangs up at {at}, abruptly: {is_abrupt}", self.line));
        }
        let mut limit = if self.habit.pipelines { self.stream.len() } else { self.end_of(self.answers) };
        limit = limit.min(self.habit.stops_at.unwrap_or(limit));
        let piece = &self.stream[self.sent..limit.max(self.sent)];
        let piece = &piece[..piece.len().min(1 + random.index(self.habit.sends))];
        let sent = network.send(self.line, piece);
        self.sent += sent;
        if self.sent == self.stream.len() && self.habit.half_closes && !self.has_finished {
            self.has_finished = true;
            network.finish(self.line);
            return Some(format!("{} has sent everything and closes that half", self.line));
        }
        (sent > 0).then(|| format!("{} sends {sent} to {}", self.line, self.sent))
    }

    /// Sends so many bytes.
    pub fn send_some(&mut self, count: usize, network: &Network) {
        let end = self.stream.len().min(self.sent.saturating_add(count));
        self.sent += network.send(self.line, &self.stream[self.sent..end]);
    }

    /// Hangs up, whatever it has planned.
    pub fn leave(&mut self, network: &Network) {
        network.hang_up(self.line, true);
        self.is_over = true;
    }

    fn end_of(&self, request: usize) -> usize {
        self.ends.get(request).copied().unwrap_or(self.stream.len())
    }

    /// Reads all that was sent to it, whether or not it wants to: what the gateway has sent counts.
    pub fn read_all(&mut self, network: &Network) {
        self.received.extend(network.receive(self.line, usize::MAX));
    }

    /// Takes the next complete answer and what was decided about its request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn next_answer(&mut self, is_over: bool) -> Result<Option<(usize, Answer)>, String> {
        loop {
            if self.received.is_empty() {
                return Ok(None);
            }
            let is_head = self.plan.get(self.answers).is_some_and(|request| request.is_head);
            let parsed = Answer::parse(&self.received, is_head, is_over);
            let Some((answer, used)) = parsed.map_err(|why| format!("line {}: {why}", self.line))? else {
                return Ok(None);
            };
            self.received.drain(..used);
            if answer.status == 100 {
                continue;
            }
            if self.has_last {
                return Err(format!("line {}: an answer behind the last one", self.line));
            }
            self.has_last = answer.closes;
            if answer.status == REQUEST_TIMEOUT {
                self.is_given_up = true;
                if !answer.closes {
                    return Err(format!("line {}: given up, and yet to go on", self.line));
                }
                continue;
            }
            self.answers += 1;
            return Ok(Some((self.answers - 1, answer)));
        }
    }

    /// How many answers it has when it has read these bytes, too.
    pub fn answers_with(&self, unread: &[u8], is_over: bool) -> usize {
        let bytes = [&self.received, unread].concat();
        let (mut at, mut answers) = (0, self.answers);
        while at < bytes.len() {
            let is_head = self.plan.get(answers).is_some_and(|request| request.is_head);
            let Ok(Some((answer, used))) = Answer::parse(&bytes[at..], is_head, is_over) else { break };
            at += used;
            answers += usize::from(answer.status != 100 && answer.status != REQUEST_TIMEOUT);
        }
        answers
    }

    /// Whether the answer to its last request has not been sent, as the disk is waited for. `unread` is what was sent.
    pub fn waits(&self, unread: &VecDeque<u8>) -> bool {
        self.decisions.last().is_some_and(|decision| decision.verdict == Verdict::Waits)
            && self.answers_with(&unread.iter().copied().collect::<Vec<_>>(), false) < self.decisions.len()
    }

    /// How many requests are complete in what was delivered.
    pub fn delivered_requests(&self, delivered: usize) -> usize {
        self.ends.iter().filter(|end| **end <= delivered).count()
    }

    /// How many of its requests are such.
    pub fn honest_requests(&self) -> usize {
        self.plan.iter().filter(|request| !matches!(request.wish, Wish::Garbage)).count()
    }

    /// Whether it will do all that it planned, and reads what comes of it.
    pub fn is_cooperative(&self) -> bool {
        let Habit { stops_at, deaf_from, leaves_at, .. } = self.habit;
        stops_at.is_none() && deaf_from.is_none() && leaves_at.is_none()
    }

    /// Whether the gateway may end the connection without being asked to.
    pub fn is_to_be_ended(&self) -> bool {
        self.has_last
    }

    /// Whether part of a head was delivered, and no more.
    pub fn is_in_head(&self, delivered: usize) -> bool {
        let at = self.decisions.len();
        let begin = if at == 0 { 0 } else { self.end_of(at - 1) };
        self.plan.get(at).is_some_and(|request| delivered > begin && delivered < begin + request.head_bytes)
    }

    /// Whether all that was delivered has been decided about.
    pub fn is_idle(&self, delivered: usize) -> bool {
        let decided = self.decisions.len();
        delivered <= if decided == 0 { 0 } else { self.end_of(decided - 1) }
    }

    /// The connection has ended, and everything was read.
    ///
    /// # Errors
    /// Why it should not have, or what is missing.
    pub fn end(&mut self, end: End, circumstances: Circumstances) -> Result<(), String> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        let Circumstances { is_ending, is_late } = circumstances;
        // Nonsense ends a connection. If it was understood as such, it has its answer; if it was not, there is none.
        let honest = self.honest_requests();
        let says_garbage = self.decisions.len() >= honest && honest < self.plan.len();
        let is_excused = is_ending || is_late || (says_garbage && self.decisions.len() == honest);
        let answered = self.decisions.len();
        if (!self.received.is_empty() || (self.answers < answered && !self.has_last)) && !is_excused {
            return Err(format!(
                "line {}: {} of {answered} answers, and {} bytes",
                self.line,
                self.answers,
                self.received.len()
            ));
        }
        if !(is_excused || says_garbage || self.has_last || self.has_finished) {
            return Err(format!("line {}: closed ({end:?}) without a reason", self.line));
        }
        let is_unanswered = self.has_finished && self.answers < self.honest_requests();
        if is_unanswered && !is_excused && !self.has_last {
            return Err(format!("line {}: {} of {} answers", self.line, self.answers, self.honest_requests()));
        }
        Ok(())
    }

    /// Checks an answer against what was decided about its request; the change that it promises to be kept.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, at: usize, answer: &Answer, trouble: Trouble) -> Result<Version, String> {
        let fail = |why: String| Err(format!("line {}, answer {at}, status {}: {why}", self.line, answer.status));
        let Some(decision) = self.decisions.get(at) else { return fail("nothing was decided".to_owned()) };
        let request = &self.plan[at];
        let is_right = match decision.verdict {
            Verdict::Answered(status) | Verdict::Refused(status) => answer.status == status,
            Verdict::Waits => {
                decision.allowed.contains(&answer.status) || (answer.status == 503 && trouble > decision.trouble)
            }
        };
        if !is_right {
            return fail(format!("decided: {decision:?}"));
        }
        if request.is_last && !answer.closes {
            return fail("it should be the last one".to_owned());
        }
        let is_whole = answer.status == 200 && !request.is_head && !answer.may_be_cut;
        if is_whole && let Err(why) = self.check_body(request, decision, answer) {
            return fail(why);
        }
        Ok(if answer.status < 300 { decision.version } else { 0 })
    }

    fn check_body(&self, request: &Request, decision: &Decision, answer: &Answer) -> Result<(), String> {
        match request.wish {
            Wish::Scrape => {
                let shown = pushed_lines(&answer.text()?);
                let expected = decision.lines.as_ref().ok_or("no lines were expected")?;
                if shown == *expected {
                    return Ok(());
                }
                let missing: Vec<_> = expected.difference(&shown).take(5).collect();
                let surplus: Vec<_> = shown.difference(expected).take(5).collect();
                Err(format!("missing {missing:?}, and not there {surplus:?}"))
            }
            Wish::Query => {
                let json: Result<serde_json::Value, _> = serde_json::from_slice(&answer.body);
                json.map(drop).map_err(|error| error.to_string())
            }
            Wish::Messages => check_messages(&answer.body),
            _ => Ok(()),
        }
    }
}

/// Messages with their lengths in front of them.
fn check_messages(mut bytes: &[u8]) -> Result<(), String> {
    while !bytes.is_empty() {
        let (mut length, mut shift) = (0, 0);
        loop {
            let (byte, rest) = bytes.split_first().ok_or("a length is cut short")?;
            length |= usize::from(byte & 127) << shift;
            (bytes, shift) = (rest, shift + 7);
            if *byte < 128 {
                break;
            }
        }
        bytes = bytes.get(length..).ok_or("a message is cut short")?;
    }
    Ok(())
}
