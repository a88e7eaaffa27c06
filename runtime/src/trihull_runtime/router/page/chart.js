// Rates from counters, and the chart of the last minutes. The history lives in this page only.

import { draw, number, short } from "./dom.js";

export const WINDOW_MS = 5 * 60 * 1000;
const CALM_MS = 5000; // the tables show the mean of this long, so that they can be read
const HEIGHT = 168;
const LEFT = 34;
const BOTTOM = 18;
const COLOURS = 8;

const colours = new Map();

/** Returns the class of a site's colour: the same in every chart and table as long as the page is open. */
export function colour(site) {
  if (!colours.has(site)) colours.set(site, colours.size % COLOURS);
  return `c${colours.get(site)}`;
}

/** What one series (a model's sites) counted, and the rates that follow from it. */
export class History {
  #points = []; // { at, counts: Map of key to { requests, errors }, rates: Map of key to requests per second | null }

  /** Takes the counters of one answer. `counts` maps a row's key to its counters, `at` is in milliseconds. */
  add(at, counts) {
    const last = this.#points.at(-1);
    const rates = last?.counts ? new Map() : null;
    if (rates) {
      for (const [key, now] of counts) {
        const before = last.counts.get(key);
        rates.set(key, before ? rate(before.requests, now.requests, at - last.at) : 0);
      }
    }
    this.#push({ at, counts, rates });
  }

  /** Notes that nothing is known from now on until the next answer. */
  gap(at) {
    this.#push({ at, counts: null, rates: null });
  }

  #push(point) {
    this.#points.push(point);
    while (this.#points.length && this.#points[0].at < point.at - WINDOW_MS - 5000) this.#points.shift();
  }

  /** Returns a row's requests and errors per second over the last seconds; null while there is only one answer. */
  calm(key) {
    const now = this.#points.at(-1);
    if (!now?.counts?.has(key)) return { requests: null, errors: null };
    let from = null;
    let sums = { requests: 0, errors: 0 };
    for (let index = this.#points.length - 1; index > 0; index -= 1) {
      const [before, after] = [this.#points[index - 1], this.#points[index]];
      if (!before.counts?.has(key) || !after.counts?.has(key) || now.at - before.at > CALM_MS * 1.2) break;
      for (const name of ["requests", "errors"]) {
        sums[name] += difference(before.counts.get(key)[name], after.counts.get(key)[name]);
      }
      from = before.at;
    }
    if (from === null) return { requests: null, errors: null };
    const seconds = (now.at - from) / 1000;
    return { requests: sums.requests / seconds, errors: sums.errors / seconds };
  }

  /** Returns runs of points between gaps, oldest first. */
  runs() {
    const found = [];
    let run = [];
    for (const point of this.#points) {
      if (point.rates) run.push(point);
      else if (run.length) {
        found.push(run);
        run = [];
      }
    }
    return run.length ? [...found, run] : found;
  }
}

// A counter that went down started again at 0: Envoy was restarted (Prometheus reads counters the same way).
const difference = (before, after) => (after < before ? after : after - before);
const rate = (before, after, ms) => (ms > 0 ? (difference(before, after) * 1000) / ms : 0);

/** Returns the counters of a row of the status. */
export const countersOf = (row) => ({ requests: number(row.requests, 0), errors: number(row.errors, 0) });

/** Draws the stacked rates. `keys` is a list of [row's key, site], the first at the bottom; `marks` are moments in ms. */
export function drawChart(svg, history, keys, now, marks) {
  const width = Math.max(svg.parentElement.clientWidth, 200);
  const right = width - 4;
  const base = HEIGHT - BOTTOM;
  const runs = history.runs();
  const totals = runs.flat().map((point) => keys.reduce((sum, [key]) => sum + (point.rates.get(key) ?? 0), 0));
  const top = ceiling(Math.max(1, ...totals));
  const x = (at) => LEFT + ((at - (now - WINDOW_MS)) / WINDOW_MS) * (right - LEFT);
  const y = (value) => base - (value / top) * (base - 8);
  const parts = [];
  for (const part of [0, 0.5, 1]) {
    const line = y(top * part);
    parts.push(draw("line", { class: "grid", x1: LEFT, x2: right, y1: line, y2: line }));
    parts.push(draw("text", { class: "axis", x: LEFT - 5, y: line + 3.5, "text-anchor": "end" }, short(top * part)));
  }
  for (let minute = 0; minute <= 5; minute += width < 450 ? 2.5 : 1) {
    const place = x(now - minute * 60000);
    const anchor = minute === 0 ? "end" : minute === 5 ? "start" : "middle";
    const label = minute === 0 ? "now" : `−${minute} min`;
    parts.push(draw("text", { class: "axis", x: place, y: HEIGHT - 4, "text-anchor": anchor }, label));
  }
  for (const run of runs) parts.push(...areas(run, keys, x, y));
  for (const mark of marks) {
    const place = x(mark);
    if (place < LEFT || place > right) continue;
    parts.push(draw("line", { class: "mark", x1: place, x2: place, y1: 8, y2: base }));
    parts.push(draw("path", { class: "mark", d: `M${place - 4} 3h8l-4 6z` }));
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", HEIGHT);
  const tip = svg.querySelector("title");
  svg.replaceChildren(tip, ...parts);
}

function areas(run, keys, x, y) {
  const shown = run.filter((point) => x(point.at) >= LEFT - 1);
  let below = shown.map(() => 0);
  const found = [];
  for (const [key, site] of keys) {
    const above = shown.map((point, index) => below[index] + (point.rates.get(key) ?? 0));
    const there = shown.map((point, index) => `${x(point.at).toFixed(1)} ${y(above[index]).toFixed(1)}`);
    const back = shown.map((point, index) => `${x(point.at).toFixed(1)} ${y(below[index]).toFixed(1)}`).reverse();
    if (shown.length > 1 && above.some((value, index) => value > below[index])) {
      found.push(draw("path", { class: `area ${colour(site)}`, d: `M${[...there, ...back].join("L")}z` }));
    }
    below = above;
  }
  return found;
}

/** The next of 1, 2, 5, 10, 20 ... at or above a value: an axis that rarely changes. */
function ceiling(value) {
  const step = 10 ** Math.floor(Math.log10(value));
  return step * ([1, 2, 5, 10].find((factor) => factor * step >= value * 0.999) ?? 10);
}
