/* What was said, a turn each. Only turns that changed are drawn anew. */

import { lastPerson, textOf } from "./conversation.js";
import { announce, byId, button, el, goOn, icon, iconButton } from "./dom.js";

const NEAR = 120;

export class Thread {
  constructor(app, { view, mend }) {
    this.app = app;
    this.view = view;
    this.mend = mend; // {key, style, persona}: what opens where each is set
    this.list = byId("thread");
    this.scroll = byId("scroll");
    this.drawn = new Map(); // {node, sign} by the id of a message
    this.editing = null;
    this.conversation = null;
    this.atEnd = true;
    this.scroll.addEventListener("scroll", () => (this.atEnd = this.isAtEnd()));
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe(this.scroll);
  }

  isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroll;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  toEnd() {
    this.scroll.scrollTop = this.list.hidden ? 0 : this.scroll.scrollHeight;
    this.atEnd = true;
  }

  draw() {
    const { current, job } = this.app;
    const other = current.id !== this.conversation;
    if (other) {
      this.conversation = current.id;
      this.editing = null;
      this.drawn.clear();
      this.list.replaceChildren();
    }
    const { atEnd } = this;
    const before = this.list.childElementCount;
    const focused = this.list.contains(document.activeElement) ? document.activeElement : null;
    const said = lastPerson(current);
    const nodes = current.messages.map((message, at) => {
      const last = at === current.messages.length - 1;
      return this.turn(message, { last, lastSaid: message === said });
    });
    if (job) nodes.push(this.thinking(job));
    this.place(nodes);
    if (focused && !focused.isConnected) this.refocus(focused);
    const grown = nodes.length > before;
    if (other || atEnd || (grown && job)) this.toEnd();
  }

  /** Put these nodes into the list, and touch none that is there already. */
  place(nodes) {
    const wanted = new Set(nodes);
    for (const node of [...this.list.children]) if (!wanted.has(node)) node.remove();
    nodes.forEach((node, at) => {
      if (this.list.children[at] !== node) this.list.insertBefore(node, this.list.children[at] ?? null);
    });
  }

  /** What had the focus was drawn anew: give it to what has the same name, or else go on. */
  refocus({ textContent, ariaLabel }) {
    const same = [...this.list.querySelectorAll("button:not(:disabled)")].findLast(
      (node) => node.textContent === textContent && node.ariaLabel === ariaLabel,
    );
    if (same) same.focus({ preventScroll: true });
    else goOn();
  }

  turn(message, { last, lastSaid }) {
    const { job, pictures } = this.app;
    const pixels = message.picture ? pictures.has(message.picture.id) : null;
    const busy = Boolean(job) && (last || lastSaid); // earlier ones are the same, busy or not
    const editing = this.editing === message.id;
    const sign = JSON.stringify([message, last, lastSaid, pixels, busy, editing]);
    const known = this.drawn.get(message.id);
    if (known?.sign === sign) return known.node;
    const draw = message.role === "user" ? this.person : this.bot;
    const node = draw.call(this, message, { last, lastSaid, busy, editing });
    this.drawn.set(message.id, { node, sign });
    return node;
  }

  person(message, { last, lastSaid, busy, editing }) {
    const kind = ["failed", "stopped", "withheld"].includes(message.state) ? " unsent" : "";
    const label = el("h2", { class: "hidden", text: "You said" });
    const shown = message.picture && this.picture(message.picture);
    if (editing) return el("li", { class: "turn person" }, label, shown, this.editor(message));
    const words = message.text ? el("div", { class: "words", dir: "auto", text: message.text }) : null;
    const tools = this.personTools(message, { lastSaid, busy });
    return el(
      "li",
      { class: `turn person${kind}${last ? " last" : ""}` },
      label,
      shown,
      words || tools ? el("div", { class: "beside" }, words, tools) : null,
      this.problem(message, lastSaid && !busy),
    );
  }

  personTools(message, { lastSaid, busy }) {
    const tools = [];
    if (message.text) tools.push(copyTool(message.text));
    if (lastSaid && !busy && message.state === "sent") tools.push(iconButton("edit", "Edit", () => this.edit(message), { kind: "tool" }));
    return tools.length ? el("div", { class: "tools" }, tools) : null;
  }

  /** Why there is no reply, and if it can be `mended` yet, how. */
  problem(message, mended) {
    const { state, problem } = message;
    const actions = mended ? this.actions(message) : [];
    if (state === "stopped")
      return this.card({ symbol: "stop", title: "Stopped before there was a reply.", actions });
    if (!problem) return null;
    const [kind, symbol] = state === "withheld" ? ["guard", "shield"] : ["failure", "warn"];
    return this.card({ kind, symbol, title: problem.title, text: problem.text, actions });
  }

  actions(message) {
    const edit = button("Edit", () => this.edit(message), { symbol: "edit" });
    if (message.state === "withheld") return [edit];
    const again = button("Try again", () => this.app.tryAgain(message), { symbol: "again" });
    const { mend } = message.problem ?? {};
    return Object.hasOwn(this.mend, mend ?? "") ? [again, edit, this.mender(mend)] : [again, edit];
  }

  /** A button that leads to where a problem is mended. */
  mender(name) {
    const words = { key: "Enter the key", style: "Choose another style", persona: "Change the persona" };
    return button(words[name], this.mend[name]);
  }

  card({ kind = "", symbol, title, text = "", actions = [] }) {
    return el(
      "div",
      { class: `card ${kind}`.trim() },
      icon(symbol),
      el(
        "div",
        { class: "card-body" },
        el("b", { text: title }),
        text ? el("p", { text }) : null,
        actions.length ? el("div", { class: "card-actions" }, actions) : null,
      ),
    );
  }

  bot(message, { last, busy }) {
    const { note } = message.choices[message.shown];
    return el(
      "li",
      { class: `turn bot${last ? " last" : ""}` },
      el("h2", { class: "hidden", text: "The bot said" }),
      el("div", { class: "words", dir: "auto", text: textOf(message) }),
      note ? el("p", { class: "aside" }, icon("shield"), el("span", { text: note })) : null,
      this.botTools(message, { last, busy }),
    );
  }

  botTools(message, { last, busy }) {
    const tools = [copyTool(textOf(message))];
    const { shown, choices } = message;
    if (last && lastPerson(this.app.current)) {
      const another = iconButton("again", "Another reply", () => this.app.another(), { kind: "tool" });
      another.disabled = busy;
      tools.push(another);
    }
    if (choices.length > 1) {
      const step = (symbol, label, to) => {
        const tool = iconButton(symbol, label, () => this.app.show(message, to), { kind: "tool" });
        tool.disabled = !last || busy || to < 0 || to >= choices.length;
        return tool;
      };
      tools.push(
        step("back", "The reply before", shown - 1),
        el("span", { text: `${shown + 1} of ${choices.length}` }),
        step("next", "The next reply", shown + 1),
      );
    }
    return el("div", { class: "tools" }, tools);
  }

  thinking(job) {
    const words = job.phase || (job.instead ? "Looking for another reply" : "Thinking");
    const sign = `thinking ${job.message.id} ${words}`;
    const known = this.drawn.get("thinking");
    if (known?.sign === sign) return known.node;
    const dots = el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
    const node = el("li", { class: "turn bot thinking" }, dots, el("span", { text: words }));
    this.drawn.set("thinking", { node, sign });
    return node;
  }

  picture(picture) {
    const { id, width, height, name } = picture;
    const url = this.app.pictures.get(id);
    const image = el("img", { width, height, alt: `Picture that you showed: ${name}`, src: url ?? null });
    const properties = { type: "button", class: "shown-picture", "aria-label": `Open the picture ${name}` };
    return el("button", { ...properties, on: { click: () => url && this.view({ picture, url }) } }, image);
  }

  edit(message) {
    this.editing = message.id;
    this.draw();
    const box = byId("editor");
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
    box.scrollIntoView({ block: "nearest" });
  }

  /** Edit what was said last, if it can be edited; says whether. */
  editLast() {
    const message = lastPerson(this.app.current);
    if (!message || this.app.job) return false;
    this.edit(message);
    return true;
  }

  editor(message) {
    const leave = () => {
      this.editing = null;
      this.draw();
    };
    const send = () => {
      const text = box.value.trim();
      if (!text && !message.picture) return box.focus();
      if (text.length > this.app.connection.limits.characters) return box.focus();
      this.editing = null;
      this.app.edit(message, text);
    };
    const box = el("textarea", { id: "editor", dir: "auto", value: message.text, "aria-label": "Edit your message" });
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      } else if (event.key === "Escape") {
        event.stopPropagation();
        leave();
      }
    });
    const actions = [button("Cancel", leave), button("Send", send, { kind: "primary" })];
    return el("div", { class: "editor" }, box, el("div", { class: "card-actions" }, actions));
  }
}

function copyTool(text) {
  const tool = iconButton("copy", "Copy", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return announce("This browser did not let the page copy.");
    }
    tool.replaceChildren(icon("check"));
    announce("Copied.");
    setTimeout(() => tool.replaceChildren(icon("copy")), 1500);
  }, { kind: "tool" });
  return tool;
}
