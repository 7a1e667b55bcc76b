// SPDX-License-Identifier: Apache-2.0

// Moves: those in force and, where changes are allowed, new ones, each tried
// out and confirmed before it is done.

import { $, el, text, list, when } from "./dom.js";

let token = "";

export function canMove(hello) {
  token = hello.token ?? "";
  $("moving").hidden = !hello.changes;
}

async function ask(move) {
  const r = await fetch("move", { method: "POST", headers: { "Content-Type": "application/json", "X-Waymark-Token": token }, body: JSON.stringify(move) });
  if (!r.ok) throw new Error((await r.text()).trim());
  const answer = await r.json();
  if (answer.error) throw new Error(answer.error);
  return answer.item;
}

function sockets(s) {
  const words = ["moved", "kept", "pinned", "inbound", "reset", "failed"].filter((k) => s[k]).map((k) => `${s[k]} ${k}`);
  return words.length ? `open sockets: ${words.join(", ")}` : "no open socket is concerned";
}

function confirmed(title, words) {
  text($("confirm-title"), title);
  text($("confirm-text"), words);
  const dialog = $("confirm");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}

async function act(move, title, trial) {
  const out = $("moved");
  text(out, "");
  try {
    const words = trial ? `Nothing is changed yet. It would change this: ${sockets((await ask({ ...move, dryRun: true })).sockets)}.` : "Its open sockets go the way they came.";
    if (!(await confirmed(title, words))) return;
    const done = await ask(move);
    out.className = "";
    text(out, `Done: ${title.replace(/\?$/, "")}${done.sockets ? `; ${sockets(done.sockets)}` : ""}.`);
  } catch (e) {
    out.className = "alarm";
    text(out, e.message);
  }
}

$("confirm-yes").addEventListener("click", () => $("confirm").close("yes"));
$("confirm-no").addEventListener("click", () => $("confirm").close(""));
$("move").addEventListener("submit", (e) => {
  e.preventDefault();
  const { subject, to, fate } = Object.fromEntries(new FormData(e.target));
  act({ subject: subject.trim(), to, fate, undo: false, dryRun: false }, `Move ${subject.trim()} to ${to}?`, true);
});

const subject = (m) => m.subject;

export function showMoves(f) {
  const moves = f.past.moves ?? [];
  list($("moves"), moves.length ? moves : [{ subject: "" }], (m) => `${m.subject} ${m.class} ${m.since} ${token !== ""}`, (m) => subject(m) ? el("li", {},
    el("strong", {}, m.subject), ` to ${m.class}, by ${m.author || "nobody known"}, `, when(m.since), " ",
    token && el("button", { type: "button", onclick: () => act({ subject: m.subject, to: "", fate: "", undo: true, dryRun: false }, `Take back the move of ${m.subject}?`, false) }, "Take back")) :
    el("li", {}, el("small", {}, "none")), () => {});
  const to = $("move").elements.to;
  const names = f.classes.map((c) => c.name);
  if ([...to.options].map((o) => o.value).join("\n") !== names.join("\n")) to.replaceChildren(...names.map((n) => el("option", {}, n)));
}
