// SPDX-License-Identifier: Apache-2.0

// The lanes: a part for each uplink, with a row for each class that leaves by it.

import { $, el, text, list, count, perSecond, bits, bytes, seconds } from "./dom.js";
import { openDetail } from "./detail.js";

const shown = 100; // rows of a lane, the busiest, before the filter has to help
const minute = 60; // readings of the line
const history = new Map();
let frame = null;

const columns = ["class", "out", "packets", "in", "rtt", "misroutes", "repaired", "open", "away", "fates"];

function term(name) {
  const dt = document.querySelector(`dt[data-term=${name}]`);
  return { name: dt.textContent, title: dt.nextElementSibling.textContent };
}

function makeLane(uplink) {
  const id = `lane-${uplink.name}`;
  const lane = el("section", { class: "lane", "aria-labelledby": id },
    el("div", { class: "head" },
      el("h3", { id }, uplink.name), el("span", { class: "badge" }), el("small"),
      el("span", { class: "rates" })));
  if (uplink.interface) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 60 16");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    svg.append(document.createElementNS("http://www.w3.org/2000/svg", "polyline"));
    lane.firstElementChild.append(svg);
  }
  lane.append(
    el("p", { class: "hint", title: "What the agent’s probes of this uplink find: for each target the mean answer time and the loss of the last ones, or why it counts as bad" }),
    el("table", { "aria-labelledby": id }, el("thead", {}, el("tr", {}, ...columns.map((c) => {
      const t = term(c);
      return el("th", { scope: "col", title: t.title, class: c === "class" ? "" : `n ${c}` }, t.name);
    }))), el("tbody")),
    el("p", { class: "hint" }));
  return lane;
}

function fillLane(lane, uplink) {
  const [title, badge, where, rates, svg] = lane.firstElementChild.children;
  lane.classList.toggle("down", !uplink.up);
  text(title, uplink.title ?? uplink.name);
  badge.className = `badge ${uplink.up ? "up" : "down"}`;
  text(badge, uplink.up ? "up" : uplink.probe?.down ? "withdrawn" : "down");
  showProbe(lane.children[1], uplink.probe);
  badge.hidden = !uplink.interface;
  if (uplink.interface) {
    text(where, `${uplink.interface}, table ${uplink.table}`);
    text(rates, `out ${bits(uplink.sentRate.bits)} · in ${bits(uplink.receivedRate.bits)}`);
    rates.title = `Of all classes together: ${bytes(uplink.sent.bytes)} out and ${bytes(uplink.received.bytes)} in since the first apply`;
    drawLine(svg, uplink);
  }
  const wanted = $("filter").value.trim().toLowerCase();
  const rows = uplink.rows.filter((r) => r.class.name.toLowerCase().includes(wanted));
  list(lane.querySelector("tbody"), busiest(rows), (r) => r.class.name, makeRow, fillRow);
  const hint = lane.lastElementChild;
  hint.hidden = rows.length > 0 && rows.length <= shown;
  text(hint, rows.length ? `${rows.length - shown} classes that have less to do: filter to see them` : wanted ? "No class here is called that." : "No class leaves by this uplink.");
}

// busiest is as many rows as are shown, in the order that they had.
export function busiest(rows) {
  const now = ({ lane: l }) => (l ? l.sentRate.bits + l.receivedRate.bits : 0);
  const ever = ({ lane: l }) => (l ? l.sent.bytes + l.received.bytes : 0);
  const chosen = new Set([...rows].sort((a, b) => now(b) - now(a) || ever(b) - ever(a)).slice(0, shown));
  return rows.filter((r) => chosen.has(r));
}

function showProbe(p, probe) {
  p.hidden = !probe;
  p.classList.toggle("alarm", Boolean(probe?.down));
  const targets = (probe?.targets ?? []).map((t) => `${t.name} ${t.bad || `${seconds((t.latency ?? 0) / 1e9)}, ${t.loss} % lost`}`);
  text(p, [probe?.down, ...targets].filter(Boolean).join(" · "));
}

function drawLine(svg, uplink) {
  const values = history.get(uplink.name);
  const top = Math.max(...values, 1);
  svg.firstChild.setAttribute("points", values.map((v, i) => `${i + minute - values.length},${15 - (14 * v) / top}`).join(" "));
}

function makeRow(r) {
  const cells = columns.slice(1).map((c) => {
    const td = el("td", { class: `n ${c}`, "data-label": term(c).name }, el("span"));
    if (["out", "packets", "in"].includes(c)) td.append(el("small"));
    return td;
  });
  return el("tr", {},
    el("th", { scope: "row" }, el("button", { type: "button", class: "name", onclick: () => openDetail(r.class.name, frame) }, r.class.name), el("small")),
    ...cells);
}

function fillRow(tr, r) {
  const c = r.class;
  const l = r.lane;
  tr.classList.toggle("away", r.away);
  const notes = [r.away ? "elsewhere" : c.route, ...r.moves.map((m) => `+ ${m.subject}`)].filter(Boolean);
  text(tr.firstElementChild.lastElementChild, notes.join(" · "));
  const set = (name, value, below) => {
    const td = tr.querySelector(`td.${name}`);
    text(td.firstElementChild, value);
    if (below !== undefined) text(td.lastElementChild, below);
    return td;
  };
  set("out", bits(l?.sentRate.bits ?? 0), bytes(l?.sent.bytes ?? 0));
  set("packets", perSecond(l?.sentRate.packets ?? 0), count(l?.sent.packets ?? 0));
  set("in", bits(l?.receivedRate.bits ?? 0), bytes(l?.received.bytes ?? 0));
  const rtt = l?.rtt;
  set("rtt", rtt ? [rtt.p50, rtt.p95, rtt.p99].map(seconds).join(" / ") : "–").title = rtt ? `p50 / p95 / p99 of ${count(rtt.count)} measurements in the last ${Math.round(frame.window)} s` : `No measurement in the last ${Math.round(frame.window)} s`;
  set("misroutes", count(l?.misroutes ?? 0)).classList.toggle("alarm", (l?.misroutes ?? 0) > (l?.repaired ?? 0));
  set("repaired", count(l?.repaired ?? 0));
  set("open", r.away ? "–" : count(c.open));
  set("away", count(l?.away ?? 0));
  set("fates", `${r.away ? "–" : count(c.kept)} · ${count(l?.moved ?? 0)} · ${count(l?.reset ?? 0)}`);
}

// lanesOf puts every class into the lane that it leaves by, and into those
// that it left by.
function lanesOf(f) {
  const lanes = f.uplinks.map((u) => ({ ...u, probe: (f.agent?.probes ?? []).find((p) => p.uplink === u.name), rows: [] }));
  const nowhere = { name: "", title: "No way out", up: false, rows: [] };
  for (const c of f.classes) {
    const moves = (f.past.moves ?? []).filter((m) => m.class === c.name);
    const unclassed = c.route === "";
    for (const lane of lanes) {
      const l = c.lanes.find((x) => x.uplink === lane.name);
      const here = c.uplink === lane.name || (c.balance && lane.up && c.way.includes(lane.name));
      if (here || l) lane.rows.push({ class: c, lane: l, away: !here && !unclassed, moves: here || unclassed ? moves : [] });
    }
    if (!c.uplink && !unclassed) nowhere.rows.push({ class: c, moves, away: false });
  }
  for (const lane of lanes) lane.rows.sort((a, b) => a.away - b.away);
  return nowhere.rows.length ? [...lanes, nowhere] : lanes;
}

export function showLanes(f) {
  if (frame?.time !== f.time) {
    for (const u of f.uplinks) history.set(u.name, [...(history.get(u.name) ?? []), u.sentRate.bits].slice(-minute));
  }
  frame = f;
  list($("uplinks"), lanesOf(f), (u) => u.name, makeLane, fillLane);
}

$("filter").addEventListener("input", () => frame && showLanes(frame));
