// Whose work is in what we serve, and on which terms.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const LICENCE_FILE = /^(licen[cs]e|notice)/i;

/** Name, version and licence of installed packages, by name. */
export function packages(names) {
  return Object.fromEntries([...names].sort().map((name) => [name, described(name)]));
}

/** The text that goes with the files: every package with its licence, in full. */
export function licences(names) {
  const texts = Object.entries(packages(names)).map(([name, { version, licence, folder }]) => {
    return [`${name} ${version} (${licence})`, ...textsIn(folder, name)].join("\n\n");
  });
  const rule = `\n\n${"=".repeat(72)}\n\n`;
  return ["Parts of these packages are in the files of this folder.", ...texts].join(rule) + "\n";
}

/** The texts of a package's licence and notices, which some keep in a folder. */
function textsIn(folder, name) {
  const entries = readdirSync(folder, { withFileTypes: true }).filter((entry) => LICENCE_FILE.test(entry.name));
  const paths = entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? readdirSync(path).map((file) => join(path, file)) : path;
  });
  if (paths.length === 0) throw new Error(`${name} brings no licence text`);
  return paths.sort().map((path) => readFileSync(path, "utf8").replaceAll("\r\n", "\n").trim());
}

function described(name) {
  const folder = fileURLToPath(new URL(`node_modules/${name}`, import.meta.url));
  const { version, license } = require(join(folder, "package.json"));
  return { version, licence: license, folder };
}
