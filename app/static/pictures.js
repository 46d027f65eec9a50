// Draws the pictures of a page from the data beside their tables: in the page's colours, anew when these change, fitted
// to the room there is, with patterns beside the colours and without movement where that is asked for.

const page = document.getElementById("pictures");
const dark = matchMedia("(prefers-color-scheme: dark)");
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** The colours and fonts of the page as they are now. */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const names = ["accent", "accent-deep", "accent-pale", "ink", "quiet", "line", "edge", "paper", "ground", "warn", "bad", "good"];
  const colours = Object.fromEntries(names.map((name) => [name.replace("-d", "D").replace("-p", "P"), style.getPropertyValue(`--${name}`).trim()]));
  return { ...colours, font: getComputedStyle(document.body).fontFamily };
}

/** What all pictures have in common; the reader's words for it come with the data. */
function frame(look, data) {
  return {
    animation: !still.matches,
    animationDuration: 400,
    textStyle: { fontFamily: look.font, color: look.ink },
    aria: { enabled: true, label: { description: data.said }, decal: { show: true, decals: decals(look) } },
    tooltip: {
      renderMode: "richText",
      confine: true,
      backgroundColor: look.paper,
      borderColor: look.edge,
      textStyle: { color: look.ink, fontFamily: look.font, fontSize: 13 },
    },
  };
}

/** Patterns in the order of the series: none, stripes, dots. */
function decals(look) {
  const color = look.paper + "99";
  return [
    { symbol: "none" },
    { color, dashArrayX: [1, 0], dashArrayY: [2, 5], rotation: -Math.PI / 4 },
    { color, symbol: "circle", dashArrayX: [[6, 6], [0, 6, 6, 0]], dashArrayY: [5, 0], symbolSize: 0.6 },
  ];
}

/** Axes that keep quiet. */
export function axis(look, more = {}) {
  return {
    axisLine: { lineStyle: { color: look.line } },
    axisTick: { show: false },
    axisLabel: { color: look.quiet, hideOverlap: true },
    splitLine: { lineStyle: { color: look.line } },
    ...more,
  };
}

/** A number, a share or a time as the language of the page writes it. */
export const written = (value, options = {}) => new Intl.NumberFormat(document.documentElement.lang, options).format(value);
export const share = (value) => written(value, { style: "percent", maximumFractionDigits: 1 });

/** Draw every picture of the page that `options` has a way for: (data, look, width, extras) → ECharts options. */
export async function draw(options, load = async () => ({})) {
  const sections = [...page.querySelectorAll("[data-picture]")].filter((one) => one.querySelector(".canvas") && options[one.dataset.picture]);
  if (!sections.length) return;
  try {
    const charts = await import(page.dataset.charts);
    const extras = await load(charts);
    const drawn = sections.map((section) => picture(section, charts, options[section.dataset.picture], extras));
    for (const media of [dark, still]) media.addEventListener("change", () => drawn.forEach((again) => again()));
  } catch (error) {
    for (const section of sections) withoutPicture(section);
    throw error;
  }
}

/** Draw one; returns what draws it again. */
function picture(section, { init }, option, extras) {
  const canvas = section.querySelector(".canvas");
  const data = JSON.parse(section.querySelector("script[type='application/json']").textContent);
  const chart = init(canvas, null, { renderer: "canvas" });
  const again = () => {
    const look = theme();
    chart.setOption({ ...frame(look, data), ...option(data, look, canvas.clientWidth, extras) }, { notMerge: true });
  };
  again();
  let width = canvas.clientWidth;
  new ResizeObserver(() => {
    chart.resize();
    if (canvas.clientWidth !== width) again();
    width = canvas.clientWidth;
  }).observe(canvas);
  const button = section.querySelector("button.png");
  button.hidden = false;
  button.addEventListener("click", () => save(chart, section));
  section.dataset.drawn = "";
  return again;
}

/** The picture as a file, in twice the size, with its title, its sentence and its legend above it. */
async function save(chart, section) {
  const look = theme();
  const shown = headed(chart.renderToCanvas({ pixelRatio: 2, backgroundColor: look.paper }), section, look);
  const blob = await new Promise((done) => shown.toBlob(done, "image/png"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${section.dataset.picture}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function headed(picture, section, look) {
  const whole = document.createElement("canvas");
  const brush = whole.getContext("2d");
  const fonts = { title: `600 34px ${look.font}`, text: `26px ${look.font}` };
  const margin = 16;
  const lines = [["title", section.querySelector("h2, h3").textContent], ["text", section.querySelector(".hint").textContent]].flatMap(([kind, text]) => {
    brush.font = fonts[kind];
    return wrapped(brush, text, picture.width - 2 * margin).map((line) => [kind, line]);
  });
  const legend = [...section.querySelectorAll(".legend li[class]")];
  const top = 48 * (lines.length + (legend.length ? 1 : 0)) + margin;
  Object.assign(whole, { width: picture.width, height: picture.height + top });
  brush.fillStyle = look.paper;
  brush.fillRect(0, 0, whole.width, whole.height);
  brush.drawImage(picture, 0, top);
  lines.forEach(([kind, line], at) => {
    brush.font = fonts[kind];
    brush.fillStyle = kind === "title" ? look.ink : look.quiet;
    brush.fillText(line, margin, 48 * at + 42);
  });
  brush.font = fonts.text;
  let across = margin;
  for (const { className, textContent } of legend) {
    brush.strokeStyle = className === "out" ? look.accent : look.warn;
    brush.lineWidth = 6;
    brush.setLineDash(className === "out" ? [] : [14, 10]);
    brush.beginPath();
    brush.moveTo(across, top - 26);
    brush.lineTo(across + 80, top - 26);
    brush.stroke();
    brush.fillText(textContent, across + 96, top - 18);
    across += 140 + brush.measureText(textContent).width;
  }
  return whole;
}

/** A text in lines that fit, broken where its language breaks. */
function wrapped(brush, text, width) {
  const lines = [""];
  for (const { segment } of new Intl.Segmenter(document.documentElement.lang, { granularity: "word" }).segment(text)) {
    if (brush.measureText(lines.at(-1) + segment).width <= width) lines[lines.length - 1] += segment;
    else lines.push(segment.trimStart());
  }
  return lines;
}

/** The table in the place of a picture that cannot be drawn. */
function withoutPicture(section) {
  const told = document.createElement("p");
  told.className = "notice warn";
  told.setAttribute("role", "status");
  told.textContent = page.dataset.failed;
  section.querySelector(".canvas").replaceWith(told);
  section.querySelector("details").open = true;
}
