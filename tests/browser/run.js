// Runs all checks of the web page.
//
// usage: NODE_PATH=<directory of modules> node run.js FEW MANY [--pictures DIRECTORY] [--only TEXT]
//
// FEW is the address of a gateway with the admin API on, which the checks fill and empty; MANY that of one with the
// 20,000 groups that tests/it/browser.rs pushes. Pictures of every view go to DIRECTORY. Exits with 1 if a check failed.
"use strict";

const { run } = require("./harness");

require("./list");
require("./group");
require("./looks");
require("./many");

const [few, many, ...options] = process.argv.slice(2);
const option = (name) => (options.includes(name) ? options[options.indexOf(name) + 1] : undefined);

// Nothing here takes long: something hangs.
setTimeout(() => {
  console.log("FAILED  not done in time");
  process.exit(1);
}, 240000).unref();

run({ few, many, pictures: option("--pictures") }, option("--only") ?? "").then(
  (isGood) => process.exit(isGood ? 0 : 1),
  (error) => {
    console.log(error.stack);
    process.exit(1);
  },
);
