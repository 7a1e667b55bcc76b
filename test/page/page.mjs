// SPDX-License-Identifier: Apache-2.0

// Drives the page in a real Chromium: a line of JSON on the standard input is
// a step, {step, ...}, and a line on the standard output is what came of it.

import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const errors = [];
let page;

const steps = {
  async open({ url, user, password }) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...(user ? { httpCredentials: { username: user, password } } : {}) });
    page = await context.newPage();
    page.setDefaultTimeout(30000);
    page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
    page.on("pageerror", (e) => errors.push(String(e)));
    await page.goto(url);
    await page.waitForFunction(() => document.querySelector("#live").textContent === "live", null, { timeout: 30000 });
  },

  // lanes is what stands in the lanes, as a person reads it.
  lanes: () => page.evaluate(() => Object.fromEntries([...document.querySelectorAll(".lane")].map((lane) => [
    lane.querySelector("h3").textContent,
    {
      badge: lane.querySelector(".badge").textContent,
      probe: lane.querySelector("p").textContent,
      rows: Object.fromEntries([...lane.querySelectorAll("tbody tr")].map((tr) => [
        tr.querySelector("th button").textContent,
        {
          note: tr.querySelector("th small").textContent,
          away: tr.classList.contains("away"),
          packets: Number(tr.querySelector("td.packets small").textContent.replaceAll(",", "")),
          staying: Number(tr.querySelector("td.away span").textContent.replaceAll(",", "")),
          misroutes: Number(tr.querySelector("td.misroutes span").textContent.replaceAll(",", "")),
        },
      ])),
    },
  ]))),

  // busiest is which of so many rows are shown, of which the last two have something to do.
  busiest: ({ rows }) => page.evaluate(async (n) => {
    const { busiest } = await import(new URL("lanes.js", document.baseURI));
    const does = (bits, bytes) => ({ sentRate: { bits: 0 }, receivedRate: { bits }, sent: { bytes }, received: { bytes: 0 } });
    const all = Array.from({ length: n }, (_, i) => ({ i, lane: i === n - 1 ? does(8, 1) : i === n - 2 ? does(0, 1) : i % 2 ? does(0, 0) : undefined }));
    return busiest(all).map((r) => r.i);
  }, rows),

  // turns are the fail-overs that it knows, each with what its picture says.
  turns: () => page.evaluate(() => [...document.querySelectorAll("#turns tr")].map((tr) =>
    [...[...tr.children].slice(0, 4).map((td) => td.textContent), tr.querySelector("svg").getAttribute("aria-label")].join(" "))),

  text: ({ of }) => page.evaluate((id) => document.getElementById(id).innerText, of),

  async detail({ name, keep }) {
    await page.getByRole("button", { name, exact: true }).first().click();
    await page.waitForSelector("#detail[open] tbody tr");
    const rows = await page.evaluate(() => Object.fromEntries([...document.querySelectorAll("#detail-body tr")].map((tr) =>
      [tr.querySelector("th").firstChild.textContent, [...tr.querySelectorAll("td")].map((td) => td.textContent)])));
    if (!keep) await page.keyboard.press("Escape");
    return rows;
  },

  async explain({ fields }) {
    for (const [name, value] of Object.entries(fields)) await page.fill(`#question [name=${name}]`, value);
    const answered = page.waitForResponse((r) => r.url().includes("/explain"));
    await page.press("#question [name=dst]", "Enter");
    await answered;
    await page.waitForFunction(() => !document.querySelector("#answer").hasAttribute("aria-busy"));
    return page.innerText("#answer");
  },

  // move fills in the form and returns what is asked; sure answers that.
  async move({ subject, to, fate }) {
    await page.fill("#move [name=subject]", subject);
    await page.selectOption("#move [name=to]", to);
    await page.selectOption("#move [name=fate]", fate);
    await page.click("#move button");
    await page.waitForFunction(() => document.querySelector("#confirm").open || document.querySelector("#moved").textContent);
    return page.evaluate(() => (document.querySelector("#confirm").open ? document.querySelector("#confirm").innerText : document.querySelector("#moved").textContent));
  },
  async sure({ yes }) {
    await page.click(yes ? "#confirm-yes" : "#confirm-no");
    if (yes) await page.waitForFunction(() => document.querySelector("#moved").textContent);
    return page.innerText("#moved");
  },

  // looks sets how it is looked at, and says by how much it is too wide.
  async looks({ width, height, scheme }) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  },
  // printed is what is on paper of a page that is dark: its background, and how many lists are cut off.
  async printed() {
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    const paper = await page.evaluate(() => [getComputedStyle(document.body).backgroundColor, [...document.querySelectorAll(".scroll, .log")].filter((e) => e.scrollHeight > e.clientHeight + 1).length]);
    await page.emulateMedia({ media: null, colorScheme: null });
    return paper;
  },
  background: () => page.evaluate(() => getComputedStyle(document.body).backgroundColor),
  async shot({ path }) {
    await page.evaluate(() => { document.activeElement.blur(); window.scrollTo({ top: 0, behavior: "instant" }); });
    await page.screenshot({ path, animations: "disabled" });
  },

  // axe is what the accessibility rules of WCAG 2.2 AA find, where all that may have to be scrolled has to be.
  async axe() {
    await page.evaluate(axe);
    const low = (height) => page.evaluate((h) => document.querySelectorAll(".scroll, .log").forEach((e) => (e.style.maxHeight = h)), height);
    await low("1.5rem");
    const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
    await low("");
    return found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 3).join(", ")}`);
  },

  async key({ key }) {
    await page.keyboard.press(key);
  },

  // tab goes through the page by the keyboard, and says where it came by.
  async tab({ times }) {
    const by = [];
    await page.reload();
    await page.waitForSelector("tbody tr button");
    for (let i = 0; i < times; i++) {
      await page.keyboard.press("Tab");
      by.push(await page.evaluate(() => {
        const e = document.activeElement;
        const outlined = getComputedStyle(e).outlineStyle !== "none";
        return `${e.id || e.name || e.textContent.slice(0, 20)}${outlined ? "" : " without outline"}`;
      }));
    }
    return by;
  },

  errors: () => errors,

  // says is what the badge and the alert say, and whether a screen reader hears of the first.
  says: () => page.evaluate(() => `${document.querySelector("#live[role=status]")?.textContent}: ${document.querySelector("#problem:not([hidden])")?.textContent ?? ""}`),
  async reload() {
    await page.reload();
  },

  // hide has the browser say that nobody sees the page, or that somebody does.
  hide: ({ hidden }) => page.evaluate((is) => {
    Object.defineProperty(document, "hidden", { value: is, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { step, ...rest } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ value: (await steps[step](rest)) ?? null }));
  } catch (e) {
    console.log(JSON.stringify({ error: String(e) }));
  }
}
await browser.close();
