// Building and keeping elements. What comes from the API only ever becomes a text node or a title.

const SVG = "http://www.w3.org/2000/svg";

/** Returns a new element; strings among the children become text. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Returns a new SVG element. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Sets a text only when it differs, so that a selection and a screen reader's place survive the next answer. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Makes the children of `parent` be one element per key, in order. Elements are kept, so focus stays where it is.
 * `create(key)` returns a new element; `update(element, item)` fills it.
 */
export function keep(parent, entries, create, update) {
  const old = (parent.kept ??= new Map());
  const wanted = new Map();
  for (const [key, item] of entries) {
    const element = old.get(key) ?? create(key);
    update(element, item);
    wanted.set(key, element);
  }
  for (const [key, element] of old) if (!wanted.has(key)) element.remove();
  let place = parent.firstElementChild;
  for (const element of wanted.values()) {
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  parent.kept = wanted;
}

// What the API says may lack fields or have more than this page knows: these read whatever is there.

/** A finite number, or `otherwise`. */
export const number = (value, otherwise = null) => (Number.isFinite(value) ? value : otherwise);

/** An object that is not a list; anything else is an empty one. */
export const record = (value) => (value !== null && typeof value === "object" && !Array.isArray(value) ? value : {});

/** A list; anything else is an empty one. */
export const list = (value) => (Array.isArray(value) ? value : []);

/** Any value as text; nothing is an empty text. */
export function text(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A rate or a count with the digits that matter. */
export function short(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (value < 0.1) return "<0.1";
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}

/** A moment as local time of day; the page's titles hold the whole of it. */
export function clock(moment) {
  const date = new Date(moment);
  return Number.isNaN(date.getTime()) ? text(moment) : date.toLocaleTimeString("en-GB");
}

const SHAPES = {
  healthy: ["circle", { cx: 6, cy: 6, r: 4.5 }],
  unhealthy: ["path", { d: "M6 0.8 11.6 11H0.4z" }],
  ejected: ["path", { d: "M6 0.4 11.6 6 6 11.6 0.4 6z" }],
  refused: ["path", { d: "M1 1h10v10H1zM3.2 4.6v2.8h5.6V4.6z", "fill-rule": "evenodd" }],
  draining: ["path", { d: "M1 1h10L7.5 6v5L4.5 9.500V6z" }],
  left_out: ["path", { d: "M2.5 1 6 4.5 9.5 1 11 2.5 7.5 6 11 9.5 9.5 11 6 7.5 2.5 11 1 9.5 4.5 6 1 2.500z" }],
  info: ["rect", { x: 4.5, y: 1.5, width: 3, height: 9, rx: 1 }],
  unknown: ["path", { d: "M1.5 1.500h9v9h-9zM3.5 3.500v5h5v-5z", "fill-rule": "evenodd" }],
};
SHAPES.warning = SHAPES.ejected;
SHAPES.error = SHAPES.unhealthy;

/** A word with the shape and the colour of its state; states this page does not know look like `unknown`. */
export function state(word, name = word) {
  const element = make("span", { class: "state" });
  setState(element, word, name);
  return element;
}

/** Changes an element of `state`; does nothing when it says the same already. */
export function setState(element, word, name = word) {
  const known = Object.hasOwn(SHAPES, name) ? name : "unknown";
  if (element.dataset.state === known && element.textContent === word) return;
  element.dataset.state = known;
  const [tag, attributes] = SHAPES[known];
  element.replaceChildren(draw("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, draw(tag, attributes)), word);
}
