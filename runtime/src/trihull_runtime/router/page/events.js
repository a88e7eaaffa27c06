// The list of decisions, newest first.

import { clock, keep, list, make, record, setText, state, text } from "./dom.js";

const LEVELS = ["debug", "info", "warning", "error", "critical"];
const SHOWN = new Set(["time", "level", "event", "message", "reason", "site", "origin", "target", "model", "residency_class"]);

/** Whether an event is worth a mark in the charts. */
export const isTrouble = (event) => LEVELS.indexOf(text(event.level)) >= LEVELS.indexOf("warning");

/** Returns the sites that an event names. */
const sitesOf = (event) => [event.site, event.origin, event.target].map(text).filter(Boolean);

/** The list and its filters. */
export class EventList {
  #list = document.getElementById("event-list");
  #none = document.getElementById("event-none");
  #site = document.getElementById("filter-site");
  #level = document.getElementById("filter-level");
  #events = [];

  constructor() {
    for (const filter of [this.#site, this.#level]) filter.addEventListener("change", () => this.#show());
  }

  /** Takes the events of one answer, oldest first, and the names of the sites that the status knows. */
  update(events, siteNames) {
    this.#events = list(events).map(record);
    const named = new Set([...siteNames, ...this.#events.flatMap(sitesOf)]);
    const chosen = this.#site.value;
    const options = ["", ...[...named].sort()];
    if (options.join("\n") !== [...this.#site.options].map((option) => option.value).join("\n")) {
      this.#site.replaceChildren(...options.map((name) => make("option", { value: name }, name || "all sites")));
      this.#site.value = options.includes(chosen) ? chosen : "";
    }
    this.#show();
  }

  #show() {
    const least = LEVELS.indexOf(this.#level.value);
    const seen = new Map();
    const entries = [];
    for (const event of this.#events) {
      const content = JSON.stringify(event);
      const count = (seen.get(content) ?? 0) + 1;
      seen.set(content, count);
      const level = LEVELS.indexOf(text(event.level));
      if (level >= 0 && level < least) continue;
      if (this.#site.value && !sitesOf(event).includes(this.#site.value)) continue;
      entries.push([`${count} ${content}`, event]);
    }
    entries.reverse();
    this.#none.hidden = entries.length > 0;
    keep(this.#list, entries, () => make("li"), fillEvent);
  }
}

function fillEvent(item, event) {
  if (item.hasChildNodes()) return; // what happened does not change
  const level = text(event.level) || "info";
  item.className = "event";
  item.dataset.level = level;
  const time = make("time", { title: text(event.time) }, clock(text(event.time)));
  const head = make("div", { class: "event-head" }, time, state(level, level), make("code", {}, text(event.event)));
  const move = [text(event.origin), text(event.target)].filter(Boolean).join(" → ");
  const place = [text(event.model), text(event.residency_class)].filter(Boolean).join("@");
  for (const tag of [move || text(event.site), place]) if (tag) head.append(make("span", { class: "tag" }, tag));
  const message = make("p", { class: "message" });
  setText(message, text(event.message) || "no message");
  item.append(head, message);
  const reason = text(event.reason);
  if (reason) item.append(make("p", { class: "reason" }, make("span", {}, "reason "), reason));
  const rest = Object.entries(event).filter(([name, value]) => !SHOWN.has(name) && value !== null && value !== "");
  if (rest.length) {
    const facts = make("dl");
    for (const [name, value] of rest) facts.append(make("dt", {}, name), make("dd", {}, text(value)));
    item.append(make("details", {}, make("summary", {}, "inputs"), facts));
  }
}
