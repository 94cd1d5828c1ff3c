// Checks of the view of one group and of the status view, on a gateway with ten groups.
"use strict";

const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { check, eventually } = require("./harness");
const { MARKUP, ODD, fill, groups, path, push } = require("./site");

async function group(tools, labels, tab = "") {
  const page = await tools.open(tools.few);
  await page.goto(`${tools.few}?group=${encodeURIComponent(path(labels))}${tab && `&tab=${tab}`}`);
  await page.waitForSelector(".group .tabs");
  return page;
}

const family = (page, name) => page.locator(`.family[aria-label="Family ${name}"]`);
const facts = (scope) =>
  scope
    .locator(".compound dl.facts")
    .evaluateAll((lists) =>
      lists.map((list) => [...list.children].map((one) => [...one.children].map((part) => part.textContent).join(" "))),
    );

check("group: families with type, help and samples", async (tools) => {
  await fill(tools.few);
  const page = await group(tools, { job: "charts" });
  const rows = family(page, "rows_total");
  assert.equal(await rows.locator(".type").textContent(), "counter");
  assert.equal(await rows.locator(".help").textContent(), "Rows.");
  const samples = await rows
    .locator("tbody tr")
    .evaluateAll((found) => found.map((row) => [...row.cells].map((cell) => cell.textContent)));
  assert.deepEqual(samples, [
    ["table=users", "1500000"],
    ['table=""', "2"],
  ]);
  assert.match(
    await family(page, "finished_timestamp_seconds").locator("td.value").textContent(),
    /^1700000000 \d+ y ago$/,
  );
  await page.fill("#families", "calls");
  await eventually(() => page.locator(".family h2").allTextContents(), ["rpc_seconds"]);
  assert.deepEqual(await page.locator(".group h1 .chip").allTextContents(), ["job=charts"]);
});

check("group: histograms and summaries are drawn, and their numbers stand beside", async (tools) => {
  await fill(tools.few);
  const page = await group(tools, { job: "charts" });
  const classic = family(page, "request_seconds");
  const titles = (scope) => scope.locator("svg.histogram title").allTextContents();
  assert.deepEqual(await titles(classic), [
    "≤ 0.1: 10, 10.0 %",
    "(0.1, 0.5]: 50, 50.0 %",
    "(0.5, 1]: 30, 30.0 %",
    "> 1: 10, 10.0 %",
  ]);
  const heights = await classic
    .locator("svg.histogram .bar")
    .evaluateAll((bars) => bars.map((bar) => Math.round(bar.getBBox().height)));
  assert.deepEqual(heights, [19, 96, 58, 19]);
  assert.deepEqual(await facts(classic), [["count 100", "sum 40", "mean 0.4", "p50 ≈ 0.42", "p90 ≈ 1", "p99 > 1"]]);
  const native = family(page, "nh");
  assert.deepEqual(
    (await titles(native)).map((title) => title.split(":")[0]),
    [
      "[-1.414213562373095, -1)",
      "[-0.001, 0.001]",
      "(0.7071067811865475, 1]",
      "(1, 1.414213562373095]",
      "(2.82842712474619, 4]",
    ],
  );
  assert.equal((await facts(native))[0][0], "count 8");
  const summary = family(page, "rpc_seconds");
  assert.deepEqual(await facts(summary), [["count 100", "sum 30", "mean 0.3"]]);
  const widths = await summary
    .locator("svg.quantiles .bar")
    .evaluateAll((bars) => bars.map((bar) => Math.round(bar.getBBox().width)));
  assert.deepEqual(widths, [90, 360]);
});

check("group: its text is that of the gateway, and all of it is copied", async (tools) => {
  await fill(tools.few);
  const long =
    "# TYPE many gauge\n" +
    Array.from({ length: 5000 }, (_, at) => `many{number="${at}",pad="${"x".repeat(40)}"} ${at}\n`).join("");
  for (const [labels, body] of [
    [{ job: "charts" }, null],
    [{ job: "long" }, long],
  ]) {
    if (body) await push(tools.few, labels, body);
    const page = await group(tools, labels, "text");
    const expected = await (
      await fetch(`${tools.few}api/v1/groups/${path(labels)}`, { headers: { Accept: "text/plain" } })
    ).text();
    await page.waitForSelector("pre.exposition");
    const shown = await page.textContent("pre.exposition");
    assert.ok(expected.startsWith(shown) && shown.endsWith("\n"));
    assert.equal(shown.length < expected.length, body !== null);
    await page.click(".above button");
    await eventually(() => page.evaluate(() => navigator.clipboard.readText()), expected);
  }
});

check("group: copying works without a secure origin, too", async (tools) => {
  await fill(tools.few);
  const page = await tools.open(tools.few);
  await page.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await page.goto(`${tools.few}?group=job/charts&tab=commands`);
  const command = await page.locator(".command pre").first().textContent();
  await page.locator(".command button").first().click();
  await eventually(() => page.textContent("#said"), "Copied.");
  const reader = await page.context().newPage();
  await reader.goto(`${tools.few}-/healthy`);
  assert.equal(await reader.evaluate(() => navigator.clipboard.readText()), command);
});

check(
  "group: an address that names no group says so",
  async (tools) => {
    const page = await tools.open(tools.few);
    for (const name of ["job/none", "nothing", "job/a/b", "../status", "job/%2e%2e/%2E/x", "job/%", "job/x?y#z"]) {
      await page.goto(`${tools.few}?group=${encodeURIComponent(name)}`);
      await page.waitForSelector(".group .error");
      assert.match(await page.textContent(".group .error"), /^(This group is not there|odd number|400 Bad)/, name);
    }
  },
  /status of 40[04]/,
);

check("group: the commands do what they say, whatever the labels are", async (tools) => {
  await fill(tools.few);
  for (const labels of [{ job: "charts" }, ...ODD]) {
    assert.equal(await push(tools.few, labels, "before 1\n"), 200);
    const page = await group(tools, labels, "commands");
    const found = await page.locator(".command pre").allTextContents();
    await page.locator(".command button").nth(2).click();
    await eventually(() => page.evaluate(() => navigator.clipboard.readText()), found[2]);
    const shell = (command) => execFileSync("sh", ["-c", command.replaceAll("curl ", "curl -sS --fail ")]).toString();
    shell(found[0]);
    assert.match(shell(found[3]), /^before\{[^]*\nsome_metric\{/m);
    shell(found[1]);
    assert.doesNotMatch(shell(found[3]), /^before\{/m);
    const { totals } = await groups(tools.few);
    shell(found[2]);
    assert.equal((await groups(tools.few)).totals.groups, totals.groups - 1);
    await page.context().close();
  }
});

check("group: labels of every script and length, and markup that stays text", async (tools) => {
  await fill(tools.few);
  for (const labels of ODD) {
    const value = MARKUP.replace(/["\\]/g, "\\$&");
    assert.equal(
      await push(
        tools.few,
        labels,
        `# HELP odd ${MARKUP} &amp; \\n next\n# TYPE odd gauge\nodd{markup="${value}",empty=""} 1\n`,
      ),
      200,
    );
  }
  const pages = [await tools.open(tools.few, { viewport: { width: 375, height: 720 } }), await tools.open(tools.few)];
  const addresses = [
    "",
    `?search=${encodeURIComponent(MARKUP.slice(0, 20).replaceAll('"', '\\"').replace(/^/, '"') + '"')}`,
    ...ODD.flatMap((labels) =>
      ["", "&tab=text", "&tab=commands"].map((tab) => `?group=${encodeURIComponent(path(labels))}${tab}`),
    ),
  ];
  for (const page of pages) {
    for (const address of addresses) {
      await page.goto(tools.few + address);
      await page.waitForSelector(address.includes("group=") ? ".group .tabs" : ".rows .row a");
      const found = await page.evaluate(() => ({
        pwned: window.pwned,
        images: document.images.length,
        scripts: document.querySelectorAll("body script").length,
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      }));
      assert.deepEqual(found, { pwned: undefined, images: 0, scripts: 0, overflow: 0 }, address);
    }
  }
  const page = await group(tools, ODD[0]);
  assert.equal(await page.locator(".group h1 .chip bdi").first().textContent(), MARKUP);
  assert.equal(await family(page, "odd").locator(".help").textContent(), `${MARKUP} &amp; \n next`);
});

check("group: chips lead to the groups with the same label", async (tools) => {
  await fill(tools.few);
  for (const labels of ODD) await push(tools.few, labels, "x 1\n");
  for (const labels of [{ job: "backup", instance: "db4.example.com" }, ...ODD]) {
    const page = await group(tools, labels);
    await page.locator(".group h1 .chip.job").click();
    await page.waitForSelector(".rows .row a");
    const expected = (await groups(tools.few)).groups.filter((one) => one.labels.job === labels.job).length;
    await eventually(() => page.locator(".rows .row a").count(), expected);
    await page.context().close();
  }
});

check(
  "group: follows pushes, tells failures, and ends with its deletion",
  async (tools) => {
    await fill(tools.few);
    const labels = { job: "recovered" };
    const page = await group(tools, labels);
    assert.match(
      await page.textContent(".failure"),
      /^A push was refused, before the last one was accepted: .*pushed metrics must not have timestamps$/,
    );
    await push(tools.few, labels, "rows 1 5\n");
    await page.keyboard.press("r");
    await eventually(
      () =>
        page
          .locator(".failure p")
          .textContent()
          .then((text) => text.replace(/(just now|\d+ s ago)/, "")),
      "The last push was refused ",
    );
    await push(tools.few, labels, "rows 77\n", "POST");
    await eventually(() => family(page, "rows").locator("td.value").textContent(), "77");
    await page.click(".group button:has-text('Delete group…')");
    await page.click("dialog button.danger");
    await eventually(async () => page.locator(".rows .row").count(), 9);
    await page.goBack();
    await eventually(() => page.textContent(".group .error"), "This group is not there, or not any more.");
  },
  /status of 404/,
);

check("status: build, flags, persistence and charts that live", async (tools) => {
  await fill(tools.few);
  const page = await tools.open(tools.few);
  await page.goto(`${tools.few}status`);
  await page.waitForSelector(".status .pairs dd");
  const { data } = await (await fetch(`${tools.few}api/v1/status`)).json();
  const pairs = await page
    .locator(".pairs div")
    .evaluateAll((found) => found.map((one) => [...one.children].map((part) => part.textContent)));
  assert.deepEqual(pairs[0], ["Version", data.build_information.version]);
  assert.deepEqual(pairs.map(([name]) => name).slice(-2), ["Started", "Uptime"]);
  const flags = await page
    .locator(".status table[aria-label=Flags] tbody tr")
    .evaluateAll((found) => found.map((row) => [row.cells[0].firstChild.textContent, row.className]));
  assert.deepEqual(
    flags.map(([name]) => name),
    Object.keys(data.flags).map((name) => `--${name}`),
  );
  assert.deepEqual(
    flags.filter(([, kind]) => kind === "changed").map(([name]) => name.slice(2)),
    data.flags_changed,
  );
  assert.match(await page.textContent(".status"), /In memory only: a restart loses what was pushed/);
  const card = (name) => page.locator(`.card[aria-label="${name}"]`);
  const before = await card("Pushes accepted").locator("p").last().textContent();
  for (let number = 0; number < 50; number += 1)
    await push(tools.few, { job: "import", instance: "db0.example.com" }, "rows 1\n");
  await eventually(
    () =>
      card("Pushes accepted")
        .locator("p")
        .last()
        .textContent()
        .then((text) => text !== before),
    true,
  );
  assert.match(await card("Pushes accepted").locator(".big").textContent(), /^[1-9][\d.]*\/s$/);
  await eventually(
    () =>
      card("Pushes accepted")
        .locator(".stroke")
        .getAttribute("d")
        .then((drawn) => /^M.*L/.test(drawn)),
    true,
  );
  assert.match(await card("Stored text").textContent(), /KiB.*10 groups, \d+ pages?$/);
  await page.click("summary:has-text('All own metrics')");
  assert.ok((await page.textContent("table[aria-label='Own metrics']")).includes('handler="push"'));
});
