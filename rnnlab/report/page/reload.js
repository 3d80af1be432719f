"use strict";
// A page that is written anew while runs go on reloads itself, and is as it was: what is checked, chosen and where.
const KEPT = `rnnlab ${location.pathname}`;
function stateOf(box) {
  const row = box.closest("tr[data-group]"), set = box.closest("fieldset");
  // Groups and values are known by name: a run more can move them.
  if (row) return `group ${DATA.groups[Number(row.dataset.group)].label}`;
  return set ? `value ${set.querySelector("legend").textContent} ${box.parentElement.textContent}` : box.id;
}
function controls() {
  return [...document.querySelectorAll("#filters input, #groups input, .control input, .control select")];
}
function keep() {
  const values = {};
  for (const one of controls()) {
    // A slider at its end stays at its end, which is the last reading.
    const value = one.type === "range" && one.value === one.max ? "end" : one.value;
    values[stateOf(one)] = one.type === "checkbox" ? one.checked : value;
  }
  const run = document.getElementById("run");
  if (run) values.run = run.options[run.selectedIndex]?.textContent;
  const sorted = document.querySelector("#groups th[aria-sort]");
  const order = sorted && [[...sorted.parentElement.children].indexOf(sorted), sorted.getAttribute("aria-sort")];
  const theme = document.documentElement.dataset.theme;
  sessionStorage.setItem(KEPT, JSON.stringify({ values, order, theme, scroll: [scrollX, scrollY] }));
}
function restore() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  if (!kept) return;
  setTheme(kept.theme);
  for (const one of controls()) {
    const value = kept.values[stateOf(one)];
    if (value === undefined || one.closest("tr")) continue;
    if (one.type === "checkbox") one.checked = value;
    else if (one.id === "run") {
      one.value = [...one.options].find((option) => option.textContent === value)?.value ?? one.value;
    } else one.value = value === "end" ? one.max : value;
    // A filter checks groups; those are restored below.
    if (!one.closest("fieldset")) one.dispatchEvent(new Event(one.type === "range" ? "input" : "change"));
  }
  // A group that was not there before is drawn.
  check([...DATA.groups.keys()].filter((number) => kept.values[`group ${DATA.groups[number].label}`] ?? true));
  if (kept.order) {
    const head = document.querySelectorAll("#groups thead th")[kept.order[0]];
    head.setAttribute("aria-sort", kept.order[1] === "ascending" ? "descending" : "ascending");
    sortBy(head);
  }
  scrollTo(...kept.scroll);
}
if (DATA.reload) {
  restore();
  addEventListener("pagehide", keep);
  setInterval(() => {
    if (!document.hidden) location.reload();
  }, 1000 * DATA.reload);
}
