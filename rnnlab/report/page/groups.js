"use strict";
// The groups that are checked, and their charts.
const MOST_LINES = 12, MOST_PANELS = 12, MOST_BANDS = 4;
const SERIES = {
  eval_error: "validation error",
  eval_loss: "validation loss",
  loss: "training loss",
  error: "training error",
};
const drawn = new Set();
function ticked(id) {
  return document.getElementById(id).checked;
}
function shown() {
  return DATA.groups.map((group, number) => ({ group, number })).filter(({ number }) => drawn.has(number));
}
function chosen() {
  return Number(document.getElementById("position").value);
}
const NONE = "no group is checked in the table above";

CHARTS.curves = () => {
  const traces = [], linear = ticked("linear"), groups = shown();
  if (!groups.length) return NONE;
  const scaled = (row) => (linear ? row.map((value) => (value === null ? null : 10 ** value)) : row);
  const titles = [...new Set(groups.map(({ group }) => group.panel))];
  const fullest = Math.max(...titles.map((title) => groups.filter(({ group }) => group.panel === title).length));
  for (const { group, number } of groups) {
    const at = titles.indexOf(group.panel) + 1;
    const panel = at > 1 ? { xaxis: `x${at}`, yaxis: `y${at}` } : {};
    const curve = group.curves[Math.min(chosen(), group.curves.length - 1)];
    if (!curve) continue;
    const { colour, dash } = styleOf(number), { rows, labels } = rowsOf(curve.values);
    if (ticked("bands") && fullest <= MOST_BANDS && rows.length === 3) {
      const side = Object.assign({ x: curve.lags, mode: "lines", line: { width: 0 }, hoverinfo: "skip" }, panel);
      traces.push(Object.assign({ y: scaled(rows[1]) }, side));
      traces.push(Object.assign({ y: scaled(rows[2]), fill: "tonexty", fillcolor: shade(colour, 0.15) }, side));
    }
    if (ticked("seeds")) {
      traces.push(...singleSeeds(group, colour, scaled).map((trace) => Object.assign(trace, panel)));
    }
    const text = rows[0].map((value, k) =>
      `lag ${curve.lags[k]}: ${value === null ? labels[0][k] : value.toFixed(2)}, ${curve.runs} run${
        curve.runs > 1 ? "s" : ""
      }`
    );
    traces.push(Object.assign({
      x: curve.lags,
      y: scaled(rows[0]),
      text,
      hoverinfo: "text+name",
      name: plain(group.label),
      mode: "lines",
      line: { color: colour, dash, width: 2.5 },
    }, panel));
    if (fullest <= MOST_BANDS) {
      traces.push(...theoryOf(curve, colour, scaled).map((trace) => Object.assign(trace, panel)));
    }
  }
  const layout = layoutOf("lag (timesteps before the last)", linear ? "|dL/dh_t|" : "log10 |dL/dh_t|", {});
  if (titles.length === 1) return { traces, layout };
  return { traces, ...panelled(layout, titles, document.getElementById("chart-curves").clientWidth) };
};
// What closed forms say, as a line with its name at its end.
function theoryOf(curve, colour, scaled) {
  const lags = [curve.lags[0], curve.lags.at(-1)];
  return curve.theory.filter(({ values }) => !values.includes(null)).map(({ name, values }, at) => ({
    x: lags,
    y: scaled(values),
    text: ["", plain(name)],
    textposition: values[1] < values[0] ? "bottom left" : "top left",
    textfont: { color: colour, size: 10 },
    mode: "lines+text",
    name: plain(name),
    hoverinfo: "name",
    line: { color: colour, dash: DASHES[1 + at % (DASHES.length - 1)], width: 1 },
  }));
}
// The readings of single runs are fewer than those of the groups: the one nearest to the slider's update.
function singleSeeds(group, colour, scaled) {
  const update = DATA.positions[chosen()];
  const traces = [];
  for (const number of group.runs) {
    const run = DATA.runs[number];
    if (!run.detail) continue;
    const far = (one) => (update === undefined ? -one.update : Math.abs(one.update - update));
    const one = run.detail.reduce((best, other) => (far(other) < far(best) ? other : best));
    traces.push({
      x: one.lags,
      y: scaled(rowsOf(one.values).rows[0]),
      mode: "lines",
      line: { color: shade(colour, 0.55), width: 1 },
      name: plain(`${run.name}, update ${one.update}`),
      hoverinfo: "name",
    });
  }
  return traces;
}

CHARTS.rates = () => {
  const groups = shown().filter(({ group }) => group.rate.middle !== null).reverse();
  if (!groups.length) return drawn.size ? "no rate can be fitted" : NONE;
  const traces = groups.map(({ group, number }, at) => {
    const { colour, marker } = styleOf(number), { middle, low, high } = group.rate;
    const about = `${group.label}: ${middle.toFixed(2)}` +
      (low === null ? "" : ` (${low.toFixed(2)} to ${high.toFixed(2)})`);
    return {
      x: [middle],
      y: [at],
      text: [plain(about)],
      hoverinfo: "text",
      mode: "markers",
      marker: { color: colour, symbol: marker, size: 10 },
      error_x: low === null ? undefined : {
        type: "data",
        symmetric: false,
        array: [high - middle],
        arrayminus: [middle - low],
        color: colour,
        thickness: 2,
      },
    };
  });
  traces.push(
    ...groups.map(({ group, number }, at) => ({
      x: group.rate.points,
      y: group.rate.points.map(() => at),
      mode: "markers",
      hoverinfo: "skip",
      marker: { symbol: "line-ns", size: 9, line: { width: 1.2, color: shade(styleOf(number).colour, 0.7) } },
    })),
  );
  const names = groups.map(({ group }) => (group.label.length > 34 ? `${group.label.slice(0, 32)}..` : group.label));
  return {
    traces,
    height: groups.length > 14 ? 90 + 22 * groups.length : 0,
    layout: layoutOf("decay rate", "", {
      yaxis: { tickvals: groups.map((_, at) => at), ticktext: names.map(plain), range: [-0.7, groups.length - 0.3] },
      xaxis: { zeroline: true, zerolinecolor: css("--quiet") },
    }),
  };
};
// Plotly reads a few tags in texts; a name is to stand as it is.
function plain(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

const lengths = new Set(DATA.groups.map((group) => group.length).filter((length) => length !== null));
CHARTS.success = () => {
  const families = new Map();
  for (const one of shown()) {
    if (one.group.length === null || !one.group.success.n) continue;
    if (!families.has(one.group.rest)) families.set(one.group.rest, []);
    families.get(one.group.rest).push(one);
  }
  if (!families.size) return drawn.size ? "no run has ended" : NONE;
  const traces = [...families].map(([name, members], at) => {
    members.sort((a, b) => a.group.length - b.group.length);
    const { colour, dash } = look(at, 0),
      marker = MARKERS[at % MARKERS.length],
      of = members.map(({ group }) => group.success);
    // Side by side, so that intervals at one length do not lie on each other.
    const x = members.map(({ group }) => group.length * (1 + 0.012 * (at - (families.size - 1) / 2)));
    return {
      x,
      y: of.map((one) => one.middle),
      name: plain(name),
      mode: "lines+markers",
      line: { color: colour, dash, width: 1.5 },
      marker: { symbol: marker, size: 8 },
      text: members.map(({ group }) => plain(`${name}, T = ${group.length}: ${group.success.k} of ${group.success.n}`)),
      hoverinfo: "text",
      error_y: {
        type: "data",
        symmetric: false,
        array: of.map((one) => one.high - one.middle),
        arrayminus: of.map((one) => one.middle - one.low),
        color: colour,
        thickness: 1.5,
      },
    };
  });
  const layout = layoutOf("sequence length T", "success rate", {
    yaxis: { range: [-0.05, 1.05] },
    xaxis: { tickvals: [...lengths].sort((a, b) => a - b) },
  });
  return { traces, layout: families.size <= 6 ? withLegend(layout) : layout };
};

CHARTS.training = () => {
  const name = document.getElementById("series").value, traces = [];
  for (const { group, number } of shown()) {
    const one = group.training[name];
    if (!one) continue;
    const { colour, dash } = styleOf(number),
      side = { x: one.updates, mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
    if (drawn.size <= MOST_BANDS && group.runs.length > 1) {
      traces.push(Object.assign({ y: one.low }, side));
      traces.push(Object.assign({ y: one.high, fill: "tonexty", fillcolor: shade(colour, 0.12) }, side));
    }
    traces.push({
      x: one.updates,
      y: one.median,
      mode: "lines",
      name: plain(group.label),
      line: { color: colour, dash, width: 2 },
    });
  }
  if (!traces.length) return drawn.size ? "not recorded" : NONE;
  return {
    traces,
    layout: layoutOf("update", SERIES[name], {
      yaxis: ticked("training-log") ? logarithmic(traces.flatMap((trace) => trace.y)) : { rangemode: "tozero" },
    }),
  };
};
