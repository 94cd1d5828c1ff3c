// Checks of accessibility and themes in every view, and the pictures of them.
"use strict";

const assert = require("node:assert/strict");
const { readFileSync, mkdirSync } = require("node:fs");
const { join } = require("node:path");
const { check, eventually } = require("./harness");
const { ODD, demonstrate, fill, path, push } = require("./site");

const AXE = () => readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const VIEWS = {
  groups: "",
  "no-groups": "?search=none",
  group: `?group=${encodeURIComponent(path({ job: "charts" }))}`,
  failing: `?group=${encodeURIComponent(path({ job: "failing" }))}&tab=commands`,
  text: `?group=${encodeURIComponent(path({ job: "charts" }))}&tab=text`,
  gone: "?group=job%2Fgone",
  status: "status",
};

const SCREENS = [
  ["light", { width: 1280, height: 800 }],
  ["dark", { width: 1280, height: 800 }],
  ["light", { width: 375, height: 720 }],
];

async function violations(page) {
  await page.evaluate(AXE());
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes.map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`).join(" | ")}`,
  );
}

for (const [colorScheme, viewport] of SCREENS) {
  check(
    `looks: axe finds nothing, ${colorScheme}, ${viewport.width} wide`,
    async (tools) => {
      await fill(tools.few);
      for (const labels of ODD) await push(tools.few, labels, "# HELP odd Odd.\nodd 1\n");
      const page = await tools.open(tools.few, { colorScheme, viewport });
      const shoot = async (name) => {
        if (!tools.pictures) return;
        mkdirSync(tools.pictures, { recursive: true });
        await page.screenshot({ path: join(tools.pictures, `${name}-${colorScheme}-${viewport.width}.png`) });
      };
      for (const [name, address] of Object.entries(VIEWS)) {
        await page.goto(tools.few + address);
        await page.waitForFunction(() => performance.getEntriesByName("interactive").length > 0);
        assert.deepEqual(await violations(page), [], name);
        await shoot(name);
      }
      await page.goto(`${tools.few}?search=job%3Dimport`);
      await page.waitForSelector(".rows .row a");
      await page.click("#remove");
      assert.deepEqual(await violations(page), [], "dialog");
      await shoot("dialog");
      await page.keyboard.press("Escape");
      await page.focus(".rows .row a");
      await page.keyboard.press("?");
      assert.deepEqual(await violations(page), [], "help");
      await shoot("help");
    },
    /status of 404/,
  );
}

check(
  "looks: a chosen theme stays, and is there before anything is drawn",
  async (tools) => {
    const page = await tools.open(tools.few, { colorScheme: "light" });
    await page.goto(tools.few);
    const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await background();
    await page.waitForFunction(() => performance.getEntriesByName("interactive").length > 0);
    await page.click("#theme");
    assert.equal(await background(), light, "first light, for those who have it dark");
    await page.click("#theme");
    const dark = await background();
    assert.notEqual(dark, light);
    await page.route("**/functions.js", (route) => route.abort());
    await page.reload({ waitUntil: "commit" });
    await eventually(background, dark);
    await page.unroute("**/functions.js");
    await page.reload();
    await page.waitForFunction(() => performance.getEntriesByName("interactive").length > 0);
    await page.keyboard.press("t");
    assert.equal(await background(), light, "as the system has it");
  },
  /ERR_FAILED/,
);

// Two of the pictures are in the manual, as tests/browser/screenshots/*.png. The ages in them are made up: everything
// was pushed a moment ago.
check("looks: the pictures of the manual", async (tools) => {
  const shown = await demonstrate(tools.few);
  const page = await tools.open(tools.few, { colorScheme: "light", viewport: { width: 1280, height: 640 } });
  await page.route("**/api/v1/groups?*", async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    const back = (iso, seconds) => iso && new Date(Date.parse(iso) - 1000 * seconds).toISOString();
    body.data.groups.forEach((group, at) => {
      const seconds = 4 + ((at * at * 37) % 5400);
      group.pushed = back(group.pushed, group.last_push_successful ? seconds : seconds + 80000);
      group.failed = back(group.failed, seconds);
    });
    await route.fulfill({ response: answer, json: body });
  });
  const shoot = async (name) => tools.pictures && page.screenshot({ path: join(tools.pictures, `${name}.png`) });
  await page.goto(`${tools.few}?sort=-failed`);
  await page.waitForSelector(".rows .row a");
  assert.equal(await page.locator(".row.failing").count(), 4);
  const reason = page.locator(".row.failing .reason").first();
  assert.equal(await reason.textContent(), 'collected metric "rows_total" is not a COUNTER (and 2 more)');
  assert.match(
    await reason.getAttribute("title"),
    /^3 error\(s\) occurred:\n\* collected metric "rows_total" \{ label/,
  );
  await shoot("manual-groups");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 1280, height: 760 });
  await page.goto(`${tools.few}?group=${encodeURIComponent(path(shown))}`);
  await page.waitForSelector(".histogram");
  await page.waitForTimeout(1200);
  await shoot("manual-group");
});
