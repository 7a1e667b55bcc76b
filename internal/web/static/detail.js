// SPDX-License-Identifier: Apache-2.0

// Everything that is counted of one class, by uplink.

import { $, el, text, list, count, bytes, seconds, hex } from "./dom.js";

let open = null;

const percentiles = (p) => (p ? `${seconds(p.p50)} / ${seconds(p.p95)} / ${seconds(p.p99)}` : "–");

// Each row has its name, what it means, and how it is read from a lane.
const rows = [
  ["Packets out", "Since the first apply, by this uplink", (l) => count(l.packets)],
  ["Bytes out", "On the wire, link header included", (l) => count(l.bytes)],
  ["IPv4 out", "Packets, bytes", (l) => `${count(l.sent.ipv4.packets)}, ${bytes(l.sent.ipv4.bytes)}`],
  ["IPv6 out", "Packets, bytes", (l) => `${count(l.sent.ipv6.packets)}, ${bytes(l.sent.ipv6.bytes)}`],
  ["IPv4 in", "Packets, bytes, to the class's sockets", (l) => `${count(l.received.ipv4.packets)}, ${bytes(l.received.ipv4.bytes)}`],
  ["IPv6 in", "Packets, bytes, to the class's sockets", (l) => `${count(l.received.ipv6.packets)}, ${bytes(l.received.ipv6.bytes)}`],
  ["TCP segments", "Sent, those sent again included", (l) => count(l.segments)],
  ["Retransmitted", "Segments sent again, and their share", (l) => `${count(l.retransmitted)}${l.segments ? `, ${((100 * l.retransmitted) / l.segments).toFixed(2)} %` : ""}`],
  ["RTT p50 / p95 / p99", "TCP round-trip time, of the last ten readings", (l) => percentiles(l.rtt)],
  ["Connect p50 / p95 / p99", "From the first SYN to established, of the last ten readings", (l) => percentiles(l.connect)],
  ["Queue p50 / p95 / p99", "From tc egress to the driver, of one packet in 64, of the last ten readings", (l) => percentiles(l.queue)],
  ["Connections opened", "By connect(2), and established", (l) => count(l.connections.opened)],
  ["Accepted", "Connections from outside", (l) => count(l.connections.accepted)],
  ["Closed", "However they ended", (l) => count(l.connections.closed)],
  ["Refused", "Connects that failed with ECONNREFUSED", (l) => count(l.connections.refused)],
  ["Unreachable", "Connects that failed with ENETUNREACH, EHOSTUNREACH, EACCES and their like", (l) => count(l.connections.unreachable)],
  ["Timed out", "Connects that failed with ETIMEDOUT", (l) => count(l.connections.timedOut)],
  ["Failed otherwise", "Another error, or given up by the application", (l) => count(l.connections.failed)],
  ["Aborted", "Established, and ended by the peer's reset", (l) => count(l.connections.aborted)],
  ["Lost", "Established, and ended by a timeout", (l) => count(l.connections.lost)],
  ["Send errors", "Datagrams that the kernel or a hook of ours did not let out", (l) => count(l.sendErrors)],
  ["Misroutes", "Packets that belonged on another uplink", (l) => count(l.misroutes)],
  ["… opened before apply", "Their sockets were open before there was a class for them", (l) => count(l.causes.openedBeforeApply)],
  ["… late mark", "Classed only at egress: raw and ping sockets, AF_PACKET, tunnels of the kernel", (l) => count(l.causes.lateMark)],
  ["… foreign mark", "They carry a mark that somebody else set", (l) => count(l.causes.foreignMark)],
  ["… source pinned", "Their source address lives on this uplink only", (l) => count(l.causes.sourcePinned)],
  ["… no route", "The right uplink had no route for them", (l) => count(l.causes.noRoute)],
  ["Repaired", "Of the misroutes, sent to the right uplink instead", (l) => count(l.repaired)],
  ["Dropped", "Of the misroutes, not let out, for the class's otherwise forbids it", (l) => count(l.dropped)],
  ["Chosen", "No misroutes: their application bound them to this uplink, or answers where it was asked", (l) => count(l.causes.chosen)],
  ["Foreign marks", "Packets that carry somebody else's mark bits beside ours", (l) => count(l.foreign)],
  ["Guard refusals", "Attempts of the class's processes to take another class's mark", (l) => count(l.refused)],
  ["Away", "Flows open now that stay by this uplink, whose address their source is, though new ones leave by another", (l) => count(l.away)],
  ["Sockets moved", "By changes, into this class", (l) => count(l.moved)],
  ["Sockets left", "That a change would have moved, and that were left as they were", (l) => count(l.kept)],
  ["Sockets reset", "Whose connections a change aborted", (l) => count(l.reset)],
];

export async function openDetail(name, frame) {
  open = name;
  $("detail-body").replaceChildren();
  await showDetail(frame);
  $("detail").showModal();
}

// showDetail asks for what no lane shows, each time that there is news.
export async function showDetail(frame) {
  const c = open && frame.classes.find((k) => k.name === open);
  if (!c) return;
  const answer = await fetch(`class?${new URLSearchParams({ name: open })}`).catch(() => null);
  if (!answer?.ok || open !== c.name) return;
  const counted = (await answer.json()).lanes ?? [];
  text($("detail-title"), `Class ${c.name}`);
  text($("detail-route"), c.route ? `Route ${c.route}, leaves by ${c.uplink || "no uplink"} now, mark ${hex(c.mark)}; ${count(c.open)} flows open, ${count(c.kept)} of them kept elsewhere by a change.` : "What carries no class's mark.");
  const lanes = frame.uplinks.map((u) => counted.find((l) => l.uplink === u.name));
  const head = ["Counted", ...frame.uplinks.map((u) => u.name)];
  if ($("detail-head").textContent !== head.join("")) {
    $("detail-head").replaceChildren(el("tr", {}, ...head.map((h, i) => el("th", { scope: "col", class: i ? "n" : "" }, h))));
    $("detail-body").replaceChildren();
  }
  list($("detail-body"), rows, (r) => r[0],
    (r) => el("tr", {}, el("th", { scope: "row" }, r[0], el("small", {}, r[1])), ...lanes.map(() => el("td", { class: "n" }))),
    (tr, r) => lanes.forEach((l, i) => text(tr.children[i + 1], l ? r[2](l) : "–")));
}

$("detail").addEventListener("close", () => { open = null; });
$("detail-close").addEventListener("click", () => $("detail").close());
