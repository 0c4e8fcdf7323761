#!/bin/sh
# Fetches these releases of the libraries and writes vendor.min.js and LICENSES.txt beside this file: sh leaderboards/page/vendor/build.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/entry.js" "$work"
cd "$work"
npm install --no-audit --no-fund --silent @observablehq/plot@0.6.17 lit-html@3.3.3 esbuild@0.28.2
npx esbuild entry.js --bundle --minify --format=iife --global-name=vendor --legal-comments=none --metafile=meta.json --log-level=warning --outfile="$here/vendor.min.js" \
  --banner:js="/* Observable Plot and D3 (ISC; Observable, Inc. and Mike Bostock), lit-html (BSD-3-Clause; Google LLC). All licences: leaderboards/page/vendor/LICENSES.txt in purebench. */"
# The licences of all packages of which code is in the bundle.
node -e '
const fs = require("fs"), [{ inputs }] = Object.values(require("./meta.json").outputs);
const used = Object.keys(inputs).filter((file) => inputs[file].bytesInOutput > 0);
const packages = new Set(used.map((file) => file.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean));
for (const name of [...packages].sort()) {
  const folder = `node_modules/${name}`, { version, license } = require(`./${folder}/package.json`);
  const file = fs.readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  console.log(`${name} ${version} (${license})\n\n${fs.readFileSync(`${folder}/${file}`, "utf8").trim()}\n\n`);
}' > "$here/LICENSES.txt"
