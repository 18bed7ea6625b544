// Draws each figure from the JSON of its table, with Plotly as the installed package brings it. Tables never need this.

import { withoutSheets } from "./chart_policy.js";
import { HEADERS } from "./api.js";
import { el } from "./dom.js";
import { KINDS } from "./chart_kinds.js";

const figures = [...document.querySelectorAll("figure.chart")];
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 40rem)");

function library(address) {
  return new Promise((resolve, reject) => {
    const script = el("script", { src: address });
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => reject(new Error("The charting library could not be loaded.")));
    document.head.append(script);
  });
}

async function rowsOf(figure) {
  const response = await fetch(figure.dataset.src, { headers: HEADERS });
  if (!response.ok) throw new Error(`The figures could not be read (status ${response.status}).`);
  return (await response.json()).rows;
}

// Colours of this page as it looks now.
function theme() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  const names = ["ink", "muted", "line", "edge", "grid", "surface", "accent", "good", "warn", "bad"];
  const found = Object.fromEntries(names.map((name) => [name, of(name)]));
  return { ...found, series: [1, 2, 3, 4, 5, 6].map((n) => of(`series-${n}`)), font: getComputedStyle(document.body).fontFamily };
}

function draw(Plotly, figure, rows) {
  const plot = figure.querySelector(".plot");
  const colours = theme();
  const { traces, layout = {}, height } = KINDS[figure.dataset.kind](rows, JSON.parse(figure.dataset.columns), colours, narrow.matches);
  plot.classList.add("is-drawn");
  Plotly.react(plot, traces, { ...base(colours, height), ...layout }, { displayModeBar: false, responsive: true, doubleClick: "reset" });
  plot.removeAllListeners?.("plotly_click");
  plot.on("plotly_click", ({ points }) => {
    const address = points[0]?.customdata;
    if (typeof address === "string" && address.startsWith("/dashboard/")) location.assign(address);
  });
}

function base(colours, height = narrow.matches ? 260 : 340) {
  const axis = { gridcolor: colours.grid, linecolor: colours.line, zerolinecolor: colours.edge, tickcolor: colours.line, automargin: true, title: { standoff: 10 } };
  return {
    height,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: colours.font, size: 13, color: colours.muted },
    margin: { l: 8, r: 12, t: 12, b: 8 },
    xaxis: { ...axis },
    yaxis: { ...axis },
    hoverlabel: { bgcolor: colours.surface, bordercolor: colours.line, font: { color: colours.ink, family: colours.font, size: 13 }, align: "left" },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { color: colours.ink } },
    showlegend: true,
    dragmode: narrow.matches ? false : "zoom",
  };
}

async function start() {
  const Plotly = await withoutSheets(() => library(figures[0].dataset.plotly));
  const drawn = [];
  for (const figure of figures) {
    const plot = figure.querySelector(".plot");
    try {
      const rows = await rowsOf(figure);
      plot.replaceChildren();
      draw(Plotly, figure, rows);
      drawn.push([figure, rows]);
    } catch (error) {
      failed(plot, error);
    }
  }
  const again = () => drawn.forEach(([figure, rows]) => draw(Plotly, figure, rows));
  dark.addEventListener("change", again);
  narrow.addEventListener("change", again);
}

function failed(plot, error) {
  plot.replaceChildren(el("p", { class: "status" }, `${error.message} The table holds every figure.`));
}

if (figures.length) start().catch((error) => figures.forEach((figure) => failed(figure.querySelector(".plot"), error)));
