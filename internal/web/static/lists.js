// SPDX-License-Identifier: Apache-2.0

// The ladder, the matches, the drops; what changed, and what was put back.

import { $, el, text, list, count, perSecond, when } from "./dom.js";
import { showTurns } from "./turns.js";

const most = 500; // rows of one list

// cut is what there is room for; what there is more is said below.
function cut(parent, rows) {
  text($(`${parent.id}-more`), rows.length > most ? `${count(rows.length - most)} more are not shown; waymark status prints all.` : "");
  return rows.slice(0, most);
}

function hits(parent, rows, key, first) {
  list(parent, cut(parent, rows), key,
    (r) => el("tr", {}, el("td", {}, ...first(r)), el("td", { class: "n" }), el("td", { class: "n" })),
    (tr, r) => {
      text(tr.children[1], count(r.hits));
      text(tr.children[2], perSecond(r.rate).replace("/s", ""));
    });
}

function showDrops(drops) {
  $("drops-part").hidden = !drops?.length;
  list($("drops"), cut($("drops"), drops ?? []), (d) => `${d.class} ${d.reason} ${d.place}`,
    (d) => el("tr", {}, el("th", { scope: "row" }, d.class), el("td", { class: "code" }, d.reason), el("td", { class: "code" }, d.place), el("td", { class: "n" })),
    (tr, d) => text(tr.lastElementChild, count(d.packets)));
}

function showPast(past) {
  list($("states"), past.states ?? [], (s) => `${s.number} ${s.inForce}`, (s) => el("li", {},
    s.inForce && el("span", { class: "badge up" }, "in force"), s.inForce && " ",
    `${s.number}, `, when(s.applied), ` by ${s.author || "nobody known"}`, el("br"), el("small", {}, s.change)), () => {});
}

function showAgent(agent) {
  const p = $("agent");
  if (!agent) {
    text(p, "No agent runs: what somebody else takes away stays away until the next apply.");
    return list($("heals"), [], String, String, () => {});
  }
  const total = Object.values(agent.heals ?? {}).reduce((a, b) => a + b, 0);
  const problems = agent.problems ?? [];
  text(p, `The agent is there since ${new Date(agent.since).toLocaleString("sv")}; ${total ? `put back ${count(total)} in all` : "nothing had to be put back"}.${problems.length ? ` Wrong now: ${problems.join("; ")}` : ""}`);
  p.classList.toggle("alarm", problems.length > 0);
  const newest = (agent.last ?? []).map((h, i) => ({ ...h, i })).reverse();
  list($("heals"), newest, (h) => `${h.time} ${h.kind} ${h.object} ${h.i}`, (h) => el("li", {},
    when(h.time), ` ${h.kind} `, el("span", { class: "code" }, h.object), h.by ? el("small", {}, ` changed by ${h.by}`) : null), () => {});
}

export function showLists(f) {
  hits($("rules"), f.rules, (r) => `${r.family} ${r.text}`, (r) => [
    el("span", { class: "code" }, `${r.family} ${r.text.replace(/ protocol \d+$/, "")}`), r.where ? el("small", {}, r.where) : null]);
  hits($("lines"), f.lines, (l) => `${l.class} ${l.where} ${l.text}`, (l) => [
    el("strong", {}, l.class), " ", el("span", { class: "code" }, l.text), el("small", {}, l.where)]);
  showTurns(f.turns);
  showDrops(f.drops);
  showPast(f.past);
  showAgent(f.agent);
  list($("off"), f.off ?? [], String, (s) => el("li", {}, s), () => {});
}
