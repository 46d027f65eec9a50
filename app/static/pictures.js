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
  button.addEventListener("click", () => save(chart, section.dataset.picture));
  section.dataset.drawn = "";
  return again;
}

/** The picture as a file, on the page's ground and in twice the size. */
async function save(chart, name) {
  const shown = chart.renderToCanvas({ pixelRatio: 2, backgroundColor: theme().paper });
  const blob = await new Promise((done) => shown.toBlob(done, "image/png"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
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
