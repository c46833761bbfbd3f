/* Parts of a page. What comes from outside gets in as text alone, never as HTML. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element. `properties` are attributes, save for `text`, `on` (listeners by event) and
 * `hidden`, `disabled`, `value`, `checked`, which are properties. An attribute of null is left out.
 */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "text") node.textContent = value;
    else if (name === "on")
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (["hidden", "disabled", "value", "checked"].includes(name)) node[name] = value;
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A button with words; `kind` is its class beside "button". */
export function button(words, onclick, { kind = "", symbol = null } = {}) {
  const properties = { type: "button", class: `button ${kind}`.trim(), on: { click: onclick } };
  return el("button", properties, symbol && icon(symbol), words);
}

/** A button with a symbol, and a name for those who do not see it. */
export function iconButton(symbol, label, onclick, { kind = "icon-button" } = {}) {
  const properties = { type: "button", class: kind, "aria-label": label, title: label };
  return el("button", { ...properties, on: { click: onclick } }, icon(symbol));
}

export function byId(id) {
  return document.getElementById(id);
}

/**
 * Put the focus where a person goes on: into the message box, or beside it where that would open a
 * keyboard on the screen.
 */
export function goOn() {
  const touch = matchMedia("(hover: none) and (pointer: coarse)").matches;
  byId(touch ? "scroll" : "message").focus({ preventScroll: true });
}

/** Have screen readers say something. */
export function announce(words) {
  const live = byId("live");
  live.append(el("p", { text: words }));
  while (live.childElementCount > 20) live.firstElementChild.remove();
}

/** A number and its noun. */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

export function megabytes(bytes) {
  return `${(bytes / 2 ** 20).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
}
