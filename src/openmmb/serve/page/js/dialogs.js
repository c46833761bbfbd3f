/* Dialogs and menus: one at a time, closed by Escape, with the focus back where it was. */

import { button, el, iconButton } from "./dom.js";

let opened = 0;

/**
 * Open a dialog with `body` between its title and its buttons. A click beside it closes it, save
 * where something is `written` in it. Returns {dialog, close, closed}: `closed` is what it was
 * closed with.
 */
export function openDialog(title, body, { foot = [], kind = "", onclose = null, written = false } = {}) {
  opened += 1;
  const id = `dialog-title-${opened}`;
  const heading = el("h2", { text: title, tabindex: "-1", id });
  const closer = iconButton("close", "Close", () => dialog.close());
  const dialog = el(
    "dialog",
    { class: kind, "aria-labelledby": id },
    el("div", { class: "dialog-head" }, heading, closer),
    ...[body].flat(),
    foot.length ? el("div", { class: "dialog-foot" }, foot) : null,
  );
  return { dialog, ...show(dialog, { first: heading, onclose, written }) };
}

function show(dialog, { first, onclose, written = false }) {
  const before = document.activeElement;
  let value = null;
  const closed = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      onclose?.();
      dialog.remove();
      if (before?.isConnected) before.focus();
      resolve(value);
    });
  });
  dialog.addEventListener("mousedown", (event) => {
    if (event.target === dialog && !written) dialog.close(); // beside it
  });
  document.body.append(dialog);
  dialog.showModal();
  (dialog.querySelector("[data-focus]") ?? first)?.focus();
  const close = (result = null) => {
    value = result;
    dialog.close();
  };
  return { close, closed };
}

/** Ask yes or no. */
export async function confirm(title, words, yes) {
  const { close, closed } = openDialog(title, el("p", { class: "dialog-body", text: words }), {
    foot: [
      button("Cancel", () => close(false)),
      button(yes, () => close(true), { kind: "danger" }),
    ],
  });
  return (await closed) === true;
}

/** Ask for one line of text; null if there is none. */
export async function prompt(title, label, value, { longest = 200 } = {}) {
  const id = "prompt-line";
  const input = el("input", { id, class: "input", value, maxlength: longest, "data-focus": "" });
  const form = el(
    "form",
    {
      class: "dialog-body",
      id: "prompt-form",
      on: {
        submit: (event) => {
          event.preventDefault();
          close(input.value.trim() || null);
        },
      },
    },
    el("div", { class: "field" }, el("label", { for: id, text: label }), input),
  );
  const save = el("button", { class: "button primary", form: "prompt-form", text: "Save" });
  const { close, closed } = openDialog(title, form, {
    foot: [button("Cancel", () => close()), save],
    written: true,
  });
  input.select();
  return closed;
}

/** Show a node that is part of the page in a drawer; it goes back when the drawer is closed. */
export function openDrawer(node, label) {
  const home = node.parentElement;
  const next = node.nextSibling;
  const dialog = el("dialog", { class: "drawer", "aria-label": label });
  dialog.append(node);
  const first = node.querySelector("button");
  const { close } = show(dialog, { first, onclose: () => home.insertBefore(node, next) });
  return close;
}

/** A menu below a button: `items` are [words, action, kind]. */
export function openMenu(anchor, items) {
  const before = document.activeElement;
  const choose = (action) => () => {
    close();
    before?.focus(); // where it is to be when what the action opens is closed
    action();
  };
  const buttons = items.map(([words, action, kind = ""]) =>
    el("button", { type: "button", role: "menuitem", class: kind, text: words, tabindex: "-1", on: { click: choose(action) } }),
  );
  const menu = el("div", { class: "menu", role: "menu", popover: "auto", "aria-label": anchor.getAttribute("aria-label") }, buttons);
  const close = () => menu.hidePopover();
  menu.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Tab") close();
    else if (to !== undefined) {
      event.preventDefault();
      buttons.at(to % buttons.length).focus();
    }
  });
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    menu.remove();
    if (document.activeElement === document.body || menu.contains(document.activeElement)) before?.focus();
  });
  (anchor.closest("dialog") ?? document.body).append(menu);
  menu.showPopover();
  anchor.setAttribute("aria-expanded", "true");
  const box = anchor.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const below = box.bottom + 4 + height <= innerHeight;
  menu.style.left = `${Math.max(8, Math.min(box.right - width, innerWidth - width - 8))}px`;
  menu.style.top = `${below ? box.bottom + 4 : Math.max(8, box.top - height - 4)}px`;
  buttons[0].focus();
}
