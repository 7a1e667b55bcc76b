// SPDX-License-Identifier: Apache-2.0

// The stream of readings, and who shows what of it.

import { $, text, when } from "./dom.js";
import { showLanes } from "./lanes.js";
import { showDetail } from "./detail.js";
import { showLists } from "./lists.js";
import { showMoves, canMove } from "./move.js";
import "./explain.js";

const rows = { classes: [], lines: [], rules: [] };
const patience = 10000; // before it is tried again, or a page that nobody sees lets go
const silence = 12000; // more than lies between two readings, which may be 5 s apart
let last = null;
let dead = 0;
let stream = null;
let leaving = 0;

// merge puts the rows that are new among those that stayed as they were.
function merge(frame) {
  for (const name of Object.keys(rows)) {
    if (frame.whole) rows[name] = [];
    for (const [n, row] of Object.entries(frame[name] ?? {})) rows[name][n] = row;
    frame[name] = rows[name];
  }
}

// news is what a screen reader says: that something changed, and no numbers.
function news(frame) {
  if (!last) return;
  const said = [];
  for (const u of frame.uplinks) {
    const was = last.uplinks.find((o) => o.name === u.name);
    if (was && was.up !== u.up) said.push(`Uplink ${u.name} is ${u.up ? "up" : "down"}.`);
  }
  if (frame.state !== last.state && frame.state) said.push(`State ${frame.state} is in force.`);
  if (said.length) text($("news"), said.join(" "));
}

function showPolicy(frame) {
  const p = $("policy");
  if (!frame.state) return text(p, "nothing applied");
  const said = `${frame.state} ${frame.applied}`;
  if (p.dataset.said === said) return;
  p.dataset.said = said;
  p.replaceChildren(`state ${frame.state}, applied `, when(frame.applied));
}

function live(kind, words) {
  $("live").className = `badge ${kind}`;
  text($("live"), words);
}

function problem(words) {
  $("problem").hidden = !words;
  text($("problem"), words ?? "");
}

function show(frame) {
  merge(frame);
  news(frame);
  live("up", "live");
  problem(frame.problem);
  showPolicy(frame);
  showLanes(frame);
  showDetail(frame);
  showLists(frame);
  showMoves(frame);
  last = frame;
  awaitNews();
}

// awaitNews begins anew when nothing comes. A stream whose other end is gone
// without a word (a laptop slept, a router forgot it) is no error to a browser.
function awaitNews() {
  clearTimeout(dead);
  dead = setTimeout(() => {
    live("wait", `no news for ${silence / 1000} s`);
    connect();
  }, silence);
}

// refused says why there is no stream, where that is said.
async function refused() {
  setTimeout(() => stream?.readyState === EventSource.CLOSED && connect(), patience);
  const answer = await fetch("events").catch(() => null);
  if (answer?.ok) answer.body.cancel();
  else if (answer) problem((await answer.text()).trim());
}

function connect() {
  stream?.close();
  stream = new EventSource("events");
  awaitNews();
  stream.addEventListener("hello", (e) => {
    const hello = JSON.parse(e.data);
    text($("host"), hello.host);
    document.title = hello.host ? `${hello.host} – Waymark` : "Waymark";
    canMove(hello);
  });
  stream.addEventListener("frame", (e) => show(JSON.parse(e.data)));
  stream.addEventListener("error", () => {
    live("down", "not connected");
    if (stream?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    clearTimeout(dead);
    refused();
  });
}

// A page that nobody sees asks for nothing: a browser has six connections to a
// host, and more pages than that would wait for each other.
function seen() {
  clearTimeout(leaving);
  if (!document.hidden) {
    if (!stream) connect();
    return;
  }
  leaving = setTimeout(() => {
    stream?.close();
    stream = null;
    clearTimeout(dead);
    live("wait", "paused");
  }, patience);
}

for (const term of document.querySelectorAll("dt[data-term]")) term.id = `term-${term.dataset.term}`;
document.addEventListener("visibilitychange", seen);
seen();
