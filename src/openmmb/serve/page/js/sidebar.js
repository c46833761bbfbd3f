/* The list of conversations. */

import { confirm, openMenu, prompt } from "./dialogs.js";
import { byId, el, goOn, icon } from "./dom.js";
import { saveFile } from "./files.js";

export class Sidebar {
  constructor(app, { chosen }) {
    this.app = app;
    this.chosen = chosen;
    this.list = byId("conversations");
    this.sign = "";
  }

  draw() {
    const { app } = this;
    const rows = app.listed();
    const shown = rows.map(({ id, title, thumb }) => [id, title, thumb, app.jobs.has(id)]);
    const sign = JSON.stringify([app.current.id, shown]);
    if (sign === this.sign) return;
    this.sign = sign;
    const focused = this.list.contains(document.activeElement) && document.activeElement.dataset.key;
    this.list.replaceChildren(...rows.map((conversation) => this.row(conversation)));
    if (!rows.length)
      this.list.append(el("li", { class: "conversations-empty", text: "Your conversations will be listed here. They stay in this browser." }));
    if (focused) this.list.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  row(conversation) {
    const { id, title, thumb } = conversation;
    const current = id === this.app.current.id;
    const open = el(
      "button",
      { type: "button", class: "conversation-open", "data-key": `open-${id}`, "aria-current": current ? "true" : null, on: { click: () => this.open(id) } },
      thumb ? el("img", { class: "thumb", src: thumb, alt: "", width: 32, height: 32 }) : el("span", { class: "thumb", "aria-hidden": "true", text: initial(title) }),
      el("span", { class: "name", dir: "auto", text: title }),
      this.app.jobs.has(id) ? el("span", { class: "hidden", text: "waiting for a reply" }) : null,
    );
    const more = el("button", { type: "button", class: "icon-button", "data-key": `more-${id}`, "aria-label": `More about ${title}`, "aria-haspopup": "menu", "aria-expanded": "false" }, icon("more"));
    more.addEventListener("click", () => this.menu(more, conversation));
    return el("li", { class: `conversation${current ? " current" : ""}` }, open, more);
  }

  open(id) {
    this.app.open(id);
    this.chosen();
  }

  menu(anchor, conversation) {
    openMenu(anchor, [
      ["Rename", () => this.rename(conversation)],
      ["Export", () => this.export(conversation)],
      ["Delete", () => this.remove(conversation), "danger"],
    ]);
  }

  async rename(conversation) {
    const title = await prompt("Rename the conversation", "Name", conversation.title);
    if (title) await this.app.rename(conversation, title);
  }

  async export(conversation) {
    saveFile(conversation.title, await this.app.export([conversation]));
  }

  async remove(conversation) {
    const words = `“${conversation.title}” is kept in this browser only and can't be brought back.`;
    if (!(await confirm("Delete the conversation?", words, "Delete"))) return;
    await this.app.remove(conversation);
    goOn();
  }
}

function initial(title) {
  return Array.from(title)[0]?.toLocaleUpperCase() ?? "";
}
