// SPDX-License-Identifier: Apache-2.0

// What every part of the page builds with: elements without any markup in
// strings, and numbers as people read them.

export const $ = (id) => document.getElementById(id);

// el is an element with attributes and children; false and null are left out.
export function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") e.className = value;
    else if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value !== false && value != null) e.setAttribute(key, value);
  }
  e.append(...children.filter((c) => c !== false && c != null));
  return e;
}

// text sets a text that is another than before, so that what stays is not
// read out or painted again.
export function text(e, value) {
  if (e.textContent !== value) e.textContent = value;
}

// list gives a parent one child for each item: make(key) once, fill(child,
// item) each time.
export function list(parent, items, key, make, fill) {
  const have = new Map([...parent.children].map((c) => [c.dataset.key, c]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const k = key(item);
    let child = have.get(k);
    have.delete(k);
    if (!child) {
      child = make(item);
      child.dataset.key = k;
    }
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
    fill(child, item);
  }
  for (const gone of have.values()) gone.remove();
}

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const count = (n) => whole.format(n);
export const perSecond = (n) => (n === 0 ? "0/s" : n < 10 ? `${short.format(n)}/s` : `${whole.format(Math.round(n))}/s`);

function scaled(n, unit, prefixes) {
  let i = 0;
  while (n >= 1000 && i < prefixes.length - 1) {
    n /= 1000;
    i++;
  }
  return `${short.format(n)} ${prefixes[i]}${unit}`;
}
export const bits = (n) => scaled(n, "bit/s", ["", "k", "M", "G", "T"]);
export const bytes = (n) => scaled(n, "B", ["", "k", "M", "G", "T", "P"]);

export function seconds(s) {
  if (s < 1e-3) return `${short.format(s * 1e6)} µs`;
  return s < 1 ? `${short.format(s * 1e3)} ms` : `${short.format(s)} s`;
}

export function when(time) {
  const d = new Date(time);
  return el("time", { datetime: time, title: d.toString() }, d.toLocaleString("sv"));
}

export const hex = (n) => `0x${n.toString(16)}`;
