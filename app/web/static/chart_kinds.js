// From rows of a table to what Plotly draws, one function a kind. Each series has its own mark besides its colour.

import { number } from "./dom.js";

const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "solid"];
const MANY = 60; // points, from which on intervals are a band
const plain = (text) => String(text ?? "").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const told = (value) => (value === null || value === undefined ? "–" : number(value));
const range = (row, c) => (row[c.low] === null || row[c.low] === undefined ? "" : ` (${told(row[c.low])} to ${told(row[c.high])})`);
const when = (text) => (text ? text.slice(0, 16).replace("T", " ") : "");

function grouped(rows, name) {
  const groups = new Map();
  for (const row of rows) {
    const key = name ? String(row[name] ?? "") : "";
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  return [...groups];
}

function bars(rows, c, at, colour) {
  const reach = (end) => rows.map((row) => (row[end] === null || row[end] === undefined ? 0 : Math.abs(row[end] - row[at])));
  return { type: "data", symmetric: false, array: reach(c.high), arrayminus: reach(c.low), thickness: 1.5, width: 3, color: colour };
}

function band(rows, c, colour) {
  const known = rows.filter((row) => row[c.low] !== null && row[c.high] !== null);
  const line = { width: 0, color: colour };
  const side = (end, more) => ({ x: known.map((row) => row[c.x]), y: known.map((row) => row[end]), mode: "lines", line, hoverinfo: "skip", showlegend: false, ...more });
  return [side(c.low, {}), side(c.high, { fill: "tonexty", fillcolor: `${colour}2e` })];
}

function trend(rows, c, colours) {
  const traces = grouped(rows, c.series).flatMap(([name, part], n) => {
    const colour = colours.series[n % colours.series.length];
    const many = part.length > MANY;
    const line = {
      x: part.map((row) => row[c.x]),
      y: part.map((row) => row[c.y]),
      name: plain(name),
      mode: "lines+markers",
      line: { color: colour, width: 2, dash: DASHES[n % DASHES.length] },
      marker: { color: colour, size: many ? 4 : 7, symbol: SYMBOLS[n % SYMBOLS.length] },
      customdata: part.map((row) => row.href),
      text: part.map((row) => `${when(row[c.x])}<br>${plain(row[c.label])}<br><b>${told(row[c.y])}</b>${range(row, c)}`),
      hovertemplate: "%{text}<extra></extra>",
    };
    if (!many) line.error_y = bars(part, c, c.y, colour);
    return many ? [...band(part, c, colour), line] : [line];
  });
  return { traces, layout: { showlegend: grouped(rows, c.series).length > 1 } };
}

function tones(colours) {
  return { better: colours.good, worse: colours.bad };
}

// Means or changes of a few names, one under another. Names whose numbers have other units get a panel of their own.
function intervals(rows, c, colours, isNarrow, zero = false) {
  const panels = grouped(rows, c.panel);
  const traces = [];
  const layout = { showlegend: false, shapes: [] };
  const heights = panels.map(([, part]) => part.length);
  const total = heights.reduce((a, b) => a + b, 0);
  const height = Math.max(130, 70 + total * 34 + (panels.length - 1) * 60);
  const gap = 60 / height;
  let top = 1;
  panels.forEach(([name, part], n) => {
    const end = n ? String(n + 1) : "";
    const room = ((1 - gap * (panels.length - 1)) * part.length) / total;
    const axis = { gridcolor: colours.grid, zerolinecolor: colours.edge, linecolor: colours.line, automargin: true, zeroline: zero, zerolinewidth: 2 };
    if (zero) axis.range = around(part, c);
    layout[`xaxis${end}`] = { ...axis, anchor: `y${end}`, title: { text: plain(panels.length > 1 ? name : ""), font: { size: 12 }, standoff: 4 } };
    layout[`yaxis${end}`] = { ...axis, anchor: `x${end}`, domain: [Math.max(0, top - room), top], range: [part.length - 0.5, -0.5], type: "category", zeroline: false, gridcolor: "rgba(0,0,0,0)", tickfont: { color: colours.ink, size: isNarrow ? 11 : 13 } };
    top -= room + gap;
    const shade = (row) => tones(colours)[row[c.tone]] ?? (c.tone ? colours.muted : colours.series[0]);
    for (const [tone, some] of grouped(part.map((row) => ({ ...row, shade: shade(row) })), "shade")) {
      traces.push({
        x: some.map((row) => row[c.x]),
        y: some.map((row) => short(row[c.y], isNarrow)),
        xaxis: `x${end}`,
        yaxis: `y${end}`,
        mode: "markers",
        marker: { color: tone, size: 10, symbol: tone === colours.bad ? "diamond" : tone === colours.good ? "square" : "circle" },
        error_x: bars(some, c, c.x, tone),
        customdata: some.map((row) => row.href),
        text: some.map((row) => `${plain(row[c.y])}<br><b>${told(row[c.x])}</b>${range(row, c)}`),
        hovertemplate: "%{text}<extra></extra>",
      });
    }
    // all names in their order, also where a tone's trace comes first
    layout[`yaxis${end}`].categoryorder = "array";
    layout[`yaxis${end}`].categoryarray = part.map((row) => short(row[c.y], isNarrow));
  });
  if (c.mark !== undefined) layout.shapes.push({ type: "line", xref: "x", yref: "paper", x0: Number(c.mark), x1: Number(c.mark), y0: 0, y1: 1, line: { color: colours.edge, dash: "dash", width: 1.5 } });
  return { traces, layout, height };
}

// From the least to the greatest end, zero among them, with room for marks.
function around(rows, c) {
  const ends = rows.flatMap((row) => [row[c.x], row[c.low], row[c.high]]).filter((value) => typeof value === "number");
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const room = (high - low || 2) * 0.05;
  return high === low ? [-1, 1] : [low - room, high + room];
}

const short = (name, isNarrow) => {
  const most = isNarrow ? 18 : 40;
  const text = String(name);
  return plain(text.length > most ? `${text.slice(0, most - 1)}…` : text);
};

function stacked(rows, c, colours) {
  const verdicts = { pass: colours.good, fail: colours.bad, inconclusive: colours.warn, infrastructure: colours.muted };
  const patterns = ["", "/", ".", "x", "-", "|"];
  const days = [...new Set(rows.map((row) => row[c.x]))].sort();
  const traces = grouped(rows, c.series).map(([name, part], n) => ({
    type: "bar",
    name: plain(name),
    x: part.map((row) => row[c.x]),
    y: part.map((row) => row[c.y]),
    marker: { color: verdicts[name] ?? colours.series[n % colours.series.length], pattern: { shape: patterns[n % patterns.length], fillmode: "overlay", solidity: 0.25 } },
    hovertemplate: `%{x}<br>${plain(name)}: <b>%{y}</b><extra></extra>`,
  }));
  const isDay = /^\d{4}-\d\d-\d\d$/.test(days[0] ?? "");
  const xaxis = { type: isDay ? "date" : "category", categoryorder: "array", categoryarray: days, gridcolor: "rgba(0,0,0,0)", linecolor: colours.line, automargin: true };
  const tallest = Math.max(...days.map((day) => rows.reduce((sum, row) => sum + (row[c.x] === day ? row[c.y] : 0), 0)));
  const yaxis = { gridcolor: colours.grid, linecolor: colours.line, automargin: true, nticks: Math.min(6, tallest + 1) }; // counts: no tick between two
  return { traces, layout: { yaxis, barmode: "stack", bargap: 0.25, xaxis, showlegend: traces.length > 1 } };
}

function timeline(rows, c, colours) {
  const known = rows.filter((row) => row[c.y] !== null);
  const alarmed = known.filter((row) => row[c.alarm]);
  const text = (part) => part.map((row) => `${when(row[c.x])}<br><b>${told(row[c.y])}</b>${range(row, c)}<br>threshold ${told(row[c.threshold])}`);
  const points = (part, more) => ({ x: part.map((row) => row[c.x]), y: part.map((row) => row[c.y]), text: text(part), hovertemplate: "%{text}<extra></extra>", ...more });
  const limits = rows.filter((row) => row[c.threshold] !== null);
  const traces = [
    ...band(known, c, colours.series[0]),
    points(known, { name: "effect", mode: "lines+markers", line: { color: colours.series[0], width: 2 }, marker: { color: colours.series[0], size: known.length > MANY ? 4 : 6 } }),
    { x: limits.map((row) => row[c.x]), y: limits.map((row) => row[c.threshold]), name: "threshold", mode: "lines", line: { color: colours.bad, width: 1.5, dash: "dash", shape: "hv" }, hoverinfo: "skip" },
    points(alarmed, { name: "alarm", mode: "markers", marker: { color: colours.bad, size: 12, symbol: "diamond", line: { color: colours.surface, width: 1.5 } } }),
  ];
  return { traces, layout: { yaxis: { rangemode: "tozero", gridcolor: colours.grid, automargin: true, zerolinecolor: colours.line } } };
}

function events(rows, c, colours, isNarrow) {
  const looks = { start: [colours.series[0], "circle", "started"], promote: [colours.good, "triangle-up", "promoted"], rollback: [colours.bad, "x", "taken back"] };
  const names = [...new Set(rows.map((row) => row[c.y]))].sort();
  const traces = grouped(rows, c.series).map(([action, part]) => {
    const [colour, symbol, name] = looks[action] ?? [colours.muted, "circle", action];
    return {
      x: part.map((row) => row[c.x]),
      y: part.map((row) => short(row[c.y], isNarrow)),
      name,
      mode: isNarrow ? "markers" : "markers+text",
      text: part.map((row) => plain(row[c.label])),
      textposition: "top center",
      textfont: { size: 11, color: colours.muted },
      marker: { color: colour, symbol, size: 12 },
      hovertemplate: `%{x|%d %b %Y, %H:%M}<br>%{y}@%{text}: ${name}<extra></extra>`,
    };
  });
  const yaxis = { type: "category", categoryorder: "array", categoryarray: names.map((name) => short(name, isNarrow)), autorange: "reversed", automargin: true, gridcolor: colours.grid, tickfont: { color: colours.ink } };
  return { traces, layout: { yaxis }, height: 120 + names.length * 60 };
}

function map(rows, c, colours) {
  const looks = {
    chunk: [colours.series[5], "circle", 5, 0.35, "chunks"],
    question: [colours.series[0], "circle", 7, 0.75, "questions"],
    gap: [colours.bad, "diamond", 10, 0.95, "questions in a gap"],
  };
  const order = ["chunk", "question", "gap"];
  const groups = grouped(rows, c.series).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  const traces = groups.map(([kind, part]) => {
    const [colour, symbol, size, opacity, name] = looks[kind];
    const cut = (text) => plain(text.length > 90 ? `${text.slice(0, 89)}…` : text);
    return {
      x: part.map((row) => row[c.x]),
      y: part.map((row) => row[c.y]),
      name: `${name} (${part.length})`,
      mode: "markers",
      marker: { color: colour, symbol, size, opacity, line: { width: kind === "gap" ? 1 : 0, color: colours.surface } },
      text: part.map((row) => cut(row[c.label] ?? "") + (row[c.cluster] ? `<br><i>gap ${row[c.cluster]}: ${plain(row[c.terms])}</i>` : "")),
      hovertemplate: "%{text}<extra></extra>",
    };
  });
  const axis = { showgrid: false, zeroline: false, showticklabels: false, ticks: "", linecolor: colours.line };
  return { traces, layout: { xaxis: axis, yaxis: { ...axis, scaleanchor: "x" }, hovermode: "closest", annotations: names(rows, c, colours) }, height: 480 };
}

// The number of each gap above its middle, as the table below has it: terms would cover one another.
function names(rows, c, colours) {
  const gaps = grouped(rows.filter((row) => row[c.series] === "gap" && row[c.cluster]), c.cluster);
  const mean = (part, axis) => part.reduce((sum, row) => sum + row[axis], 0) / part.length;
  return gaps.map(([number, part]) => ({ x: mean(part, c.x), y: mean(part, c.y), text: `<b>${plain(number)}</b>`, showarrow: false, yshift: 18, font: { color: colours.ink, size: 13 }, bgcolor: colours.surface, bordercolor: colours.line, borderpad: 2 }));
}

export const KINDS = {
  trend,
  intervals,
  changes: (rows, c, colours, isNarrow) => intervals(rows, c, colours, isNarrow, true),
  bars: stacked,
  timeline,
  events,
  map,
};
