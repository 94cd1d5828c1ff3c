//! Pushes to a gateway with the `prometheus` crate, the way its users do. What arrived is checked by tests/it/clients.rs.
//!
//! usage: push HOST:PORT

use std::collections::HashMap;
use std::error::Error;

use prometheus::core::Collector;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounterVec, Opts, Registry};
use prometheus::{push_add_collector, push_add_metrics, push_metrics};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: push HOST:PORT")?;
    push_one_of_each(&address)?;
    // push_metrics is PUT and takes away what the group had; push_add_metrics is POST and leaves what it does not name.
    push_metrics("replaced", HashMap::new(), &address, gauge("rust_old", 1.0)?.gather(), None)?;
    push_metrics("replaced", HashMap::new(), &address, gauge("rust_new", 2.0)?.gather(), None)?;
    push_add_metrics("replaced", HashMap::new(), &address, gauge("rust_added", 3.0)?.gather(), None)?;
    // The crate escapes blanks and what is not ASCII, but no percent signs, question marks and hashes.
    let collector: Box<dyn Collector> = Box::new(Gauge::new("rust_collected", "One gauge.")?);
    push_add_collector("Zürich & co", grouping(&[("sign", "+&=@:")]), &address, vec![collector], None)?;
    Ok(())
}

/// A registry with every kind of metric that the crate has.
fn push_one_of_each(address: &str) -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    let rows = IntCounterVec::new(Opts::new("rust_rows_total", "Rows written."), &["table"])?;
    rows.with_label_values(&["users"]).inc_by(3);
    registry.register(Box::new(rows))?;
    let help = "Progress, \"quoted\" \\ and\nbroken.";
    let progress = Gauge::with_opts(Opts::new("rust_progress", help).const_label("step", "a \"b\" \\ c\nd"))?;
    progress.set(0.25);
    registry.register(Box::new(progress))?;
    let size = Histogram::with_opts(HistogramOpts::new("rust_size_bytes", "Size.").buckets(vec![1.0, 10.0, 1e6]))?;
    size.observe(5.0);
    size.observe(1e9);
    registry.register(Box::new(size))?;
    let grouping = grouping(&[("instance", "db1"), ("place", "Frankfurt am Main")]);
    Ok(push_add_metrics("rust", grouping, address, registry.gather(), None)?)
}

fn gauge(name: &str, value: f64) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let gauge = Gauge::new(name, "One gauge.")?;
    gauge.set(value);
    registry.register(Box::new(gauge))?;
    Ok(registry)
}

fn grouping(labels: &[(&str, &str)]) -> HashMap<String, String> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
