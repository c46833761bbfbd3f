/* What the keyboard does. */

import { openDialog } from "./dialogs.js";
import { el } from "./dom.js";

const KEYS = [
  ["Send", ["Enter"]],
  ["Begin a line", ["Shift", "Enter"]],
  ["Edit your last message, from an empty box", ["↑"]],
  ["Stop the reply; close what is open", ["Esc"]],
  ["Go to the message box", ["/"]],
  ["New conversation", ["Alt", "N"]],
  ["Choose a picture", ["Alt", "P"]],
  ["Style", ["Alt", "S"]],
  ["Persona", ["Alt", "B"]],
  ["Another reply", ["Alt", "R"]],
  ["This list", ["?"]],
];

export function openKeys() {
  const rows = KEYS.flatMap(([words, keys]) => [
    el("dt", { text: words }),
    el("dd", {}, keys.flatMap((key, at) => [at ? " + " : "", el("kbd", { text: key })])),
  ]);
  openDialog("Keyboard", el("div", { class: "dialog-body" }, el("dl", { class: "shortcuts" }, rows)));
}

/** Listen to the keys; `actions` are by name. */
export function listenToKeys(actions) {
  const withAlt = { KeyN: actions.begin, KeyP: actions.choose, KeyS: actions.style, KeyB: actions.persona, KeyR: actions.another };
  addEventListener("keydown", (event) => {
    if (event.isComposing || document.querySelector("dialog[open], .menu:popover-open")) return;
    const typing = event.target.matches?.("input, textarea, select");
    const { altKey, ctrlKey, metaKey, code, key } = event;
    if (altKey && !ctrlKey && !metaKey && withAlt[code]) run(event, withAlt[code]);
    else if (key === "Escape") actions.stop();
    else if (!typing && !altKey && !ctrlKey && !metaKey && key === "/") run(event, actions.write);
    else if (!typing && !ctrlKey && !metaKey && key === "?") run(event, openKeys);
  });
}

function run(event, action) {
  event.preventDefault();
  action();
}
