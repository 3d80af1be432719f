"use strict";
// What the page can be asked: which groups are drawn, the update, the order of the table, light and dark.
function paintSwatches() {
  for (const swatch of document.querySelectorAll(".swatch")) {
    const { colour, dash } = styleOf(Number(swatch.dataset.group));
    const gaps =
      { solid: [1, 0], dash: [8, 4], dot: [3, 3], dashdot: [8, 2], longdash: [13, 3], longdashdot: [13, 2] }[dash];
    swatch.style.background = `repeating-linear-gradient(90deg, ${colour} 0 ${gaps[0]}px, transparent ${gaps[0]}px ${
      gaps[0] + gaps[1]
    }px) center / 100% 4px no-repeat`;
  }
}
function check(numbers) {
  drawn.clear();
  for (const number of numbers) drawn.add(number);
  for (const box of document.querySelectorAll("#groups input")) box.checked = drawn.has(Number(box.dataset.group));
  changed("curves", "rates", "success", "training", "probes");
}
// A box for each value of each key: a group is drawn where all its values are checked.
function readyFilters() {
  const place = document.getElementById("filters"), boxes = [];
  DATA.keys.forEach((key, at) => {
    const values = [...new Set(DATA.groups.map((group) => group.values[at]))];
    if (values.length < 2 || values.length > 24) return;
    const field = document.createElement("fieldset"), legend = document.createElement("legend");
    legend.textContent = key;
    field.append(legend);
    for (const value of values) {
      const label = document.createElement("label"), box = document.createElement("input");
      box.type = "checkbox";
      box.checked = true;
      boxes.push({ box, at, value });
      box.addEventListener("change", apply);
      label.append(box, value);
      field.append(label);
    }
    place.append(field);
  });
  function apply() {
    const off = boxes.filter(({ box }) => !box.checked);
    check(
      [...DATA.groups.keys()].filter((number) =>
        !off.some(({ at, value }) => DATA.groups[number].values[at] === value)
      ),
    );
  }
  // At first as many as one can tell apart: of each key in turn only the first value, the last keys first.
  const tooMany = (groups) => {
    const panels = new Map();
    for (const group of groups) panels.set(group.panel, (panels.get(group.panel) ?? 0) + 1);
    return panels.size > MOST_PANELS || Math.max(...panels.values()) > MOST_LINES;
  };
  for (const at of [...new Set(boxes.map((one) => one.at))].reverse()) {
    const of = boxes.filter((one) => one.at === at);
    const left = DATA.groups.filter((group) =>
      boxes.every(({ box, at: k, value }) => box.checked || group.values[k] !== value)
    );
    if (!tooMany(left)) break;
    of.slice(1).forEach(({ box }) => {
      box.checked = false;
    });
  }
  for (const box of document.querySelectorAll("#groups input")) {
    box.addEventListener("change", () => {
      const number = Number(box.dataset.group);
      check(box.checked ? [...drawn, number] : [...drawn].filter((one) => one !== number));
    });
  }
  if (boxes.length) apply();
  else check([...DATA.groups.keys()].slice(0, MOST_LINES));
}
function readySlider() {
  const slider = document.getElementById("position"), text = document.getElementById("position-text");
  const say = () => {
    const update = DATA.positions[chosen()];
    text.textContent = update === undefined ? "last of each run" : String(update);
    slider.setAttribute("aria-valuetext", update === undefined ? "the last of each run" : `update ${update}`);
  };
  slider.max = String(DATA.positions.length);
  slider.value = String(DATA.start);
  say();
  slider.addEventListener("input", () => {
    say();
    changed("curves");
  });
  for (const id of ["bands", "seeds", "linear"]) {
    document.getElementById(id).addEventListener("change", () => changed("curves"));
  }
}
function readySeries() {
  const select = document.getElementById("series");
  for (const [name, title] of Object.entries(SERIES)) {
    if (!DATA.groups.some((group) => group.training[name])) continue;
    const option = document.createElement("option");
    option.value = name;
    option.textContent = title;
    select.append(option);
  }
  for (const id of ["series", "training-log"]) {
    document.getElementById(id).addEventListener("change", () => changed("training"));
  }
}
function readySorting() {
  for (const head of document.querySelectorAll("table.sortable th button")) {
    head.addEventListener("click", () => sortBy(head.parentElement));
  }
}
function sortBy(head) {
  const table = head.closest("table"), at = [...head.parentElement.children].indexOf(head);
  const up = head.getAttribute("aria-sort") !== "ascending", body = table.tBodies[0];
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const keyed = [...body.rows].map((row) => {
    const cell = row.cells[at],
      text = cell.dataset.sort ?? cell.textContent.trim().split(" ")[0],
      number = Number(text);
    return { row, text: cell.textContent.trim(), number: text === "" || Number.isNaN(number) ? null : number };
  });
  // Numbers by size, then texts; what is missing comes last either way.
  const rank = (one) => (one.number !== null ? 0 : one.text === "-" ? 2 : 1);
  keyed.sort((a, b) =>
    rank(a) - rank(b) || (up ? 1 : -1) * (rank(a) === 0 ? a.number - b.number : a.text.localeCompare(b.text))
  );
  body.append(...keyed.map(({ row }) => row));
}
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  document.getElementById("theme").textContent = name === "dark" ? "Light" : "Dark";
  paintSwatches();
  changed();
}
function readyTheme() {
  setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.getElementById("theme").addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
  let before = null;
  addEventListener("beforeprint", () => {
    before = document.documentElement.dataset.theme;
    setTheme("light");
    drawAll();
  });
  addEventListener("afterprint", () => setTheme(before));
}

if (lengths.size < 2) {
  document.getElementById("success-section").remove();
  delete CHARTS.success;
}
if (DATA.probes.length) readyProbes();
else delete CHARTS.probes;
readySeries();
readySlider();
readyFilters();
readySorting();
readyRuns();
readyTheme();
watch();
