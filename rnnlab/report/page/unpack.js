"use strict";
// The numbers of the page. A log10 norm is a 16-bit code over the range of its table; four codes are not numbers.
const NOT_RECORDED = -32768, ZERO = -32767, UNDERFLOW = -32766, NOT_FINITE = -32765, REACH = 32000;
const SENTINELS = {
  [NOT_RECORDED]: "nothing recorded",
  [ZERO]: "exactly zero",
  [UNDERFLOW]: "underflow",
  [NOT_FINITE]: "not finite",
};
const DATA = JSON.parse(document.getElementById("data").textContent);

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

// Rows of numbers, null where there is none, and rows of labels for the nulls.
function rowsOf(packed) {
  if (packed.rows) return packed;
  const codes = new Int16Array(bytesOf(packed.codes));
  const width = packed.shape[packed.shape.length - 1];
  packed.rows = [];
  packed.labels = [];
  for (let start = 0; start < codes.length; start += width) {
    const part = Array.from(codes.subarray(start, start + width));
    packed.rows.push(part.map((code) => (code in SENTINELS ? null : packed.low + (code + REACH) * packed.step)));
    packed.labels.push(part.map((code) => SENTINELS[code] || ""));
  }
  return packed;
}

function floatsOf(text) {
  return Array.from(new Float32Array(bytesOf(text)));
}
