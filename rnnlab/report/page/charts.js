"use strict";
// How charts look, and when they are drawn: as soon as one is near, and again when its data have changed.
// Colours that colour-blind readers can distinguish (Okabe and Ito 2008), each with its own dash and marker.
const LIGHT = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#8A6D00"];
const DARK = ["#56B4E9", "#FF8A45", "#2FC79A", "#E79BC4", "#9BD3F5", "#F0B429", "#FFFFFF", "#D9C66A"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const MARKERS = ["circle", "square", "diamond", "triangle-up", "x", "cross"];

function isDark() {
  return document.documentElement.dataset.theme === "dark";
}
function look(number, dash) {
  const colours = isDark() ? DARK : LIGHT;
  const turn = (dash + Math.floor(number / colours.length)) % DASHES.length;
  return { colour: colours[number % colours.length], dash: DASHES[turn], marker: MARKERS[turn] };
}
// Of a group: its colour and dashes say what it has in common with others.
function styleOf(number) {
  return look(DATA.groups[number].color, DATA.groups[number].dash);
}
function shade(colour, share) {
  return colour + Math.round(share * 255).toString(16).padStart(2, "0");
}
function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function layoutOf(x, y, more) {
  const axis = { gridcolor: css("--line"), linecolor: css("--line"), zeroline: false, automargin: true };
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: 'system-ui, "DejaVu Sans", sans-serif', size: 13, color: css("--front") },
    // Room above for the buttons and the legend.
    margin: { l: 56, r: 12, t: 34, b: 44 },
    showlegend: false,
    hovermode: "closest",
    hoverlabel: { align: "left", namelength: -1 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--quiet"), activecolor: css("--accent") },
    legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom" },
    xaxis: Object.assign({}, axis, { title: { text: x } }),
    yaxis: Object.assign({}, axis, { title: { text: y } }),
  };
  for (const [key, value] of Object.entries(more || {})) layout[key] = Object.assign(layout[key] || {}, value);
  return layout;
}
// Panels with one scale, as many beside each other as have room: their number, and the layout for them.
function panelled(layout, titles, width) {
  const columns = Math.max(1, Math.min(4, titles.length, Math.floor(width / 300))),
    rows = Math.ceil(titles.length / columns);
  layout.grid = { rows, columns, pattern: "independent", xgap: 0.16, ygap: 0.32 };
  Object.assign(layout.margin, { l: 48, t: 52 });
  layout.annotations = titles.map((title, at) => ({
    text: plain(title),
    xref: `x${at ? at + 1 : ""} domain`,
    yref: `y${at ? at + 1 : ""} domain`,
    x: 0.5,
    y: 1,
    yanchor: "bottom",
    showarrow: false,
  }));
  const axes = { x: layout.xaxis, y: layout.yaxis };
  titles.forEach((_, at) => {
    const suffix = at ? String(at + 1) : "", last = at + columns >= titles.length;
    for (const side of ["x", "y"]) {
      const axis = Object.assign({}, axes[side], at ? { matches: side } : {});
      if (side === "x" ? !last : at % columns) axis.title = { text: "" };
      layout[`${side}axis${suffix}`] = axis;
    }
  });
  return { layout, height: 60 + 230 * rows };
}
function withLegend(layout) {
  layout.showlegend = true;
  return layout;
}
// Over several decades a label each is enough; within one, its 2 and 5 as well.
function logarithmic(values) {
  const logs = values.filter((value) => value > 0 && Number.isFinite(value)).map(Math.log10);
  const wide = logs.length && logs.reduce((a, b) => Math.max(a, b)) - logs.reduce((a, b) => Math.min(a, b)) > 2;
  return { type: "log", dtick: wide ? undefined : "D2", exponentformat: "power", nticks: 7, minor: { ticks: "" } };
}
const CONFIG = {
  displaylogo: false,
  displayModeBar: "hover",
  responsive: true,
  showTips: false,
  showSendToCloud: false,
  showEditInChartStudio: false,
  toImageButtonOptions: { format: "svg" },
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
};

// Each chart's name with the function that gives its traces and layout, or a text with the reason why there are none.
const CHARTS = {};
const NEAR = new Set();

function draw(name) {
  const place = document.getElementById(`chart-${name}`);
  const made = CHARTS[name]();
  place.classList.toggle("empty", typeof made === "string");
  if (typeof made === "string") {
    Plotly.purge(place);
    place.textContent = made;
    return;
  }
  if (!place.classList.contains("js-plotly-plot")) place.textContent = "";
  place.style.height = made.height ? `${made.height}px` : "";
  Plotly.react(place, made.traces, made.layout, CONFIG);
  // A chart that is drawn again keeps the height that it had.
  if (place.clientHeight !== place._fullLayout.height) Plotly.Plots.resize(place);
}
function changed(...names) {
  for (const name of names.length ? names : Object.keys(CHARTS)) if (NEAR.has(name)) draw(name);
}
function watch() {
  const eye = new IntersectionObserver((seen) => {
    for (const one of seen) {
      const name = one.target.id.slice("chart-".length);
      if (one.isIntersecting && !NEAR.has(name)) {
        NEAR.add(name);
        draw(name);
      }
    }
  }, { rootMargin: "300px" });
  for (const name of Object.keys(CHARTS)) eye.observe(document.getElementById(`chart-${name}`));
}
function drawAll() {
  for (const name of Object.keys(CHARTS)) {
    NEAR.add(name);
    draw(name);
  }
}
