// Makes the files of app/static/ from the packages of package-lock.json: node build.mjs [FOLDER]
// The same packages give the same bytes, so that a test can tell whether what is committed is what this makes.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { licences, packages } from "./licences.mjs";
import { land, places } from "./world.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = resolve(process.argv[2] ?? join(here, "../app/static"));

const made = [
  copied("vendor/htmx.min.js", "htmx.org", "dist/htmx.min.js"),
  await bundled("vendor/charts.js", "charts.js"),
  { file: "vendor/land.json", from: ["world-atlas"], bytes: JSON.stringify(land()) },
  { file: "vendor/places.json", from: ["i18n-iso-countries", "world-atlas"], bytes: JSON.stringify(places()) },
];
const used = new Set(made.flatMap(({ from }) => from));
made.push({ file: "vendor/licences.txt", from: [...used], bytes: licences(used) });

for (const { file, bytes } of made) write(file, bytes);
write("vendor/manifest.json", `${JSON.stringify(manifest(), null, 1)}\n`);

/** A file of a package as it is. */
function copied(file, from, path) {
  return { file, from: [from], bytes: readFileSync(join(here, "node_modules", from, path), "utf8") };
}

/** A module of ours with what it imports, in one file. */
async function bundled(file, entry) {
  const result = await build({
    absWorkingDir: here,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    define: { "process.env.NODE_ENV": '"production"' },
    metafile: true,
    write: false,
  });
  return { file, from: packagesIn(result.metafile), bytes: result.outputFiles[0].text };
}

/** The packages that gave a bundle at least one byte. */
function packagesIn({ outputs }) {
  const inputs = Object.values(outputs).flatMap((output) => Object.entries(output.inputs));
  const names = inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
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
