/* How the bot talks: the dialogs that set its style and its persona. */

import { openDialog } from "./dialogs.js";
import { button, count, el, icon } from "./dom.js";
import { groupStyles } from "./traits.js";

const MAX_LINE = 20000;

/** Choose a style by searching a list: the arrows move, Enter takes, Escape leaves. */
export function openStyles(app) {
  const groups = groupStyles(app.connection.props.styles ?? []);
  const search = el("input", {
    class: "input",
    type: "search",
    role: "combobox",
    placeholder: "Search, such as curious or grateful",
    "aria-label": "Search the styles",
    "aria-controls": "styles",
    "aria-expanded": "true",
    "aria-autocomplete": "list",
    autocomplete: "off",
    spellcheck: "false",
    "data-focus": "",
  });
  const list = el("div", { class: "styles", id: "styles", role: "listbox", "aria-label": "Styles", tabindex: "-1" });
  const none = el("p", { class: "styles-none", hidden: true, role: "status", text: "No style is called that." });
  const choose = (style) => {
    app.set({ style: style.value });
    close();
  };
  const options = [];
  for (const [at, group] of groups.entries()) {
    const id = `style-group-${at}`;
    const rows = group.styles.map((style) => {
      const node = optionOf(style, `style-${options.length}`, style.value === app.current.style);
      node.addEventListener("click", () => choose(style));
      options.push({ node, style, text: `${style.name} ${style.note}`.toLowerCase() });
      return node;
    });
    const heading = el("h3", { id, role: "presentation", text: group.name });
    list.append(el("div", { class: "style-group", role: "group", "aria-labelledby": id }, heading, rows));
  }
  let active = null;
  const activate = (option) => {
    active?.node.classList.remove("active");
    active = option ?? null;
    active?.node.classList.add("active");
    if (active) search.setAttribute("aria-activedescendant", active.node.id);
    else search.removeAttribute("aria-activedescendant");
    active?.node.scrollIntoView({ block: "nearest" });
  };
  const visible = () => options.filter(({ node }) => !node.hidden);
  search.addEventListener("input", () => {
    const words = search.value.trim().toLowerCase().split(/\s+/);
    for (const { node, text } of options) node.hidden = !words.every((word) => text.includes(word));
    for (const group of list.querySelectorAll(".style-group")) group.hidden = !group.querySelector(".style:not([hidden])");
    none.hidden = visible().length > 0;
    list.scrollTop = 0;
    activate(search.value.trim() ? visible()[0] : null);
  });
  search.addEventListener("keydown", (event) => {
    const shown = visible();
    const at = shown.indexOf(active);
    const to = { ArrowDown: at + 1, ArrowUp: at <= 0 ? shown.length - 1 : at - 1, PageDown: Math.min(at + 8, shown.length - 1), PageUp: Math.max(at - 8, 0) }[event.key];
    if (to !== undefined && shown.length) {
      event.preventDefault();
      activate(shown[to % shown.length]);
    } else if (event.key === "Enter" && active) {
      event.preventDefault();
      choose(active.style);
    }
  });
  list.append(none);
  const box = el("div", { class: "style-search" }, icon("search"), search);
  const { close } = openDialog("Style", [box, list]);
  options.find(({ style }) => style.value === app.current.style)?.node.scrollIntoView({ block: "center" });
}

function optionOf({ name, note }, id, selected) {
  const words = el("span", {}, name, note ? el("small", { text: ` ${note}` }) : null);
  return el("div", { class: "style", role: "option", id, "aria-selected": String(selected) }, words, icon("check"));
}

/** Write who the bot is, a line for each thing. */
export function openPersona(app) {
  const most = app.connection.limits.persona;
  const box = el("textarea", { class: "input", id: "persona-lines", dir: "auto", rows: "6", value: app.current.persona.join("\n"), placeholder: "I live by the sea.\nI have two old dogs.", "aria-describedby": "persona-help persona-error", "data-focus": "" });
  const error = el("p", { class: "error", id: "persona-error", role: "alert" });
  const help = el("p", { class: "help", id: "persona-help", text: "What the bot says of itself, one thing on each line. The guard reads it as it reads a message. A small model keeps to three or four short lines." });
  const save = () => {
    const lines = box.value.split("\n").map((line) => line.trim()).filter(Boolean);
    const long = lines.find((line) => line.length > MAX_LINE);
    error.textContent = "";
    if (lines.length > most) error.textContent = `${count(lines.length, "line")} of at most ${most}.`;
    else if (long) error.textContent = `A line is longer than ${MAX_LINE.toLocaleString("en")} characters.`;
    else {
      app.set({ persona: lines });
      close();
    }
  };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
  });
  const field = el("div", { class: "field" }, el("label", { for: "persona-lines", text: "Who the bot is" }), box, help, error);
  const { close } = openDialog("Persona", el("div", { class: "dialog-body" }, field), {
    foot: [button("Cancel", () => close()), button("Save", save, { kind: "primary" })],
    written: true,
  });
}
