// Makes the files of app/static/ that are not written by hand: node build.mjs [FOLDER]
// The same packages and sources give the same bytes: a test tells whether what is committed is what this makes.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";
import { licences, packages } from "./licences.mjs";
import { land, places } from "./world.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = resolve(process.argv[2] ?? join(here, "../app/static"));

const style = await styled("widget/style.css");
const made = [
  { file: "vendor/htmx.min.js", from: ["htmx.org"], bytes: read("node_modules/htmx.org/dist/htmx.min.js") },
  await bundled("vendor/charts.js", "charts.js"),
  { file: "vendor/land.json", from: ["world-atlas"], bytes: JSON.stringify(land()) },
  { file: "vendor/places.json", from: ["i18n-iso-countries", "world-atlas"], bytes: JSON.stringify(places()) },
  await bundled("widget.js", "widget/index.js", { define: { STYLE: JSON.stringify(style) } }),
  await bundled("widget/frame.js", "widget/frame.js", { format: "iife" }),
  { file: "widget/frame.css", from: [], bytes: (await styled("widget/frame.css")) + style },
  { file: "widget/words.json", from: [], bytes: read("widget/words.json") },
];
const used = new Set(made.flatMap(({ from }) => from));
made.push({ file: "vendor/licences.txt", from: [...used], bytes: licences(used) });

for (const { file, bytes } of made) write(file, bytes);
write("vendor/manifest.json", `${JSON.stringify(manifest(), null, 1)}\n`);

function read(path) {
  return readFileSync(join(here, path), "utf8");
}

/** A style sheet of ours, made small. */
async function styled(path) {
  return (await transform(read(path), { loader: "css", minify: true, target: "es2022", charset: "utf8" })).code;
}

/** A module of ours with what it imports, in one file. */
async function bundled(file, entry, options = {}) {
  const result = await build({
    absWorkingDir: here,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    metafile: true,
    write: false,
    ...options,
  });
  return { file, from: packagesIn(result.metafile), bytes: result.outputFiles[0].text };
}

/** The packages that gave a bundle at least one byte. */
function packagesIn({ outputs }) {
  const inputs = Object.values(outputs).flatMap((output) => Object.entries(output.inputs));
  const paths = inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => path);
  const names = paths.map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
  return [...new Set(names.filter(Boolean))];
}

/** What each file is made of, and the digest that it must have. */
function manifest() {
  const entry = ({ file, from, bytes }) => {
    const versions = Object.entries(packages(from)).map(([name, { version }]) => [name, version]);
    return [file, { packages: Object.fromEntries(versions), sha256: createHash("sha256").update(bytes).digest("hex") }];
  };
  return Object.fromEntries(made.map(entry));
}

function write(file, bytes) {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}
