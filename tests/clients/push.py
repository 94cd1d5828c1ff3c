"""Pushes to a gateway with prometheus_client, the way its users do. What arrived is checked by tests/it/clients.rs.

usage: push.py HOST:PORT push|delete
"""

import sys

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    Summary,
    delete_from_gateway,
    push_to_gateway,
    pushadd_to_gateway,
)

# Grouping keys whose values need every way of writing a path that the client has.
KEYS = [
    {"path": "/var/tmp"},
    {"place": "Frankfurt am Main"},
    {"instance": ""},
    {"city": "Zürich", "sign": "100 %+?&#"},
    {"name": "Προμηθεύς"},
]


def one_of_each():
    """A registry with every kind of metric, and with the process metrics that the gateway has of its own too."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Counter("client_rows", "Rows written.", ["table"], registry=registry).labels("users").inc(3)
    gauge = Gauge("client_progress", 'Progress, "quoted" \\ and\nbroken.', ["step"], registry=registry)
    gauge.labels('a "b" \\ c\nd').set(0.25)
    summary = Summary("client_lag_seconds", "Lag.", registry=registry)
    summary.observe(1.5)
    summary.observe(2)
    histogram = Histogram("client_size_bytes", "Size.", buckets=(1, 10, 1e6), registry=registry)
    histogram.observe(5)
    histogram.observe(1e9)
    Info("client_build", "Build.", registry=registry).info({"version": "1.2.3"})
    Enum("client_state", "State.", states=["idle", "busy"], registry=registry).state("busy")
    return registry


def gauge(name, value):
    registry = CollectorRegistry()
    Gauge(name, "One gauge.", registry=registry).set(value)
    return registry


def push(gateway):
    push_to_gateway(gateway, job="python", registry=one_of_each(), grouping_key={"instance": "db1"})
    # PUT takes away what the group had; POST leaves what it does not name.
    push_to_gateway(gateway, job="replaced", registry=gauge("client_old", 1))
    push_to_gateway(gateway, job="replaced", registry=gauge("client_new", 2))
    pushadd_to_gateway(gateway, job="replaced", registry=gauge("client_added", 3))
    for number, key in enumerate(KEYS):
        push_to_gateway(gateway, job="keys", registry=gauge("client_key", number), grouping_key=key)
    push_to_gateway(gateway, job="a/b c", registry=gauge("client_job", 1))
    push_to_gateway(gateway, job="gzip", registry=gauge("client_packed", 1), compression="gzip")


def delete(gateway):
    delete_from_gateway(gateway, job="python", grouping_key={"instance": "db1"})
    delete_from_gateway(gateway, job="replaced")
    for key in KEYS:
        delete_from_gateway(gateway, job="keys", grouping_key=key)
    delete_from_gateway(gateway, job="a/b c")
    delete_from_gateway(gateway, job="gzip")


if __name__ == "__main__":
    {"push": push, "delete": delete}[sys.argv[2]](sys.argv[1])
