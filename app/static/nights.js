// The pictures of the overnight runs.
import { axis, draw, share, written } from "./pictures.js";

const perfect = document.getElementById("pictures")?.dataset.perfect;
const SHARES = { min: 0, max: 1 };
const part = (value) => written(value, { maximumFractionDigits: 2 });

function exposure({ rows, codes, columns }, look) {
  const shown = rows.filter((_, at) => /^(reached|gini)/.test(codes[at][0]));
  const series = (at, color) => ({ type: "bar", name: columns[at], barMaxWidth: 16, itemStyle: { color, borderRadius: [0, 3, 3, 0] }, label: { show: true, position: "right", color: look.ink, formatter: ({ value }) => part(value) }, data: shown.map((row) => row[at]) });
  return {
    legend: { top: 0, left: 0, textStyle: { color: look.quiet } },
    grid: { left: 4, right: 40, top: 34, bottom: 4, containLabel: true },
    xAxis: axis(look, { type: "value", show: false, ...SHARES }),
    yAxis: axis(look, { type: "category", inverse: true, data: shown.map(([name]) => name), axisLabel: { color: look.ink, width: 150, overflow: "break" }, axisLine: { show: false } }),
    series: [series(1, look.accent), series(2, look.warn)],
  };
}

function quality({ rows, columns }, look, width) {
  const line = (at, color, symbol, type) => ({ type: "line", name: columns[at], symbol, symbolSize: 8, itemStyle: { color, decal: { symbol: "none" } }, lineStyle: { color, type, width: 2 }, data: rows.map((row) => row[at]) });
  return {
    legend: { top: 0, left: 0, itemWidth: 34, textStyle: { color: look.quiet } },
    tooltip: { trigger: "axis", renderMode: "richText", confine: true, backgroundColor: look.paper, borderColor: look.edge, textStyle: { color: look.ink, fontSize: 13 }, valueFormatter: part },
    grid: { left: 4, right: 16, top: width < 820 ? 74 : 40, bottom: 4, containLabel: true },
    xAxis: axis(look, { type: "category", boundaryGap: false, data: rows.map(([name]) => name) }),
    yAxis: axis(look, { type: "value", ...SHARES }),
    series: [line(2, look.accent, "circle", "solid"), line(3, look.accent, "diamond", "dashed"), line(4, look.warn, "rect", "solid"), line(5, look.warn, "triangle", "dashed")],
  };
}

function decisions({ rows, columns }, look, width) {
  const bar = (at, color) => ({ type: "bar", name: columns[at], stack: "decisions", barMaxWidth: 36, itemStyle: { color }, data: rows.map((row) => row[at]) });
  return {
    legend: { top: 0, left: 0, textStyle: { color: look.quiet } },
    tooltip: { trigger: "axis", renderMode: "richText", confine: true, backgroundColor: look.paper, borderColor: look.edge, textStyle: { color: look.ink, fontSize: 13 } },
    grid: { left: 4, right: 16, top: width < 480 ? 84 : 40, bottom: 4, containLabel: true },
    xAxis: axis(look, { type: "category", data: rows.map(([month, , , , rate]) => (rate === null ? month : `${month}\n${share(rate)}`)), axisLabel: { color: look.quiet, lineHeight: 17, hideOverlap: true } }),
    yAxis: axis(look, { type: "value", minInterval: 1 }),
    series: [bar(1, look.accent), bar(2, look.warn), bar(3, look.edge)],
  };
}

function calibration({ rows, codes, columns }, look) {
  const bound = { type: "line", symbol: "none", silent: true };
  return {
    grid: { left: 8, right: 24, top: 14, bottom: 30, containLabel: true },
    xAxis: axis(look, { type: "value", name: columns[3], nameLocation: "middle", nameGap: 28, nameTextStyle: { color: look.quiet }, axisLabel: { color: look.quiet, formatter: share }, ...SHARES }),
    yAxis: axis(look, { type: "value", axisLabel: { color: look.quiet, formatter: share }, ...SHARES }),
    series: [
      { ...bound, name: perfect, data: [[0, 0], [1, 1]], lineStyle: { color: look.edge, type: "dashed" } },
      ...rows.map((row) => ({ ...bound, data: [[row[3], row[5]], [row[3], row[6]]], lineStyle: { color: look.accent, width: 2, opacity: 0.5 } })),
      {
        type: "scatter",
        name: columns[4],
        data: rows.map((row, at) => ({
          value: [row[3], row[4]],
          symbolSize: 12,
          itemStyle: { color: codes[at][0] === "few" ? look.paper : look.accent, borderColor: look.accent, borderWidth: 2, decal: { symbol: "none" } },
        })),
        label: { show: true, position: "right", color: look.quiet, textBorderColor: look.paper, textBorderWidth: 3, formatter: ({ dataIndex }) => `n = ${written(rows[dataIndex][1])}` },
        tooltip: { formatter: ({ dataIndex }) => `${rows[dataIndex][0]}\n${columns[4]}: ${share(rows[dataIndex][4])} (${share(rows[dataIndex][5])} – ${share(rows[dataIndex][6])})\n${columns[1]}: ${written(rows[dataIndex][1])}` },
      },
    ],
  };
}

if (perfect) await draw({ exposure, quality, decisions, calibration });
