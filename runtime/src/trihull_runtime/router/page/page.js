// Asks the control process every second and shows what it says. Nothing but this origin is ever asked.

import { clock, keep, list, make, number, record, setState, setText, text } from "./dom.js";
import { EventList, isTrouble } from "./events.js";
import { Sites, failsOpen, modelsOf, sitesOf } from "./sites.js";

const EVERY_MS = 1000;
const LIMIT_MS = 5000;
const AWAY_MS = 10000; // without an answer for so long, what is missing is taken from the control process

const byId = (id) => document.getElementById(id);
const events = new EventList();
const sites = new Sites(askForOrder);
const ordering = { site: "", word: "" };
let answered = null; // when the last answer came, in ms
let silentSince = null;
let silentWhy = "";
let remembered = false; // whether the history that the control process keeps was taken
const time = { window: 0, marks: [], start: null }; // of the charts: what is shown in ms, moments of trouble, the start
let banners = [];
let wake = () => {};

async function ask(path, options = {}) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(LIMIT_MS), ...options });
  let value = {};
  try {
    value = record(await answer.json());
  } catch (error) {
    if (answer.ok) throw error;
  }
  if (!answer.ok) throw new Error(text(value.error) || `status ${answer.status}`);
  return value;
}

async function look() {
  if (answered !== null && Date.now() - answered > AWAY_MS) remembered = false;
  const [status, told, history] = await Promise.all([ask("v1/status"), ask("v1/events"), remembered ? null : recall()]);
  const now = Date.now();
  [answered, silentSince] = [now, null];
  if (history) {
    remembered = true;
    time.start = now - number(history.age_s, 0) * 1000;
    sites.load(history, now);
  }
  const models = modelsOf(status);
  const found = sitesOf(status, models);
  const moments = list(told.events).map(record).filter(isTrouble).map((event) => Date.parse(text(event.time)));
  time.marks = moments.filter((moment) => !Number.isNaN(moment));
  showFacts(status);
  banners = bannersOf(status, models);
  showVerdict(found, text(status.environment));
  sites.update(models, found, now, time, !record(status.envoy).problem);
  events.update(told.events, found.map((site) => site.name));
}

/** Asks for the counters of the time before; null when there is no answer, which the next look tries again. */
async function recall() {
  try {
    return await ask("v1/history");
  } catch {
    return null;
  }
}

function lost(error) {
  const now = Date.now();
  silentSince ??= now;
  silentWhy = error.name === "TimeoutError" ? `no answer within ${LIMIT_MS / 1000} s` : text(error.message);
  remembered = false; // another control process may answer next
  sites.lost(now, time);
}

function showSilence() {
  const silent = silentSince !== null;
  document.body.classList.toggle("stale", silent);
  for (const button of byId("sites").querySelectorAll("button")) button.disabled = silent;
  setText(byId("updated"), answered === null ? "" : `as of ${clock(answered)}`);
  const first = silent
    ? [{
        level: "error",
        title: "The control process does not answer",
        // Without the running time, so that a screen reader is not made to read it every second.
        text: `since ${clock(silentSince)} (${silentWhy}). Envoy goes on routing and failing over without it; `
          + (answered === null ? "nothing is known yet." : `what stands below is of ${clock(answered)}.`),
      }]
    : [];
  const shown = [...first, ...banners].map((banner) => [`${banner.level} ${banner.title} ${banner.text}`, banner]);
  keep(byId("banners"), shown, () => make("p"), fillBanner);
  if (silent) {
    setState(byId("verdict"), "control process does not answer", "error");
    byId("verdict").dataset.level = "error";
    document.title = "no answer – trihull router";
  }
}

function fillBanner(element, banner) {
  if (element.hasChildNodes()) return;
  element.className = `banner ${banner.level}`;
  const mark = make("span", { class: "state" });
  setState(mark, "", banner.level);
  element.append(mark, make("strong", {}, banner.title), ` ${banner.text}`);
}

function bannersOf(status, models) {
  const found = [];
  // `outage`: requests may be failing now; a refused fleet, for one, only keeps what is new from coming into force.
  const add = (level, title, words, outage = false) => found.push({ level, title, text: words, outage });
  const envoy = record(status.envoy);
  if (envoy.alive === false) add("error", "Envoy does not run", "it is started again; until then no request is answered.", true);
  else if (envoy.problem) add("error", "Envoy does not answer", text(envoy.problem), true);
  for (const model of models.filter(failsOpen)) {
    add("error", `No healthy site for ${model.name}`, "Envoy fails open: it sends requests to all of them, healthy or not.", true);
  }
  const config = record(status.config);
  if (config.refused) {
    const refused = record(config.refused);
    const at = number(refused.at_unix_s);
    const since = at === null ? "" : ` since ${clock(at * 1000)}`;
    const source = text(refused.source) ? ` (${text(refused.source)})` : "";
    add("error", `Fleet refused${since}${source}`, `${text(refused.reason) || text(config.refused)}. Version ${text(config.version)} stays in force.`);
  }
  for (const warning of list(status.warnings)) add("warning", "Plan", text(warning));
  return found;
}

function showFacts(status) {
  const [config, envoy] = [record(status.config), record(status.envoy)];
  setText(byId("environment"), text(status.environment));
  const running = envoy.alive === true ? "alive" : envoy.alive === false ? "not running" : "unknown";
  const facts = [
    ["policy", text(status.policy)],
    ["own site", text(status.site)],
    ["configuration", [text(config.version), text(config.source) && `from ${text(config.source)}`].filter(Boolean).join(" ")],
    ["refused so far", text(config.refused_total)],
    ["Envoy", [running, text(envoy.state).toLowerCase()].filter(Boolean).join(", ")],
    ["pid", text(envoy.pid)],
    ["restarts", text(envoy.restarts)],
  ];
  const shown = facts.filter(([, value]) => value !== "");
  keep(byId("facts"), shown, (name) => make("div", {}, make("dt", {}, name), make("dd")), (element, value) => {
    setText(element.lastChild, value);
  });
}

function showVerdict(found, environment) {
  const healthy = found.filter((site) => site.health === "healthy").length;
  const bad = found.filter((site) => ["unhealthy", "ejected", "refused"].includes(site.health)).length;
  const draining = found.filter((site) => site.health === "draining").length;
  const outage = banners.some((banner) => banner.outage) || (found.length > 0 && healthy === 0);
  const level = outage ? "error" : bad > 0 || banners.length > 0 ? "warning" : "healthy";
  const words = `${healthy} of ${found.length} sites healthy${draining ? `, ${draining} draining` : ""}`;
  setState(byId("verdict"), words, level);
  byId("verdict").dataset.level = level;
  document.title = `${level === "healthy" ? "" : "! "}${healthy}/${found.length} ${environment} – trihull router`;
}

const ORDERS = {
  drain: "New requests go to the other sites, requests in flight end as usual. The order holds over restarts, until it is taken back.",
  undrain: "The site takes requests again as the fleet says, if it is healthy.",
};

function askForOrder(site, word) {
  Object.assign(ordering, { site, word });
  setText(byId("order-title"), `${word === "drain" ? "Drain" : "Undrain"} ${site}?`);
  setText(byId("order-text"), ORDERS[word]);
  setText(byId("order-error"), "");
  setText(byId("order-confirm"), word === "drain" ? "Drain" : "Undrain");
  byId("order-confirm").disabled = false;
  byId("order").showModal();
}

byId("order-confirm").addEventListener("click", async () => {
  byId("order-confirm").disabled = true;
  setText(byId("order-error"), "");
  try {
    // An order waits until Envoy has taken it, which may be longer than a look may take.
    const signal = AbortSignal.timeout(30000);
    await ask(`v1/sites/${encodeURIComponent(ordering.site)}/${ordering.word}`, { method: "POST", signal });
    byId("order").close();
  } catch (error) {
    setText(byId("order-error"), `Not done: ${error.message}`);
  }
  byId("order-confirm").disabled = false;
  wake();
});

byId("window").addEventListener("change", (event) => {
  time.window = Number(event.target.value) * 60000;
  sites.draw(Date.now(), time);
});
time.window = Number(byId("window").value) * 60000;

for (;;) {
  const begin = Date.now();
  try {
    await look();
  } catch (error) {
    lost(error);
  }
  showSilence();
  await new Promise((resolve) => {
    wake = resolve;
    setTimeout(resolve, Math.max(EVERY_MS - (Date.now() - begin), 100));
  });
}
