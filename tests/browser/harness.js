// Runs checks in Chromium, one after the other, and tells what came of them. No check may leave an error in the
// console, load anything from elsewhere, or meet the content policy.
"use strict";

const assert = require("node:assert/strict");
const { existsSync } = require("node:fs");

const CHROMIUM = "/usr/bin/chromium";
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const checks = [];

// Declares a check. `allow` is a pattern of console errors that belong to it: a refused request is one.
function check(name, run, allow) {
  checks.push({ name, run, allow });
}

async function launch() {
  if (!existsSync(CHROMIUM)) throw new Error(`there is no ${CHROMIUM}`);
  const { chromium } = require("playwright-core");
  return chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGUMENTS });
}

// A page of its own context, with what goes wrong in it.
async function open(browser, site, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(site).origin });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => {
    const { origin } = new URL(request.url());
    if (origin !== new URL(site).origin) problems.push(`request to ${origin}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  return { page, context, problems };
}

// Runs the declared checks whose names contain `filter`; whether all passed.
async function run(environment, filter) {
  const browser = await launch();
  let failures = 0;
  for (const { name, run, allow } of checks.filter((one) => one.name.includes(filter))) {
    const opened = [];
    const started = performance.now();
    const tools = {
      ...environment,
      browser,
      open: async (site, options) => {
        const one = await open(browser, site, options);
        opened.push(one);
        return one.page;
      },
    };
    try {
      await run(tools);
      const problems = opened.flatMap((one) => one.problems).filter((problem) => !allow?.test(problem));
      assert.deepEqual(problems, [], "errors in the console");
      console.log(`ok      ${name} (${Math.round(performance.now() - started)} ms)`);
    } catch (error) {
      failures += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
      const problems = opened.flatMap((one) => one.problems);
      if (problems.length > 0) console.log(`console: ${problems.join("\n")}`);
    }
    for (const { context } of opened) await context.close();
  }
  await browser.close();
  return failures === 0;
}

// Waits until `read` gives what is expected; the last thing it gave is in the error.
async function eventually(read, expected, patience = 8000) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await read();
    try {
      assert.deepEqual(found, expected);
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

module.exports = { check, run, eventually };
