// Checks of the groups view, on a gateway with ten groups and the admin API on.
"use strict";

const assert = require("node:assert/strict");
const { check, eventually } = require("./harness");
const { fill, groups, path, push, rows } = require("./site");

const ALL = [
  "job=backup instance=db4.example.com",
  "job=backup instance=db5.example.com",
  "job=backup instance=db6.example.com",
];

async function list(tools, query = "") {
  await fill(tools.few);
  const page = await tools.open(tools.few);
  await page.goto(tools.few + query);
  await page.waitForSelector(".rows .row a");
  return page;
}

// How much of what was shown has moved since the page was loaded, as browsers reckon it.
const shift = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const sum = (seen) => seen.getEntries().reduce((all, entry) => all + entry.value, 0);
        new PerformanceObserver((seen) => resolve(sum(seen))).observe({ type: "layout-shift", buffered: true });
        setTimeout(() => resolve(0), 300);
      }),
  );

const counts = (page) => page.textContent("#counts");

check("list: every group is shown, with the exact time of its last push on hover", async (tools) => {
  const page = await list(tools);
  const { groups: found } = await groups(tools.few);
  const labels = (group) =>
    ["job", "instance"]
      .filter((name) => name in group.labels)
      .map((name) => `${name}=${group.labels[name]}`)
      .join(" ");
  assert.deepEqual(await rows(page), found.map(labels));
  assert.match(await counts(page), /^10 groups · \d+ series · 1 failing$/);
  const time = page.locator(".rows .row .cell.pushed time").first();
  assert.match(await time.textContent(), /^(just now|\d+ s ago)$/);
  assert.ok((await time.getAttribute("title")).includes(await time.getAttribute("datetime")));
  const shown = await time.textContent();
  await eventually(async () => (await time.textContent()) !== shown, true);
  assert.match(await time.textContent(), /^\d+ s ago$/);
});

check("list: the policy is strict, and everything comes compressed and is kept", async (tools) => {
  const page = await tools.open(tools.few);
  const answer = await page.goto(tools.few);
  const policy = answer.headers()["content-security-policy"];
  for (const part of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]) {
    assert.ok(policy.includes(part), policy);
  }
  assert.ok(!policy.includes("unsafe"));
  await page.waitForSelector(".rows .row a");
  const loaded = () =>
    page.evaluate(() =>
      performance
        .getEntriesByType("resource")
        .filter((entry) => entry.name.includes("/static/"))
        .map((entry) => [entry.encodedBodySize, entry.decodedBodySize, entry.transferSize]),
    );
  const first = await loaded();
  assert.ok(
    first.length > 15 && first.every(([encoded, decoded]) => encoded > 0 && encoded <= decoded),
    JSON.stringify(first),
  );
  assert.ok(first.reduce((sum, [encoded]) => sum + encoded, 0) < 60 * 1024);
  await page.reload();
  await page.waitForSelector(".rows .row a");
  assert.ok(
    (await loaded()).every(([, , transferred]) => transferred === 0),
    "assets are loaded once",
  );
});

check("list: searching as one types, in the address, shared by it", async (tools) => {
  const page = await list(tools);
  await page.fill("#search", "job=backup");
  await eventually(() => rows(page), ALL);
  assert.match(await counts(page), /^3 of 10 groups · 18 series$/);
  assert.equal(new URL(page.url()).searchParams.get("search"), "job=backup");
  await page.fill("#search", "job=~back* instance!=db5.example.com");
  await eventually(() => rows(page), [ALL[0], ALL[2]]);
  await page.fill("#search", "DB6");
  await eventually(() => rows(page), [ALL[2]]);
  await page.fill("#search", "nothing");
  await eventually(() => page.textContent("#empty"), "No group matches.");
  const other = await tools.open(tools.few);
  await other.goto(`${tools.few}?search=job%3Dbackup&sort=-series`);
  await eventually(() => rows(other), [ALL[2], ALL[1], ALL[0]]);
  assert.equal(await other.inputValue("#search"), "job=backup");
  await other.focus("#search");
  await other.keyboard.press("Escape");
  await eventually(async () => (await rows(other)).length, 10);
  assert.equal(new URL(other.url()).search, "?sort=-series");
});

check(
  "list: a search that cannot be read says why, where it is typed",
  async (tools) => {
    const page = await list(tools);
    await page.fill("#search", '"job');
    await eventually(() => page.textContent("#search-error"), 'search term "\\"job": a quote is not closed');
    assert.equal(await page.getAttribute("#search", "aria-invalid"), "true");
    await page.fill("#search", '"backup"');
    await eventually(() => rows(page), ALL);
    assert.ok(await page.isHidden("#search-error"));
  },
  /status of 400/,
);

check("list: sorted by each column, both ways", async (tools) => {
  const page = await list(tools);
  const names = async () =>
    (await groups(tools.few, new URL(page.url()).searchParams.toString())).groups.map((group) => group.labels);
  for (const [column, orders] of Object.entries({
    "Last push": ["-pushed", "pushed"],
    "Last failure": ["-failed", "failed"],
    Series: ["-series", "series"],
    Group: [null, "-job"],
  })) {
    for (const order of orders) {
      await page.click(`.head button:has-text("${column}")`);
      await eventually(() => new URL(page.url()).searchParams.get("sort"), order);
      const expected = (await names()).map(({ job, instance }) =>
        instance ? `job=${job} instance=${instance}` : `job=${job}`,
      );
      await eventually(() => rows(page), expected);
      const sorted = await page.getAttribute(`.head [role=columnheader]:has-text("${column}")`, "aria-sort");
      assert.equal(sorted, order?.startsWith("-") ? "descending" : "ascending");
    }
  }
});

check("list: failed pushes stand out, with their reason", async (tools) => {
  const page = await list(tools);
  assert.equal(await page.locator(".row.failing").count(), 1);
  assert.equal(await page.textContent(".row.failing .reason"), "pushed metrics must not have timestamps");
  await page.click(".choice button:has-text('Failing 1')");
  await eventually(() => rows(page), ["job=failing"]);
  assert.equal(new URL(page.url()).search, "?state=failing");
});

check("list: follows the gateway, unless paused, and nothing moves", async (tools) => {
  const page = await list(tools);
  const focused = () =>
    page.evaluate(() => [
      document.activeElement.localName,
      document.activeElement.closest(".row")?.querySelector("a").textContent,
    ]);
  const [link, button] = ["a", "button"].map((name) => [name, "job=importinstance=db3.example.com"]);
  await page.locator(".rows .row a", { hasText: "db3" }).focus();
  // Two groups in front of it, and a change of its own.
  await push(tools.few, { job: "import", instance: "db00" }, "rows 1\n");
  await push(tools.few, { job: "import", instance: "db3.example.com" }, "rows 1\n");
  await eventually(async () => (await rows(page)).length, 11);
  assert.deepEqual(await focused(), link);
  await page.keyboard.press("Tab");
  await push(tools.few, { job: "import", instance: "db01" }, "rows 1\n");
  await push(tools.few, { job: "import", instance: "db3.example.com" }, "rows 1\nmore 1\n");
  await page.keyboard.press("r");
  await eventually(async () => (await rows(page)).length, 12);
  assert.deepEqual(await focused(), button);
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("p");
  assert.equal(await page.textContent("#live-text"), "Paused");
  await push(tools.few, { job: "import", instance: "db02" }, "rows 1\n");
  // Longer than a refresh is away.
  await page.waitForTimeout(5500);
  assert.equal((await rows(page)).length, 12);
  await page.keyboard.press("r");
  await eventually(async () => (await rows(page)).length, 13);
  assert.ok((await shift(page)) < 0.01, `layout shift ${await shift(page)}`);
  await page.reload();
  await page.waitForSelector(".rows .row a");
  assert.equal(await page.textContent("#live-text"), "Paused");
  assert.ok((await shift(page)) < 0.01, `layout shift ${await shift(page)}`);
});

check(
  "list: one group is deleted, and errors are shown where they happen",
  async (tools) => {
    const page = await list(tools, "?search=job%3Dbackup");
    await page.click(".rows .row:nth-child(2) .remove");
    assert.equal(await page.textContent("dialog h2"), "Delete this group?");
    await page.route("**/metrics/**", (route) => route.fulfill({ status: 503, body: "try again later\n" }), {
      times: 1,
    });
    await page.click("dialog button.danger");
    await eventually(() => page.textContent("dialog [role=alert]"), "try again later");
    await page.click("dialog button:not(.danger)");
    await page.click(".rows .row:nth-child(2) .remove");
    await page.click("dialog button.danger");
    await eventually(() => rows(page), [ALL[0], ALL[2]]);
    assert.equal((await groups(tools.few, "search=db5")).totals.matching, 0);
  },
  /status of 503/,
);

check(
  "list: what a search matches is deleted, once its number was typed",
  async (tools) => {
    const page = await list(tools, "?search=job%3Dbackup");
    await page.click("#remove:has-text('Delete 3…')");
    const [field, yes] = [page.locator("dialog input"), page.locator("dialog button.danger")];
    assert.ok(await yes.isDisabled());
    await field.fill("4");
    assert.ok(await yes.isDisabled());
    await field.fill("3");
    // Another one appears meanwhile: nobody agreed to delete that.
    await push(tools.few, { job: "backup", instance: "new" }, "rows 1\n");
    await yes.click();
    await eventually(() => page.textContent("dialog [role=alert]"), "the search matches 4 groups; nothing was deleted");
    await page.click("dialog button:not(.danger)");
    await page.click("#remove:has-text('Delete 4…')");
    await field.fill("4");
    await page.keyboard.press("Enter");
    await eventually(async () => (await groups(tools.few)).totals.groups, 7);
    await eventually(() => page.textContent("#empty"), "No group matches.");
  },
  /status of 409/,
);

check("list: everything is deleted with the admin API on", async (tools) => {
  const page = await list(tools);
  await page.click("#remove:has-text('Delete all…')");
  await page.fill("dialog input", "10");
  await page.click("dialog button.danger");
  await eventually(() => page.textContent("#empty"), "Nothing was pushed yet.");
  assert.equal((await groups(tools.few)).totals.groups, 0);
});

check("list: the keyboard does it all", async (tools) => {
  const page = await list(tools);
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press("/");
  await page.keyboard.type("backup");
  await eventually(() => rows(page), ALL);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(), "job=backupinstance=db5.example.com");
  await page.keyboard.press("k");
  assert.equal(await focused(), "job=backupinstance=db4.example.com");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".group .tabs");
  await page.keyboard.press("Escape");
  await eventually(() => rows(page), ALL);
  await page.keyboard.press("Escape");
  await eventually(async () => (await rows(page)).length, 10);
  await page.keyboard.press("?");
  assert.ok((await page.textContent("dialog")).includes("quotes for blanks"));
  await page.keyboard.press("Escape");
  assert.ok(await page.isHidden("dialog"));
  await page.keyboard.press("s");
  await page.waitForSelector(".cards");
  await page.keyboard.press("g");
  await page.waitForSelector(".rows .row a");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("d");
  await page.waitForSelector("dialog[open] button.danger");
});

check("list: back and forward go through what was looked at", async (tools) => {
  const page = await list(tools, "?search=backup");
  await page.click(".rows .row a");
  await page.waitForSelector(".group .tabs");
  await page.click("#nav-status");
  await page.waitForSelector(".cards");
  assert.equal(new URL(page.url()).pathname, new URL("status", tools.few).pathname);
  await page.goBack();
  await page.waitForSelector(".group .tabs");
  await page.goBack();
  await eventually(() => rows(page), ALL);
  await page.goForward();
  await eventually(() => page.isVisible(".group .tabs"), true);
  assert.equal(
    new URL(page.url()).searchParams.get("group"),
    path({ job: "backup", instance: "db4.example.com" }).replace(/.*/, "job/backup/instance/db4.example.com"),
  );
});

check(
  "list: says when the gateway cannot be reached, and goes on when it can",
  async (tools) => {
    const page = await list(tools);
    await page.context().setOffline(true);
    await page.keyboard.press("r");
    await eventually(() => page.isVisible("#offline"), true);
    assert.equal((await rows(page)).length, 10);
    await page.context().setOffline(false);
    await eventually(() => page.isVisible("#offline"), false);
  },
  /ERR_INTERNET_DISCONNECTED/,
);
