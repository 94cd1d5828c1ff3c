//! The helper thread: it alone touches the file, one order after the other.
//!
//! Orders and reports go through bounded channels. A report wakes the loop; the loop never waits for one.

#[cfg(test)]
pub mod inline;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::batch::Batch;
use super::engine::{Disk, Engine, Found};
use super::report::{Report, Wake};
use crate::limits::{LOADED_BYTES_PER_REPORT, LOADED_GROUPS_PER_REPORT_MAX, REPORTS_PENDING_MAX};

/// What the loop asks for.
#[derive(Debug)]
enum Order {
    Commit(Batch),
    ReplaceForeign,
}

/// The loop's end of the helper.
#[derive(Debug)]
pub struct Worker {
    /// `None` once it was told to finish.
    orders: Option<SyncSender<Order>>,
    reports: Receiver<Report>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the helper; it opens the file, loads what is there, then waits for batches.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(disk: Box<dyn Disk>, wake: Wake) -> std::io::Result<Self> {
        let (orders, incoming) = sync_channel(1);
        let (outgoing, reports) = sync_channel(REPORTS_PENDING_MAX);
        let helper = Helper { disk, reports: outgoing, wake };
        let thread = thread::Builder::new().name("persistence".to_owned()).spawn(move || helper.run(&incoming))?;
        Ok(Self { orders: Some(orders), reports, thread: Some(thread) })
    }

    /// Hands over a batch. One at a time: the next one when this one has been reported.
    pub fn commit(&self, batch: Batch) {
        self.order(Order::Commit(batch));
    }

    /// Puts the database in the place of the original's file, once all its groups are committed.
    pub fn replace_foreign(&self) {
        self.order(Order::ReplaceForeign);
    }

    fn order(&self, order: Order) {
        let orders = self.orders.as_ref().expect("nothing is ordered behind the end");
        orders.try_send(order).expect("an order is given when the one before it has been reported");
    }

    /// What the helper has told; `None` if nothing.
    pub fn report(&self) -> Option<Report> {
        self.reports.try_recv().ok()
    }

    /// Closes the file and ends the thread. Not to be called with a batch under way, which may take any time.
    pub fn finish(&mut self) {
        self.orders = None;
        // A helper that is still loading is not to wait for somebody who takes its reports.
        self.reports = sync_channel(0).1;
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the helper does not panic");
        }
    }
}

struct Helper {
    disk: Box<dyn Disk>,
    reports: SyncSender<Report>,
    wake: Wake,
}

impl Helper {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut engine = self.open();
        if engine.is_none() {
            return;
        }
        while let Ok(order) = orders.recv() {
            if !self.obey(&mut engine, order) {
                break;
            }
        }
    }

    /// Opens the file and hands over what is there; `None` if it cannot be used, which has been reported.
    fn open(&mut self) -> Option<Box<dyn Engine>> {
        match self.disk.open().and_then(|found| self.load(found)) {
            Ok(engine) => Some(engine),
            Err(reason) => {
                self.report(Report::Refused(reason));
                None
            }
        }
    }

    /// Does what is asked for; whether the loop still listens.
    fn obey(&mut self, engine: &mut Option<Box<dyn Engine>>, order: Order) -> bool {
        let report = match order {
            Order::Commit(batch) => self.commit(engine, batch),
            Order::ReplaceForeign => self.disk.replace_foreign().map_or_else(Report::Refused, Report::Replaced),
        };
        self.report(report)
    }

    /// Commits a batch; an engine that fails is gone, and opened anew for the next one.
    fn commit(&mut self, engine: &mut Option<Box<dyn Engine>>, batch: Batch) -> Report {
        let started = Instant::now();
        let opened = engine.take().map_or_else(|| self.disk.reopen(), Ok);
        let committed = opened.and_then(|mut engine| engine.commit(&batch).map(|()| engine));
        match committed.and_then(|engine| self.disk.check().map(|()| engine)) {
            Ok(open) => {
                *engine = Some(open);
                let seconds = started.elapsed().as_secs_f64();
                Report::Committed { batch, seconds, file_bytes: self.disk.bytes() }
            }
            Err(reason) => Report::Failed { batch, reason },
        }
    }

    fn load(&self, Found { mut engine, foreign }: Found) -> Result<Box<dyn Engine>, String> {
        let mut groups = Vec::new();
        let mut bytes = 0;
        let outcome = engine.load(&mut |group| {
            bytes += group.body.len();
            groups.push(group);
            if bytes < LOADED_BYTES_PER_REPORT && groups.len() < LOADED_GROUPS_PER_REPORT_MAX {
                return true;
            }
            bytes = 0;
            self.report(Report::Loaded(std::mem::take(&mut groups)))
        });
        outcome.map_err(|reason| super::refusal(&self.disk.path(), &reason))?;
        self.report(Report::Loaded(groups));
        if let Some(foreign) = foreign {
            self.report(Report::Foreign(foreign));
        }
        self.report(Report::Ready { is_verified: engine.is_verified(), file_bytes: self.disk.bytes() });
        Ok(engine)
    }

    /// Tells the loop; whether it still listens.
    fn report(&self, report: Report) -> bool {
        let is_heard = self.reports.send(report).is_ok();
        (self.wake)();
        is_heard
    }
}
