// SPDX-License-Identifier: Apache-2.0

// The explain box: what `waymark explain` answers, in its words.

import { $, el, hex } from "./dom.js";

const address = (a) => a && a !== "invalid IP" ? a : "";

function terms(pairs) {
  return el("dl", {}, ...pairs.filter((p) => p[1]).flatMap(([name, value, kind]) => [el("dt", {}, name), el("dd", { class: kind ?? "" }, value)]));
}

function hop(interfaceName, gateway, uplink) {
  return `${uplink ? `uplink ${uplink}, ` : ""}${interfaceName}${address(gateway) ? ` via ${address(gateway)}` : ""}`;
}

const table = (n) => ({ 253: "default", 254: "main", 255: "local" })[n] ?? String(n);

function kernelSays(k) {
  if (!k) return "not asked: give a destination";
  return k.err || `table ${table(k.table)}, ${hop(k.interface, k.gateway)}, source ${address(k.source)}`;
}

function way(w) {
  const v = w.verdict;
  const looks = v.rule.action === "lookup";
  const leaves = looks && !v.route.refuses;
  return [
    el("h3", {}, `IPv${w.family}`),
    terms([
      ["Rule", v.rule.action ? `priority ${v.rule.priority}${v.rule.mark ? ` fwmark ${hex(v.rule.mark)}/${hex(v.rule.mask)}` : ""} ${v.rule.action}${looks ? ` ${table(v.rule.table)}` : ""}` : "none leads anywhere: the network is unreachable", "code"],
      ["Leaves by", leaves && hop(v.interface, v.gateway, v.uplink)],
      ["Refused by", looks && v.route.refuses && `a route of that table: ${v.route.refuses} ${v.route.dst}`],
      ["Source", leaves && (address(v.source) || "the kernel's choice")],
      ["Because", v.rule.rung && [v.rule.rung, v.rule.why].filter(Boolean).join(": ")],
      ["Kernel says", kernelSays(w.kernel)],
      ...(w.differs ?? []).map((d) => ["Differs", d, "alarm"]),
    ]),
  ];
}

function answer(item) {
  return [
    terms([
      ["Match", item.line ? `${item.line}  (${item.position})` : "none", "code"],
      ["Class", item.class],
      ["Mark", item.line ? `${hex(item.mark)}/${hex(item.mask)}` : "none is set", "code"],
    ]),
    ...(item.ways ?? []).flatMap(way),
  ];
}

$("question").addEventListener("submit", async (e) => {
  e.preventDefault();
  const asked = new URLSearchParams([...new FormData(e.target)].filter(([, value]) => value.trim()));
  const out = $("answer");
  out.setAttribute("aria-busy", "true");
  try {
    const r = await fetch(`explain?${asked}`);
    const x = r.ok ? await r.json() : { error: await r.text() };
    out.replaceChildren(...(x.error ? [el("p", { class: "alarm" }, x.error)] : answer(x.item)));
  } catch {
    out.replaceChildren(el("p", { class: "alarm" }, "Waymark does not answer: is it running?"));
  }
  out.removeAttribute("aria-busy");
});
