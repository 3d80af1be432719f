"use strict";
// What probes measured: one quantity at a time, a panel for each layer and part, a line for each checked group.
CHARTS.probes = () => {
  if (!drawn.size) return NONE;
  const { chart } = chosenProbe(), panels = new Map();
  for (const { name, lines } of chart.places) {
    for (const line of lines) {
      if (!drawn.has(line.group)) continue;
      const title = [name, DATA.groups[line.group].panel].filter(Boolean).join(", ");
      if (!panels.has(title)) panels.set(title, []);
      panels.get(title).push(line);
    }
  }
  if (!panels.size) return "no checked group has this probe";
  const titles = [...panels.keys()], traces = [], values = [];
  titles.forEach((title, at) => {
    const panel = at ? { xaxis: `x${at + 1}`, yaxis: `y${at + 1}` } : {}, lines = panels.get(title);
    for (const line of lines) {
      values.push(...line.median);
      traces.push(...probeLine(line, chart, lines.length <= MOST_BANDS).map((trace) => Object.assign(trace, panel)));
    }
  });
  const layout = layoutOf(plain(chart.x), plain(chart.heading), chart.log ? { yaxis: logarithmic(values) } : {});
  if (titles.length === 1) {
    if (titles[0]) layout.title = { text: plain(titles[0]), font: { size: 13 } };
    return { traces, layout };
  }
  return { traces, ...panelled(layout, titles, document.getElementById("chart-probes").clientWidth) };
};
function probeLine(line, chart, bands) {
  const { colour, dash } = styleOf(line.group), traces = [], name = DATA.groups[line.group].label;
  if (bands && ticked("probe-bands") && line.low.some((value) => value !== null)) {
    const side = { x: line.x, mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
    traces.push(Object.assign({ y: line.low }, side));
    traces.push(Object.assign({ y: line.high, fill: "tonexty", fillcolor: shade(colour, 0.15) }, side));
  }
  traces.push({
    x: line.x,
    y: line.median,
    text: line.median.map((value, at) =>
      plain(`${chart.x} ${line.x[at]}: ${value}, ${line.runs} run${line.runs > 1 ? "s" : ""}`)
    ),
    hoverinfo: "text+name",
    name: plain(name),
    mode: line.x.length > 1 ? "lines" : "markers",
    line: { color: colour, dash, width: 2.5 },
    marker: { color: colour, size: 8 },
  });
  return traces;
}
function chosenProbe() {
  const [probe, chart] = (document.getElementById("probe").value || "0 0").split(" ").map(Number);
  return { probe: DATA.probes[probe], chart: DATA.probes[probe].charts[chart] };
}
function readyProbes() {
  const select = document.getElementById("probe");
  DATA.probes.forEach(({ name, charts }, probe) => {
    const group = document.createElement("optgroup");
    group.label = name;
    charts.forEach(({ heading }, chart) => {
      const option = document.createElement("option");
      option.value = `${probe} ${chart}`;
      option.textContent = `${name}: ${heading}`;
      group.append(option);
    });
    select.append(group);
  });
  const say = () => {
    const { probe, chart } = chosenProbe();
    document.getElementById("probe-meaning").textContent = probe.meaning;
    document.getElementById("probe-name").textContent = `${probe.name}: ${chart.heading}`;
  };
  select.addEventListener("change", () => {
    say();
    changed("probes");
  });
  document.getElementById("probe-bands").addEventListener("change", () => changed("probes"));
  say();
}
