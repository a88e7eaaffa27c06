// Rates from counters, and the chart of the last minutes. What was before this page comes from the control process.

import { draw, number, short } from "./dom.js";

const KEPT_MS = 60 * 60 * 1000;
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
  #points = []; // { at, counts: Map of key to { requests, errors }, or null while nothing is known }

  /** Takes the counters of one answer. `counts` maps a row's key to its counters, `at` is in milliseconds. */
  add(at, counts) {
    this.#points.push({ at, counts });
    while (this.#points[0].at < at - KEPT_MS) this.#points.shift();
  }

  /** Notes that nothing is known from now on until the next answer. */
  gap(at) {
    this.add(at, null);
  }

  /** Takes what the control process kept, oldest first; of this page's own points those before it stay. */
  load(points) {
    if (!points.length) return;
    const own = this.#points.filter((point) => point.at < points[0].at);
    const between = own.length && own.at(-1).counts ? [{ at: points[0].at, counts: null }] : [];
    this.#points = [...own, ...between, ...points];
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

  /**
   * Returns runs of { at, rates } between gaps, oldest first, from a moment on. Of the points within one `step` (ms)
   * only the last is taken: its rate is the mean since the one before it, so a long window is drawn as quickly.
   */
  runs(from, step) {
    const found = [];
    let run = [];
    let before = null;
    const end = () => {
      if (run.length) found.push(run);
      [run, before] = [[], null];
    };
    for (const [index, point] of this.#points.entries()) {
      if (!point.counts) {
        end();
        continue;
      }
      const next = this.#points[index + 1];
      if (before && next?.counts && Math.floor(next.at / step) === Math.floor(point.at / step)) continue;
      if (before && point.at >= from) run.push({ at: point.at, rates: ratesOf(before, point) });
      before = point;
    }
    end();
    return found;
  }
}

function ratesOf(before, point) {
  const rates = new Map();
  for (const [key, now] of point.counts) {
    const earlier = before.counts.get(key);
    rates.set(key, earlier ? rate(earlier.requests, now.requests, point.at - before.at) : 0);
  }
  return rates;
}

// A counter that went down started again at 0: Envoy was restarted (Prometheus reads counters the same way).
const difference = (before, after) => (after < before ? after : after - before);
const rate = (before, after, ms) => (ms > 0 ? (difference(before, after) * 1000) / ms : 0);

/** Returns the counters of a row of the status. */
export const countersOf = (row) => ({ requests: number(row.requests, 0), errors: number(row.errors, 0) });

/**
 * Draws the stacked rates. `keys` is a list of [row's key, site], the first at the bottom; of `time`, `window` is how
 * much is shown in ms, `marks` are moments at which something went wrong, `start` is when the control process started.
 */
export function drawChart(svg, history, keys, now, time) {
  const width = Math.max(svg.parentElement.clientWidth, 200);
  const right = width - 4;
  const base = HEIGHT - BOTTOM;
  const runs = history.runs(now - time.window, time.window / (right - LEFT));
  const totals = runs.flat().map((point) => keys.reduce((sum, [key]) => sum + (point.rates.get(key) ?? 0), 0));
  const top = ceiling(totals.reduce((most, total) => Math.max(most, total), 1));
  const x = (at) => LEFT + ((at - (now - time.window)) / time.window) * (right - LEFT);
  const y = (value) => base - (value / top) * (base - 8);
  const parts = [];
  for (const part of [0, 0.5, 1]) {
    const line = y(top * part);
    parts.push(draw("line", { class: "grid", x1: LEFT, x2: right, y1: line, y2: line }));
    parts.push(draw("text", { class: "axis", x: LEFT - 5, y: line + 3.5, "text-anchor": "end" }, short(top * part)));
  }
  const minutes = time.window / 60000;
  const step = minutes / (width < 450 ? 2 : 5);
  for (let minute = 0; minute <= minutes; minute += step) {
    const anchor = minute === 0 ? "end" : minute === minutes ? "start" : "middle";
    const label = minute === 0 ? "now" : `−${minute} min`;
    parts.push(draw("text", { class: "axis", x: x(now - minute * 60000), y: HEIGHT - 4, "text-anchor": anchor }, label));
  }
  const started = time.start === null ? -1 : x(time.start);
  if (started >= LEFT && started <= right) {
    parts.push(draw("line", { class: "start", x1: started, x2: started, y1: 8, y2: base }));
    const side = started > LEFT + 60 ? "end" : "start";
    parts.push(draw("text", { class: "axis", x: started + (side === "end" ? -5 : 5), y: 16, "text-anchor": side }, "started"));
  }
  for (const run of runs) parts.push(...areas(run, keys, x, y));
  for (const mark of time.marks) {
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
