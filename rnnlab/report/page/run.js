"use strict";
// One run: heat map, total and direct, norms before and after the clip, and where it comes from.
const theRun = { number: 0, detail: 0 };
function current() {
  return DATA.runs[theRun.number];
}

// Curves of one run are told apart by colours of their own, however few groups there are.
function lookOf(number) {
  return look(number, 0);
}

CHARTS.heat = () => {
  const run = current();
  if (!run || !run.heat) return run && run.reason ? run.reason : "this run's heat map is not on the page";
  const heat = run.heat, packed = rowsOf(heat.values);
  const last = Math.max(...heat.lags), t = heat.lags.map((lag) => last - lag);
  const x = heat.updates.map((update) => (ticked("log-updates") ? update + 1 : update));
  const turned = (rows) => heat.lags.map((_, at) => rows.map((row) => row[at]));
  const z = turned(packed.rows), labels = turned(packed.labels);
  const text = z.map((row, at) =>
    row.map((value, k) => `update ${heat.updates[k]}, t ${t[at]}: ${value === null ? labels[at][k] : value.toFixed(2)}`)
  );
  const traces = [{
    type: "heatmap",
    x,
    y: t,
    z,
    text,
    hoverinfo: "text",
    colorscale: "Viridis",
    hoverongaps: true,
    colorbar: { thickness: 14, title: { text: "log10", side: "top" } },
  }];
  const kinds = ["exactly zero", "underflow", "not finite"];
  const indices = labels.map((row) => row.map((label) => (kinds.includes(label) ? kinds.indexOf(label) : null)));
  const present = kinds.filter((_, kind) => indices.some((row) => row.includes(kind)));
  if (present.length) {
    traces.push({
      type: "heatmap",
      x,
      y: t,
      z: indices,
      zmin: 0,
      zmax: 2,
      showscale: false,
      text,
      hoverinfo: "text",
      hoverongaps: false,
      colorscale: [[0, "#bdbdbd"], [0.33, "#bdbdbd"], [0.33, "#7a7a7a"], [0.66, "#7a7a7a"], [0.66, "#d7301f"], [
        1,
        "#d7301f",
      ]],
    });
  }
  const words = {
    "exactly zero": "light grey: exactly zero",
    underflow: "dark grey: underflow",
    "not finite": "red: not finite",
  };
  const note = present.map((kind) => words[kind]).join("<br>");
  const xaxis = ticked("log-updates") ? { type: "log", title: { text: "update + 1" } } : {};
  return {
    traces,
    layout: layoutOf("update", "timestep t", {
      xaxis,
      margin: { t: note ? 44 : 34 },
      annotations: note
        ? [{ text: note, xref: "paper", yref: "paper", x: 0, y: 1, yanchor: "bottom", showarrow: false, align: "left" }]
        : [],
    }),
  };
};

CHARTS.detail = () => {
  const run = current();
  if (!run || !run.detail) return run && run.reason ? run.reason : "no gradient was recorded";
  const one = run.detail[theRun.detail], packed = rowsOf(one.values), [h, direct] = [0, 1].map(lookOf);
  const [total, own, low, high, ...others] = packed.rows;
  const hover = (at) =>
    packed.rows[at].map((value, k) =>
      `lag ${one.lags[k]}: ${value === null ? packed.labels[at][k] : value.toFixed(2)}`
    );
  const traces = [
    { x: one.lags, y: low, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false },
    {
      x: one.lags,
      y: high,
      mode: "lines",
      line: { width: 0 },
      fill: "tonexty",
      fillcolor: shade(h.colour, 0.16),
      hoverinfo: "skip",
      name: "5th to 95th percentile of samples",
    },
    {
      x: one.lags,
      y: total,
      mode: "lines",
      line: { color: h.colour, width: 2.5 },
      name: "h, total",
      text: hover(0),
      hoverinfo: "text+name",
    },
  ];
  // The direct gradient is often at a single timestep, where a line would be nothing to see.
  traces.push({
    x: one.lags,
    y: own,
    mode: "lines+markers",
    marker: { symbol: "square", size: 6, color: direct.colour },
    line: { color: direct.colour, dash: "dash" },
    name: "h, direct",
    text: hover(1),
    hoverinfo: "text+name",
  });
  for (const [at, state] of one.states.entries()) {
    traces.push({
      x: one.lags,
      y: others[at],
      mode: "lines",
      line: { color: lookOf(2 + at).colour, dash: "dot", width: 2.5 },
      name: `${plain(state)}, total`,
      text: hover(4 + at),
      hoverinfo: "text+name",
    });
  }
  return { traces, layout: withLegend(layoutOf("lag", "log10 norm", {})) };
};

CHARTS.norms = () => {
  const run = current();
  if (!run || !run.norms) return run && run.metrics_reason ? run.metrics_reason : "no metrics were recorded";
  const norms = run.norms, x = floatsOf(norms.updates);
  const [before, after, acted] = [norms.grad_norm, norms.grad_norm_clipped, norms.clipped].map(floatsOf);
  const [first, second] = [0, 1].map(lookOf);
  const hit = x.map((_, at) => acted[at] > 0);
  const traces = [
    { x, y: before, mode: "lines", line: { color: first.colour, width: 2 }, name: "before the clip" },
    { x, y: after, mode: "lines", line: { color: second.colour, width: 2, dash: "dash" }, name: "after the clip" },
    {
      x: x.filter((_, at) => hit[at]),
      y: before.filter((_, at) => hit[at]),
      mode: "markers",
      name: "clipped here",
      marker: { symbol: "x-thin", size: 7, line: { width: 1.5, color: second.colour } },
    },
  ];
  return {
    traces,
    layout: withLegend(layoutOf("update", "gradient norm", { yaxis: logarithmic([...before, ...after]) })),
  };
};

function chooseRun(number) {
  theRun.number = (number + DATA.runs.length) % DATA.runs.length;
  const run = current(), select = document.getElementById("run"), slider = document.getElementById("detail");
  select.value = String(theRun.number);
  document.getElementById("run-name").textContent = run.name;
  slider.max = String(run.detail ? run.detail.length - 1 : 0);
  const states = ["h", ...(run.detail ? run.detail[0].states : [])];
  document.getElementById("states").textContent = states.join(" and ");
  const facts = document.getElementById("facts");
  facts.replaceChildren();
  for (const [name, value] of run.facts) {
    const term = document.createElement("dt"), description = document.createElement("dd");
    term.textContent = name;
    description.textContent = value;
    if (name === "repeat") description.className = "code";
    facts.append(term, description);
  }
  chooseDetail(Number(slider.max));
  changed("heat", "norms");
}
function chooseDetail(number) {
  const run = current(), slider = document.getElementById("detail");
  theRun.detail = number;
  slider.value = String(number);
  const update = run.detail ? String(run.detail[number].update) : "none";
  document.getElementById("detail-text").textContent = update;
  slider.setAttribute("aria-valuetext", `update ${update}`);
  changed("detail");
}
function readyRuns() {
  const select = document.getElementById("run");
  for (const one of DATA.groups) {
    const part = document.createElement("optgroup");
    part.label = one.label;
    for (const number of one.runs) {
      const run = DATA.runs[number], option = document.createElement("option");
      option.value = String(number);
      option.textContent = `${run.name}${run.status === "completed" ? "" : ` (${run.status})`}`;
      part.append(option);
    }
    select.append(part);
  }
  select.addEventListener("change", () => chooseRun(Number(select.value)));
  document.getElementById("previous").addEventListener("click", () => chooseRun(theRun.number - 1));
  document.getElementById("next").addEventListener("click", () => chooseRun(theRun.number + 1));
  document.getElementById("detail").addEventListener("input", (event) => chooseDetail(Number(event.target.value)));
  document.getElementById("log-updates").addEventListener("change", () => changed("heat"));
  chooseRun(0);
}
