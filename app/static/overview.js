// The pictures of the overview.
import { axis, draw, share, written } from "./pictures.js";

const page = document.getElementById("pictures");
const OURS = [105.3, 30.1]; // between Chongqing and Chengdu
const NAMED = 14; // countries that the flows name; the table names all
const OUT = "go-out";

/** The outlines and the points of the map. */
async function world({ registerMap }) {
  const [land, places] = await Promise.all([page.dataset.land, page.dataset.places].map(async (path) => (await fetch(path)).json()));
  for (const { geometry } of land.features) geometry.coordinates = geometry.coordinates.map((rings) => rings.map(unbroken));
  registerMap("land", land);
  return { places };
}

/** A coast that crosses the line between the last and the first degree, in one piece: its far part goes on past 180°. */
function unbroken(ring) {
  const crosses = ring.some(([longitude], at) => at > 0 && Math.abs(longitude - ring[at - 1][0]) > 180);
  return crosses ? ring.map(([longitude, latitude]) => [longitude < -90 ? longitude + 360 : longitude, latitude]) : ring;
}

function map({ rows, codes }, look, width, { places }) {
  const shown = rows.map((row, at) => ({ row, way: codes[at][0], place: places[codes[at][1]] })).filter(({ place }) => place);
  const most = Math.max(1, ...shown.map(({ row }) => row[2]));
  const wide = width > 700;
  const lines = (way) => ({
    type: "lines",
    coordinateSystem: "geo",
    symbol: ["none", "arrow"],
    symbolSize: wide ? 10 : 7,
    lineStyle: { color: way === OUT ? look.accent : look.warn, type: way === OUT ? "solid" : [5, 4], opacity: 0.7, curveness: way === OUT ? 0.2 : 0.28 },
    data: shown
      .filter((one) => one.way === way)
      .map(({ row, place }) => ({ name: row[1], value: row[2], coords: way === OUT ? [OURS, place] : [place, OURS], lineStyle: { width: 0.8 + (wide ? 4.2 : 3) * (row[2] / most) } })),
    tooltip: { formatter: ({ name, value }) => `${name}\n${rows.find((row, at) => row[1] === name && codes[at][0] === way)[0]}: ${written(value)}` },
  });
  const sums = new Map();
  for (const { row, place } of shown) sums.set(row[1], { place, number: (sums.get(row[1])?.number ?? 0) + row[2] });
  const named = [...sums].sort((a, b) => b[1].number - a[1].number).slice(0, wide ? 12 : 0).map(([name]) => name);
  return {
    geo: {
      map: "land",
      silent: true,
      left: 0,
      right: 0,
      top: 8,
      bottom: 8,
      boundingCoords: [[-126, 74], [191, -54]],
      itemStyle: { areaColor: look.line, borderColor: look.line },
    },
    series: [
      lines(OUT),
      lines("bring-in"),
      {
        type: "scatter",
        coordinateSystem: "geo",
        symbolSize: ({ 2: number }) => 4 + (wide ? 6 : 4) * Math.sqrt(number / most / 2),
        itemStyle: { color: look.ink, borderColor: look.paper, borderWidth: 1, decal: { symbol: "none" } },
        labelLayout: { hideOverlap: true },
        label: { show: true, position: "right", color: look.ink, fontSize: 12, textBorderColor: look.paper, textBorderWidth: 2, formatter: ({ name }) => (named.includes(name) ? name : "") },
        data: [...sums].map(([name, { place, number }]) => ({ name, value: [...place, number] })),
        tooltip: { formatter: ({ name, value }) => `${name}: ${written(value[2])}` },
      },
      {
        type: "scatter",
        coordinateSystem: "geo",
        silent: true,
        symbol: "diamond",
        symbolSize: wide ? 16 : 11,
        itemStyle: { color: look.accentDeep, borderColor: look.paper, borderWidth: 2, decal: { symbol: "none" } },
        data: [{ value: OURS }],
      },
    ],
  };
}

function flows({ rows, codes }, look, width) {
  const colours = { [OUT]: look.accent, "bring-in": look.warn };
  const colour = (way) => colours[way] ?? look.edge;
  const sums = new Map();
  rows.forEach((row, at) => sums.set(row[2], (sums.get(row[2]) ?? 0) + row[3]));
  const named = [...sums].sort((a, b) => b[1] - a[1]).slice(0, NAMED).map(([name]) => name);
  const nodes = new Map();
  const links = new Map();
  const put = (key, name, depth, itemStyle) => nodes.set(key, { name: key, shown: name, depth, itemStyle });
  const flow = (way, source, target, value) => {
    const key = JSON.stringify([way, source, target]);
    links.set(key, { source, target, value: (links.get(key)?.value ?? 0) + value, lineStyle: { color: colour(way) } });
  };
  rows.forEach(([direction, field, partner, number], at) => {
    const way = codes[at][0];
    const country = named.includes(partner) ? partner : page.dataset.others;
    const keys = [`0 ${direction}`, `1 ${field}`, `2 ${country}`];
    put(keys[0], direction, 0, { color: colour(way) });
    put(keys[1], field, 1, { color: look.quiet });
    put(keys[2], country, 2, { color: look.quiet });
    flow(way, keys[0], keys[1], number);
    flow(way, keys[1], keys[2], number);
  });
  const shown = (key) => nodes.get(key)?.shown ?? key;
  const narrow = width < 600;
  return {
    series: [
      {
        type: "sankey",
        left: 4,
        right: narrow ? 90 : 150,
        top: 8,
        bottom: 8,
        nodeWidth: 12,
        nodeGap: 9,
        layoutIterations: 64,
        draggable: false,
        emphasis: { focus: "adjacency" },
        lineStyle: { opacity: 0.35, curveness: 0.5 },
        label: { color: look.ink, fontSize: narrow ? 11 : 13, textBorderColor: look.paper, textBorderWidth: 2, formatter: ({ name }) => shown(name), width: narrow ? 84 : 140, overflow: "truncate" },
        data: [...nodes.values()].map(({ name, depth, itemStyle }) => ({ name, depth, itemStyle: { ...itemStyle, borderWidth: 0, decal: { symbol: "none" } } })),
        links: [...links.values()],
        tooltip: {
          formatter: ({ dataType, data, name, value }) => (dataType === "edge" ? `${shown(data.source)} → ${shown(data.target)}\n${written(value)}` : `${shown(name)}\n${written(value)}`),
        },
      },
    ],
  };
}

/** Bars from top to bottom, one for each row, with what is written behind each. */
function bars(rows, look, width, value, said) {
  const narrow = width < 420;
  return {
    grid: { left: 4, right: narrow ? 96 : 150, top: 4, bottom: 4, containLabel: true },
    xAxis: { type: "value", show: false },
    yAxis: axis(look, { type: "category", inverse: true, data: rows.map(([name]) => name), axisLabel: { color: look.ink }, axisLine: { show: false } }),
    series: [
      {
        type: "bar",
        barMaxWidth: 22,
        barMinHeight: 2,
        itemStyle: { color: look.accent, borderRadius: [0, 4, 4, 0] },
        label: { show: true, position: "right", color: look.ink, formatter: ({ dataIndex }) => said(rows[dataIndex]) },
        data: rows.map(value),
        tooltip: { formatter: ({ dataIndex }) => `${rows[dataIndex][0]}\n${said(rows[dataIndex])}` },
      },
    ],
  };
}

const days = (value) => written(value, { maximumFractionDigits: 1 });

function funnel({ rows }, look, width) {
  return bars(rows, look, width, (row) => row[1], ([, number, part]) => written(number) + (part === null ? "" : `  (${share(part)})`));
}

function times({ rows }, look, width) {
  return bars(rows, look, width, (row) => row[2], ([, number, median]) => `${days(median)}  (n = ${written(number)})`);
}

function listings({ rows, columns }, look) {
  const series = (at, color) => ({
    type: "bar",
    name: columns[at],
    stack: "listings",
    barMaxWidth: 20,
    itemStyle: { color },
    data: rows.map((row) => row[at]),
  });
  return {
    legend: { top: 0, left: 0, textStyle: { color: look.quiet }, itemWidth: 20 },
    grid: { left: 4, right: 24, top: 34, bottom: 4, containLabel: true },
    xAxis: axis(look, { type: "value", minInterval: 1 }),
    yAxis: axis(look, { type: "category", inverse: true, data: rows.map(([name]) => name), axisLabel: { color: look.ink }, axisLine: { show: false } }),
    series: [series(1, look.accent), series(2, look.warn)],
  };
}

await draw({ map, flows, funnel, times, listings }, world);
