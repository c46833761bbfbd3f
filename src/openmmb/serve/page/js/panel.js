/* What is in view and how the bot talks: beside the talk on a large screen, above it on a small one. */

import { nameStyle } from "./traits.js";
import { byId, button, count, el, goOn, icon } from "./dom.js";

export class Panel {
  constructor(app, { view, choose, style, persona }) {
    this.app = app;
    this.actions = { view, choose, style, persona };
    this.panel = byId("panel");
    this.strip = byId("strip");
    this.sign = "";
  }

  draw() {
    const { current } = this.app;
    const seen = this.app.inView();
    const sees = this.app.connection.sees;
    const own = this.app.connection.props.defaults?.persona ?? [];
    const sign = JSON.stringify([seen, current.style, current.persona, own, sees]);
    if (sign === this.sign) return;
    this.sign = sign;
    const focused = document.activeElement?.dataset.key;
    const inPanel = this.panel.contains(document.activeElement);
    const manner = describe(current, own);
    this.panel.replaceChildren(this.inView(seen, sees), this.manner(manner));
    this.strip.replaceChildren(...this.chips(seen, sees, manner));
    const box = inPanel ? this.panel : this.strip;
    if (focused) box.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  inView(seen, sees) {
    const heading = el("h2", { text: "In view" });
    if (!sees)
      return el("section", {}, heading, el("p", { class: "aside", text: "This model sees no pictures." }));
    if (!seen) {
      const empty = el("button", { type: "button", class: "panel-empty", "data-key": "choose", on: { click: this.actions.choose } }, icon("picture"), "Drop a picture here, paste one, or choose it");
      return el("section", {}, heading, empty);
    }
    const { picture, url } = seen;
    const image = el("img", { src: url, width: picture.width, height: picture.height, alt: `In view: ${picture.name}` });
    const open = el("button", { type: "button", class: "panel-picture", "aria-label": `Open the picture ${picture.name}`, "data-key": "view", on: { click: () => this.actions.view(seen) } }, image);
    return el(
      "section",
      {},
      heading,
      open,
      el("div", { class: "panel-actions" }, button("Another", this.actions.choose), button("Put away", () => this.putAway())),
    );
  }

  manner({ style, persona }) {
    return el(
      "section",
      {},
      el("h2", { text: "How the bot talks" }),
      this.setting("style", "Style", style, this.actions.style),
      this.setting("persona", "Persona", persona, this.actions.persona),
    );
  }

  setting(key, label, value, onclick) {
    return el("button", { type: "button", class: "manner", "data-key": key, "aria-haspopup": "dialog", on: { click: onclick } }, el("b", { text: label }), el("span", { text: value, dir: "auto" }));
  }

  chips(seen, sees, { style, lines }) {
    const chips = [];
    if (seen) {
      const image = el("img", { class: "thumb", src: seen.url, alt: "", width: 32, height: 32 });
      chips.push(this.chip("seen", [image], () => this.actions.view(seen), `In view: ${seen.picture.name}`));
    } else if (sees) {
      chips.push(this.chip("none", [icon("picture")], this.actions.choose, "No picture in view. Choose one"));
    }
    chips.push(
      this.chip("style", [el("span", { class: "label", text: "Style" }), el("span", { text: style })], this.actions.style),
      this.chip("persona", [el("span", { class: "label", text: "Persona" }), el("span", { text: lines })], this.actions.persona),
    );
    return chips;
  }

  chip(key, children, onclick, label = null) {
    return el("button", { type: "button", class: `chip chip-${key}`, "aria-label": label, title: label, "data-key": key, "aria-haspopup": "dialog", on: { click: onclick } }, children);
  }

  putAway() {
    this.app.putAway();
    goOn();
  }
}

/** `own` is the persona that the server gives the bot. */
function describe({ style, persona }, own) {
  const lines = persona.length ? persona : own;
  return {
    style: nameStyle(style),
    persona: lines.length ? lines.join("\n") : "None: it makes up a person when asked",
    lines: lines.length ? count(lines.length, "line") : "None",
  };
}
