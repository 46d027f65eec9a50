// The two files of the world map: its coastlines, and one point for every country.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { geoArea, geoCentroid, geoContains, geoEquirectangular, geoPath } from "d3-geo";
import { feature } from "topojson-client";

const require = createRequire(import.meta.url);
const countryCodes = require("i18n-iso-countries");

const ANTARCTIC = -60; // land south of this latitude is left out: nobody posts there, and it fills a fifth of a map

// Places with a code of their own that the atlas draws as part of another or not at all.
const NOT_IN_THE_ATLAS = {
  BQ: [-68.3, 12.2],
  BV: [3.4, -54.4],
  CC: [96.8, -12.2],
  CX: [105.7, -10.5],
  GF: [-53.1, 3.9],
  GP: [-61.6, 16.2],
  MQ: [-61, 14.7],
  RE: [55.5, -21.1],
  SJ: [16, 78.7],
  TK: [-171.8, -9.2],
  YT: [45.2, -12.8],
};

// The two places whose centre this is.
const OURS = { "CN-50": [106.5, 29.6], "CN-51": [104.1, 30.7] };

/** The outlines of the land as GeoJSON: one feature, named "land". */
export function land() {
  const polygons = atlas("land-110m", "land").flatMap(polygonsOf);
  const coordinates = polygons
    .filter(([outline]) => outline.some(([, latitude]) => latitude > ANTARCTIC))
    .flatMap(cut)
    .map((rings) => rings.map(coarse));
  const geometry = { type: "MultiPolygon", coordinates };
  return { type: "FeatureCollection", features: [{ type: "Feature", properties: { name: "land" }, geometry }] };
}

/** From a country's code to the [longitude, latitude] of the middle of its largest piece of land. */
export function places() {
  const largest = new Map();
  for (const one of atlas("countries-10m", "countries")) {
    const code = one.id && countryCodes.numericToAlpha2(one.id);
    for (const coordinates of code ? polygonsOf(one) : []) {
      const polygon = { type: "Polygon", coordinates };
      const area = geoArea(polygon);
      if (area > (largest.get(code)?.area ?? -1)) largest.set(code, { area, polygon });
    }
  }
  const points = { ...NOT_IN_THE_ATLAS, ...OURS };
  for (const [code, { polygon }] of largest) points[code] = geoCentroid(polygon).map(rounded);
  return Object.fromEntries(Object.entries(points).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function atlas(file, object) {
  const topology = JSON.parse(readFileSync(require.resolve(`world-atlas/${file}.json`), "utf8"));
  return feature(topology, topology.objects[object]).features;
}

function polygonsOf({ geometry }) {
  return geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
}

/** A polygon in pieces that end at the 180th meridian: on a flat map it would run all across where it crosses it. */
function cut(coordinates) {
  const rings = [];
  const pen = {
    moveTo: (x, y) => rings.push([[x, -y]]),
    lineTo: (x, y) => rings.at(-1).push([x, -y]),
    closePath: () => rings.at(-1).push(rings.at(-1)[0]),
  };
  const degrees = geoEquirectangular().scale(180 / Math.PI).translate([0, 0]).precision(0);
  geoPath(degrees, pen)({ type: "Polygon", coordinates });
  const outlines = rings.filter((ring) => geoArea(piece(ring)) < 2 * Math.PI); // a lake runs the other way round
  const lakes = rings.filter((ring) => !outlines.includes(ring));
  return outlines.map((outline) => [outline, ...lakes.filter(([shore]) => geoContains(piece(outline), shore))]);
}

function piece(ring) {
  return { type: "Polygon", coordinates: [ring] };
}

/** A ring in tenths of a degree, without the points that fall together there. */
function coarse(ring) {
  const points = ring.map((point) => point.map(rounded));
  return points.filter((point, at) => at === 0 || String(point) !== String(points[at - 1]));
}

function rounded(degrees) {
  return Math.round(degrees * 10) / 10 || 0; // no -0
}
