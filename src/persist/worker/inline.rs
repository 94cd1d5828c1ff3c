//! The helper without its thread: it does the next thing when a simulation says so, and tells of it when that says so.

use super::*;

/// The simulation's end.
pub struct Hand {
    helper: Helper,
    engine: Option<Box<dyn Engine>>,
    is_open: bool,
    orders: Receiver<Order>,
    order: Option<Order>,
    /// What was done and not told yet.
    done: Receiver<Report>,
    untold: Option<Report>,
    reports: SyncSender<Report>,
}

/// What the loop was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Some groups, or nothing that changes how it goes on.
    Loaded,
    /// Everything is loaded.
    Ready,
    /// A commit succeeded.
    Committed,
    /// A commit failed.
    Failed,
    /// The file cannot be used.
    Refused,
}

/// No report is held up for room: nobody takes any while they are made.
const ROOM: usize = 1 << 16;

impl Hand {
    /// A helper for this disk, and its simulation.
    pub fn new(disk: Box<dyn Disk>) -> (Worker, Self) {
        let (orders, incoming) = sync_channel(1);
        let (outgoing, reports) = sync_channel(ROOM);
        let (doing, done) = sync_channel(ROOM);
        let helper = Helper { disk, reports: doing, wake: Box::new(|| ()) };
        let worker = Worker { orders: Some(orders), reports, thread: None };
        let hand = Self {
            helper,
            engine: None,
            is_open: false,
            orders: incoming,
            order: None,
            done,
            untold: None,
            reports: outgoing,
        };
        (worker, hand)
    }

    /// Whether it has something to do.
    pub fn has_work(&mut self) -> bool {
        self.order = self.order.take().or_else(|| self.orders.try_recv().ok());
        !self.is_open || self.order.is_some()
    }

    /// Does the next thing.
    pub fn work(&mut self) {
        if !self.has_work() {
            return;
        }
        if !std::mem::replace(&mut self.is_open, true) {
            self.engine = self.helper.open();
        } else if let Some(order) = self.order.take() {
            self.helper.obey(&mut self.engine, order);
        }
    }

    /// Whether it has something to tell.
    pub fn has_news(&mut self) -> bool {
        self.untold = self.untold.take().or_else(|| self.done.try_recv().ok());
        self.untold.is_some()
    }

    /// Tells the next thing; the loop would be woken.
    pub fn tell(&mut self) -> Option<Told> {
        self.has_news();
        let mut report = self.untold.take()?;
        let told = match &mut report {
            Report::Loaded(_) | Report::Foreign(_) | Report::Replaced(_) => Told::Loaded,
            Report::Ready { .. } => Told::Ready,
            Report::Committed { seconds, .. } => {
                // A run must not depend on how fast this machine is.
                *seconds = 0.001;
                Told::Committed
            }
            Report::Failed { .. } => Told::Failed,
            Report::Refused(_) => Told::Refused,
        };
        // A loop that has ended listens no more.
        let _ = self.reports.try_send(report);
        Some(told)
    }
}
