// The sites: one card each with its orders, and one table with a chart per model.

import { History, colour, countersOf, drawChart } from "./chart.js";
import { draw, keep, list, make, number, record, setState, setText, short, state, text } from "./dom.js";

const WORST_FIRST = ["refused", "unhealthy", "ejected", "unknown", "healthy"];

/** Returns the models of a status as [name, model, class, rows]; a mapping and a list are both understood. */
export function modelsOf(status) {
  const found = Array.isArray(status.models)
    ? status.models.map((model) => [text(record(model).name ?? record(model).model), record(model)])
    : Object.entries(record(status.models)).map(([name, model]) => [name, record(model)]);
  return found.map(([name, model]) => {
    const [base, residency] = name.split("@");
    return {
      name,
      base,
      residency: text(model.class) || residency || "",
      accepted: list(model.accepted).map(text),
      rows: list(model.sites).map(record),
    };
  });
}

const keyOf = (row) => JSON.stringify([text(row.name), text(row.class)]);

/** Returns every site that the status names, with what its models say of it. */
export function sitesOf(status, models) {
  const sites = new Map();
  const site = (name) => {
    if (!sites.has(name)) sites.set(name, { name, rows: [], order: "", left_out: "" });
    return sites.get(name);
  };
  for (const model of models) for (const row of model.rows) site(text(row.name)).rows.push({ model, row });
  for (const [name, reason] of Object.entries(record(status.excluded))) site(name).left_out = text(reason) || "left out";
  for (const [name, order] of Object.entries(record(status.overrides))) site(name).order = text(order);
  for (const entry of sites.values()) {
    const states = entry.rows.map(({ row }) => text(row.health) || "unknown");
    entry.health = states.includes("draining")
      ? "draining"
      : (WORST_FIRST.find((word) => states.includes(word)) ?? states[0] ?? (entry.left_out ? "left out" : "unknown"));
  }
  return [...sites.values()];
}

/** Whether a model has sites that should answer, and none of them can. */
export function failsOpen(model) {
  const taking = model.rows.filter((row) => row.health !== "draining");
  return taking.length > 0 && taking.every((row) => ["unhealthy", "ejected", "refused"].includes(row.health));
}

/** The cards and the tables. `order(site, word)` is called when a person asks to drain or undrain a site. */
export class Sites {
  #cards = document.getElementById("sites");
  #models = document.getElementById("models");
  #histories = new Map();
  #past = new Map(); // name of a model to what the control process kept of it, until the model is in a status
  #order;

  constructor(order) {
    this.#order = order;
  }

  /** Takes what the control process kept before now: ages of samples, and the counters of each model and site. */
  load(history, now) {
    this.#past.clear();
    const ages = list(history.ages_s).map((age) => number(age, 0));
    for (const entry of list(history.series).map(record)) {
      const model = text(entry.model);
      if (!this.#past.has(model)) this.#past.set(model, ages.map((age) => ({ at: now - age * 1000, counts: null })));
      const [requests, errors] = [list(entry.requests), list(entry.errors)];
      for (const [index, point] of this.#past.get(model).entries()) {
        if (number(requests[index]) === null) continue;
        point.counts ??= new Map();
        point.counts.set(keyOf({ name: entry.site }), { requests: requests[index], errors: number(errors[index], 0) });
      }
    }
  }

  /**
   * Takes the status of one answer; `time` is what `drawChart` takes. `counted` is false when the counters are not
   * Envoy's, because it did not answer.
   */
  update(models, sites, now, time, counted) {
    for (const name of this.#histories.keys()) {
      if (!models.some((model) => model.name === name)) this.#histories.delete(name);
    }
    for (const model of models) {
      if (!this.#histories.has(model.name)) this.#histories.set(model.name, new History());
      this.#histories.get(model.name).load(this.#past.get(model.name) ?? []);
      const counts = new Map(model.rows.map((row) => [keyOf(row), countersOf(row)]));
      if (counted) this.#histories.get(model.name).add(now, counts);
      else this.#histories.get(model.name).gap(now);
      for (const row of model.rows) colour(text(row.name));
    }
    this.#past.clear();
    const cards = sites.map((site) => [site.name, site]);
    keep(this.#cards, cards, (name) => this.#makeCard(name), (card, site) => this.#fillCard(card, site));
    const sections = models.map((model) => [model.name, model]);
    keep(this.#models, sections, makeModel, (section, model) => this.#fillModel(section, model, now, time));
  }

  /** Says that nothing is known now; the charts go on without an area. */
  lost(now, time) {
    for (const history of this.#histories.values()) history.gap(now);
    this.draw(now, time);
  }

  /** Draws the charts again. */
  draw(now, time) {
    for (const [name, section] of this.#models.kept ?? []) {
      drawChart(section.parts.chart, this.#histories.get(name), section.keys, now, time);
    }
  }

  #makeCard(name) {
    const parts = {
      state: state("unknown"),
      rates: make("p", { class: "rates" }),
      why: make("p", { class: "why" }),
      button: make("button", { type: "button" }),
    };
    const title = make("h3", {}, make("i", { class: `swatch ${colour(name)}` }), name);
    const card = make("li", { class: "card" }, make("div", {}, title, parts.state, parts.button), parts.rates, parts.why);
    card.parts = parts;
    card.dataset.site = name;
    parts.button.addEventListener("click", () => this.#order(name, card.word));
    return card;
  }

  #fillCard(card, site) {
    const { parts } = card;
    card.dataset.health = site.health;
    setState(parts.state, site.health, site.health === "left out" ? "left_out" : site.health);
    let [requests, errors, active, latency] = [null, null, 0, null];
    for (const { model, row } of site.rows) {
      const rates = this.#histories.get(model.name).calm(keyOf(row));
      if (rates.requests !== null) [requests, errors] = [(requests ?? 0) + rates.requests, (errors ?? 0) + rates.errors];
      active += number(row.active, 0);
      if (number(row.latency_ms) !== null) latency = Math.max(latency ?? 0, row.latency_ms);
    }
    const numbers = [`${short(requests)} req/s`, `${short(errors)} err/s`, `${short(active)} active`];
    if (latency !== null) numbers.push(`${short(latency)}\u00a0ms`);
    setText(parts.rates, site.rows.length ? numbers.join(" · ") : "takes no requests");
    const reasons = new Set(site.rows.map(({ row }) => text(row.reason)).filter(Boolean));
    if (site.left_out) reasons.add(site.left_out);
    if (site.order) reasons.add(`${site.order} by order of an operator`);
    else if (site.health === "draining") reasons.add("draining, as the fleet says");
    for (const { row } of site.rows) for (const note of notesOf(row)) reasons.add(note);
    setText(parts.why, [...reasons].join("; "));
    card.word = site.order ? "undrain" : "drain";
    parts.button.hidden = !site.order && (site.health === "draining" || site.rows.length === 0);
    setText(parts.button, site.order ? "Undrain…" : "Drain…");
    parts.button.setAttribute("aria-label", `${site.order ? "Undrain" : "Drain"} ${site.name}`);
  }

  #fillModel(section, model, now, time) {
    const { parts } = section;
    const history = this.#histories.get(model.name);
    setText(parts.name, model.base || "unnamed");
    setText(parts.residency, model.residency);
    parts.residency.hidden = !model.residency;
    const short_digests = model.accepted.map((digest) => digest.replace(/^(sha256:[0-9a-f]{12})[0-9a-f]+$/, "$1"));
    setText(parts.accepted, short_digests.length ? `accepts ${short_digests.join(", ")}` : "");
    parts.accepted.title = model.accepted.join("\n");
    const more = columnsOf(model.rows);
    if (section.columns !== more.join()) {
      section.columns = more.join();
      parts.head.replaceChildren(...more.map((column) => make("th", { role: "columnheader", scope: "col" }, column)));
      keep(parts.body, [], null, null);
    }
    const rows = model.rows.map((row) => [keyOf(row), { row, rates: history.calm(keyOf(row)), columns: more }]);
    keep(parts.body, rows, () => make("tr", { role: "row" }), fillRow);
    section.keys = model.rows.map((row) => [keyOf(row), text(row.name)]);
    const total = rows.reduce((sum, [, { rates }]) => sum + (rates.requests ?? 0), 0);
    setText(parts.total, `${short(total)} requests/s`);
    const spoken = rows.map(([, { row, rates }]) => `${text(row.name)} ${short(rates.requests)}`).join(", ");
    setText(parts.tip, `Requests per second by site over the last ${time.window / 60000} minutes; now ${spoken}`);
    drawChart(parts.chart, history, section.keys, now, time);
  }
}

function columnsOf(rows) {
  const latency = rows.some((row) => number(row.latency_ms) !== null) ? ["latency ms"] : [];
  return ["site", "health", "priority", "share", "requests/s", "errors/s", "active", ...latency];
}

function notesOf(row) {
  const notes = [];
  const limit = number(row.limit_percent);
  if (limit !== null && limit < 100) notes.push(`limited to ${limit} % while it comes back`);
  if (row.suppressed) notes.push("held back: it came and went too often");
  return notes;
}

function makeModel() {
  const parts = {
    name: make("h2"),
    residency: make("span", { class: "tag" }),
    accepted: make("span", { class: "accepted" }),
    total: make("span", { class: "total" }),
    tip: draw("title"),
    head: make("tr", { role: "row" }),
    body: make("tbody", { role: "rowgroup" }),
  };
  parts.chart = draw("svg", { class: "chart", role: "img" }, parts.tip);
  const head = make("thead", { role: "rowgroup" }, parts.head);
  const section = make(
    "section",
    { class: "model" },
    make("div", { class: "model-head" }, parts.name, parts.residency, parts.accepted, parts.total),
    make("div", { class: "plot" }, parts.chart),
    make("table", { role: "table" }, head, parts.body),
  );
  section.parts = parts;
  return section;
}

function fillRow(line, { row, rates, columns }) {
  if (!line.cells_) {
    line.cells_ = columns.map((column) => make("td", { role: "cell", "data-label": column }));
    line.append(...line.cells_);
    const name = text(row.name);
    line.cells_[0].append(make("i", { class: `swatch ${colour(name)}` }), name);
    if (row.class) line.cells_[0].append(make("span", { class: "tag" }, text(row.class)));
    line.state = state("unknown");
    line.why = make("span", { class: "why" });
    line.cells_[1].append(line.state, line.why);
    line.bar = make("i", { class: "bar" }, make("i"));
    line.share = make("span");
    line.cells_[3].append(line.bar, line.share);
  }
  const health = text(row.health) || "unknown";
  line.dataset.health = health;
  setState(line.state, health);
  setText(line.why, [text(row.reason), ...notesOf(row)].filter(Boolean).join("; "));
  setText(line.cells_[2], text(row.priority) || "–");
  const share = number(row.share_percent);
  line.bar.firstChild.style.width = `${Math.min(Math.max(share ?? 0, 0), 100)}%`;
  setText(line.share, share === null ? "–" : `${share} %`);
  setText(line.cells_[4], short(rates.requests));
  setText(line.cells_[5], short(rates.errors));
  line.cells_[5].classList.toggle("bad", (rates.errors ?? 0) > 0);
  setText(line.cells_[6], short(number(row.active)));
  if (line.cells_[7]) setText(line.cells_[7], short(number(row.latency_ms)));
}
