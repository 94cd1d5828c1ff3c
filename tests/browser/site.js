// What the checks have in common: pushing to a gateway, reading the list, and groups that are hard on a page.
"use strict";

const assert = require("node:assert/strict");

const HISTOGRAM = `# HELP request_seconds Time of requests.
# TYPE request_seconds histogram
request_seconds_bucket{route="/a",le="0.1"} 10
request_seconds_bucket{route="/a",le="0.5"} 60
request_seconds_bucket{route="/a",le="1"} 90
request_seconds_bucket{route="/a",le="+Inf"} 100
request_seconds_sum{route="/a"} 40
request_seconds_count{route="/a"} 100
# HELP rpc_seconds Time of calls.
# TYPE rpc_seconds summary
rpc_seconds{quantile="0.5"} 0.2
rpc_seconds{quantile="0.99"} 0.8
rpc_seconds_sum 30
rpc_seconds_count 100
# HELP rows_total Rows.
# TYPE rows_total counter
rows_total{table="users"} 1.5e+06
rows_total{table=""} 2
# HELP finished_timestamp_seconds When it ended.
# TYPE finished_timestamp_seconds gauge
finished_timestamp_seconds 1.7e+09
`;

// One native histogram `nh`, in delimited protobuf: five buckets that are not empty, eight observations.
const NATIVE = Buffer.from(
  "RAoCbmgSBm5hdGl2ZRgEIjQ6MggIEQAAAAAAAClAKAIx/Knx0k1iUD84AWIECAAQAmIECAQQAWgCaAJoAUoECAIQAVAG",
  "base64",
);
const DELIMITED = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

const MARKUP = '"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';

// Labels of groups that are hard to show, to link and to quote.
const ODD = [
  { job: MARKUP },
  { job: "it's $(touch /tmp/x) `id` \\ \" %20 & ;", path: "/var/tmp/.." },
  { job: "empty", value: "" },
  { job: "line\nfeed\ttab  blanks ", dot: "." },
  { job: "שלום", city: "東京", name: "عربي", emoji: "👩‍👩‍👧" },
  { job: "names", "größe in m²/s": "1", 'quo"ted\\': "x", "a=b": "" },
  { job: "long", value: "x".repeat(2000), words: "word ".repeat(100) },
];

// URL-safe base64, never empty.
function base64(text) {
  return Buffer.from(text).toString("base64url") || "=";
}

// A name that is no classic one, as it stands in a path.
function escaped(name) {
  if (/^[a-zA-Z_]\w*$/.test(name)) return name;
  const letter = (c) => (c === "_" ? "__" : /[a-zA-Z0-9]/.test(c) ? c : `_${c.codePointAt(0).toString(16)}_`);
  return `U__${Array.from(name, letter).join("")}`;
}

function path(labels) {
  const { job, ...others } = labels;
  const rest = Object.entries(others).map(([name, value]) => `/${escaped(name)}@base64/${base64(value)}`);
  return `job@base64/${base64(job)}${rest.join("")}`;
}

async function push(site, labels, body, method = "PUT") {
  const headers = Buffer.isBuffer(body) ? { "Content-Type": DELIMITED } : {};
  const answer = await fetch(`${site}metrics/${path(labels)}`, { method, body, headers });
  return answer.status;
}

// What the list shows: the text of the labels of each row in sight.
async function rows(page) {
  return page.$$eval(".rows .row", (found) =>
    found.map((row) => [...row.querySelectorAll(".chip")].map((chip) => chip.textContent).join(" ")),
  );
}

async function groups(site, query = "") {
  return (await (await fetch(`${site}api/v1/groups?${query}`)).json()).data;
}

// Groups of the small gateway: ten jobs, one of them failing, one with a chart of each kind.
async function fill(site) {
  await fetch(`${site}api/v1/admin/wipe`, { method: "PUT" });
  for (let number = 0; number < 7; number += 1) {
    const labels = { job: number < 4 ? "import" : "backup", instance: `db${number}.example.com` };
    assert.equal(
      await push(site, labels, "rows 1\n" + Array.from({ length: number }, (_, at) => `n${at} ${at}\n`).join("")),
      200,
    );
  }
  assert.equal(await push(site, { job: "charts" }, HISTOGRAM), 200);
  assert.equal(await push(site, { job: "charts" }, NATIVE, "POST"), 200);
  assert.equal(await push(site, { job: "failing" }, "rows 1\n"), 200);
  assert.equal(await push(site, { job: "failing" }, "rows 1 1700000000000\n"), 400);
  assert.equal(await push(site, { job: "recovered" }, "rows 1 1700000000000\n"), 400);
  assert.equal(await push(site, { job: "recovered" }, "rows 1\n"), 200);
}

// A gateway as one finds them, for the pictures of the manual.
async function demonstrate(site) {
  await fetch(`${site}api/v1/admin/wipe`, { method: "PUT" });
  const jobs = ["import", "backup", "cert-renewal", "nightly-report", "etl-orders", "reindex"];
  for (let number = 0; number < 60; number += 1) {
    const job = jobs[number % jobs.length];
    const labels = {
      job,
      instance: `db${Math.floor(number / jobs.length) + 1}.example.com`,
      ...(number % 3 ? { dc: number % 2 ? "fra" : "ams" } : {}),
    };
    const rows = Array.from(
      { length: 1 + ((number * 7) % 23) },
      (_, at) => `rows_total{table="t${at}"} ${number * at}\n`,
    ).join("");
    await push(site, labels, `# HELP rows_total Rows written by the last run.\n# TYPE rows_total counter\n${rows}`);
    if (number % 17 === 3) await push(site, labels, 'rows_total{table="t0"} 1\nrows_total{table="t0"} 2\n');
  }
  const bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
  const counts = {
    "/api": [3, 14, 42, 96, 151, 118, 77, 31, 12, 4, 2],
    "/login": [0, 2, 9, 31, 64, 92, 71, 40, 22, 9, 1],
  };
  const histogram = Object.entries(counts).map(([route, list]) => {
    let all = 0;
    const lines = bounds.map(
      (bound, at) => `request_seconds_bucket{route="${route}",le="${bound}"} ${(all += list[at])}\n`,
    );
    return `${lines.join("")}request_seconds_bucket{route="${route}",le="+Inf"} ${all}\nrequest_seconds_sum{route="${route}"} ${(all * 0.21).toFixed(1)}\nrequest_seconds_count{route="${route}"} ${all}\n`;
  });
  const quantiles = [
    [0.5, 0.012],
    [0.9, 0.051],
    [0.99, 0.34],
  ].map(([rank, value]) => `rpc_seconds{quantile="${rank}"} ${value}\n`);
  const body = [
    "# HELP request_seconds Time of requests by route.\n# TYPE request_seconds histogram\n",
    ...histogram,
    "# HELP rpc_seconds Time of calls to the ledger.\n# TYPE rpc_seconds summary\n",
    ...quantiles,
    "rpc_seconds_sum 17.2\nrpc_seconds_count 1200\n",
    "# HELP batch_rows_total Rows by table.\n# TYPE batch_rows_total counter\n",
    'batch_rows_total{table="orders"} 1.25e+06\nbatch_rows_total{table="users"} 48211\n',
  ];
  const shown = { job: "billing", instance: "app1.example.com", dc: "fra" };
  await push(site, shown, body.join(""));
  return shown;
}

module.exports = { demonstrate, MARKUP, ODD, fill, groups, path, push, rows };
