// Pushes to a gateway with prom-client, the way its users do. What arrived is checked by tests/it/clients.rs.
//
// usage: NODE_PATH=<directory of modules> node push.js HOST:PORT push|delete
"use strict";

const { Counter, Gauge, Histogram, Pushgateway, Registry, Summary } = require("prom-client");

/** A registry with every kind of metric. */
function oneOfEach() {
  const registers = [new Registry()];
  new Counter({ name: "node_rows_total", help: "Rows written.", labelNames: ["table"], registers }).labels("users").inc(3);
  const help = 'Progress, "quoted" \\ and\nbroken.';
  new Gauge({ name: "node_progress", help, labelNames: ["step"], registers }).labels('a "b" \\ c\nd').set(0.25);
  const summary = new Summary({ name: "node_lag_seconds", help: "Lag.", percentiles: [0.5], registers });
  summary.observe(1.5);
  summary.observe(2);
  const histogram = new Histogram({ name: "node_size_bytes", help: "Size.", buckets: [1, 10, 1e6], registers });
  histogram.observe(5);
  histogram.observe(1e9);
  return registers[0];
}

function gauge(name, value) {
  const registers = [new Registry()];
  new Gauge({ name, help: "One gauge.", registers }).set(value);
  return registers[0];
}

async function push(url) {
  const gateway = (registry) => new Pushgateway(url, [], registry);
  await gateway(oneOfEach()).push({ jobName: "node", groupings: { instance: "db1" } });
  // push is PUT and takes away what the group had; pushAdd is POST and leaves what it does not name.
  await gateway(gauge("node_old", 1)).push({ jobName: "replaced" });
  await gateway(gauge("node_new", 2)).push({ jobName: "replaced" });
  await gateway(gauge("node_added", 3)).pushAdd({ jobName: "replaced" });
  await gateway(gauge("node_key", 4)).push({ jobName: "Zürich & co", groupings: { "path@base64": "L3Zhci90bXA" } });
  const { resp } = await gateway(gauge("node_key", 5)).push({ jobName: "replies" });
  if (resp.statusCode !== 200) throw new Error(`a push was answered ${resp.statusCode}`);
}

async function remove(url) {
  const gateway = new Pushgateway(url);
  await gateway.delete({ jobName: "node", groupings: { instance: "db1" } });
  await gateway.delete({ jobName: "replaced" });
  await gateway.delete({ jobName: "Zürich & co", groupings: { "path@base64": "L3Zhci90bXA" } });
  await gateway.delete({ jobName: "replies" });
}

const [address, action] = process.argv.slice(2);
({ push, delete: remove })[action](`http://${address}`).catch((error) => {
  console.error(error);
  process.exit(1);
});
