/* One line above the message box: the server is gone, something could not be done, or was. */

import { announce, byId, button, el, goOn, icon, iconButton } from "./dom.js";

const CONNECTION = {
  gone: ["The server can't be reached. You can read and write; the page tries again by itself.", "gone"],
  loading: ["The model is still loading. You can write already; it answers when it is ready.", "info"],
  key: ["The server wants an API key.", "gone"],
};

export class Notice {
  constructor(app, { openKey }) {
    this.app = app;
    this.openKey = openKey;
    this.node = byId("notice");
    this.sign = "";
  }

  draw() {
    const { notice, connection } = this.app;
    const [words, kind] = notice ? [notice.words, notice.kind] : this.ofConnection(connection);
    const sign = JSON.stringify([words, kind, Boolean(notice)]);
    if (sign === this.sign) return;
    this.sign = sign;
    this.node.hidden = !words;
    this.node.className = `notice ${kind}`;
    if (!words) return this.node.replaceChildren();
    announce(words);
    const parts = [icon(kind === "info" ? "about" : "warn"), el("p", { text: words })];
    if (!notice && connection.state === "key") parts.push(button("Enter the key", this.openKey));
    if (notice || connection.back) parts.push(iconButton("close", "Dismiss", () => this.dismiss()));
    return this.node.replaceChildren(...parts);
  }

  ofConnection(connection) {
    if (connection.back) return ["The server is back.", "info"];
    return CONNECTION[connection.state] ?? ["", ""];
  }

  dismiss() {
    this.app.connection.back = false;
    this.app.tell(null);
    goOn();
  }
}
