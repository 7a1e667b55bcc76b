// SPDX-License-Identifier: Apache-2.0

// How long fail-overs took, by uplink and by what it failed by.

import { $, el, text, list, count, seconds } from "./dom.js";

const svg = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);

// spread draws a histogram, and says it in words to those who do not see it.
function spread(picture, bins) {
  const words = bins.map((b, i) => b.count && `${count(b.count)} ${i ? `from ${seconds(b.below / 2)} ` : ""}to ${seconds(b.below)}`).filter(Boolean).join(", ");
  if (picture.getAttribute("aria-label") === words) return;
  picture.setAttribute("aria-label", words);
  picture.setAttribute("viewBox", `0 0 ${Math.max(8, bins.length)} 16`);
  const top = Math.max(...bins.map((b) => b.count));
  const title = svg("title");
  title.textContent = words;
  picture.replaceChildren(title, ...bins.map((b, i) => {
    const bar = svg("rect");
    const height = (15 * b.count) / top;
    for (const [key, value] of Object.entries({ x: i, y: 16 - height, width: 0.8, height })) bar.setAttribute(key, value);
    return bar;
  }));
}

function makeTurn(t) {
  const picture = svg("svg");
  picture.setAttribute("role", "img");
  picture.setAttribute("preserveAspectRatio", "none");
  return el("tr", {}, el("th", { scope: "row" }, t.uplink), el("td", {}, t.cause), el("td", { class: "n" }), el("td", { class: "n" }), el("td", { class: "spread" }, picture));
}

function fillTurn(tr, t) {
  text(tr.children[2], count(t.took.count));
  text(tr.children[3], [t.took.p50, t.took.p95, t.took.p99].map(seconds).join(" / "));
  spread(tr.lastElementChild.firstElementChild, t.bins);
}

export function showTurns(turns) {
  $("no-turns").hidden = turns?.length > 0;
  $("turns-part").hidden = !turns?.length;
  list($("turns"), turns ?? [], (t) => `${t.uplink} ${t.cause}`, makeTurn, fillTurn);
}
