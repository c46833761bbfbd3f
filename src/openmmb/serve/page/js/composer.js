/* Where a message is written: its text, a picture beside it, and the buttons. */

import { byId, el, goOn, iconButton } from "./dom.js";
import { onFile } from "./files.js";
import { PictureError, pictureIn, readPicture } from "./picture.js";

const KEEP_AFTER = 400;

export class Composer {
  constructor(app, { camera, editLast }) {
    this.app = app;
    this.editLast = editLast;
    this.form = byId("composer");
    this.box = byId("message");
    this.timer = null;
    this.conversation = null;
    this.box.addEventListener("input", () => this.typed());
    this.box.addEventListener("keydown", (event) => this.pressed(event));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    byId("stop").addEventListener("click", () => this.stop());
    byId("choose").addEventListener("click", () => this.choose());
    byId("camera").addEventListener("click", camera);
    onFile(byId("file"), (file) => this.take(file));
    onFile(byId("file-camera"), (file) => this.take(file));
    this.listenToDrops();
    addEventListener("paste", (event) => this.pasted(event));
    addEventListener("pagehide", () => this.keep());
  }

  choose() {
    byId("file").click();
  }

  /** Put a picture beside the message. */
  async take(file) {
    if (!this.app.connection.sees) return this.app.tell("This model sees no pictures.", "failure");
    if (!file.type.startsWith("image/") && file.type)
      return this.app.tell(`${file.name} is no picture. Use a JPEG, PNG, WebP or GIF file.`, "failure");
    try {
      const read = await readPicture(file, this.app.connection.limits);
      this.app.notice = null;
      await this.app.attach(read);
      goOn();
    } catch (error) {
      if (!(error instanceof PictureError)) throw error;
      this.app.tell(error.message, "failure");
    }
    return null;
  }

  draw() {
    const { current, job } = this.app;
    if (current.id !== this.conversation) {
      if (this.conversation !== null) this.keep();
      this.conversation = current.id;
      this.box.value = current.draft.text;
      this.grow();
    }
    this.drawAttached(current.draft.picture);
    const busy = Boolean(job);
    const focused = document.activeElement === byId("stop") || document.activeElement === byId("send");
    byId("send").hidden = busy;
    byId("stop").hidden = !busy;
    if (focused && busy) byId("stop").focus();
    else if (focused) goOn();
    this.drawHint();
    byId("choose").disabled = byId("camera").disabled = !this.app.connection.sees;
  }

  drawAttached(picture) {
    const attached = byId("attached");
    const url = picture && this.app.pictures.get(picture.id);
    attached.hidden = !url;
    if (!url) return attached.replaceChildren();
    if (attached.dataset.picture === picture.id && attached.childElementCount) return null;
    attached.dataset.picture = picture.id;
    const words = "Send it as it is, and the bot speaks first; or write something to go with it.";
    const remove = iconButton("close", "Remove the picture", () => {
      this.app.attach(null);
      goOn();
    });
    return attached.replaceChildren(
      el("img", { src: url, alt: `To be sent: ${picture.name}`, width: 64, height: 64 }),
      el("p", { text: words }),
      remove,
    );
  }

  drawHint() {
    const hint = byId("composer-hint");
    const most = this.app.connection.limits.characters;
    const { length } = this.box.value;
    const over = length > most;
    hint.classList.toggle("over", over);
    hint.textContent = over
      ? `${(length - most).toLocaleString("en")} characters too many`
      : "Enter sends, Shift+Enter begins a line";
    byId("send").disabled = over || (!this.box.value.trim() && !this.app.current.draft.picture);
  }

  typed() {
    this.grow();
    this.drawHint();
    this.app.rememberDraft(this.conversation, this.box.value);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.keep(), KEEP_AFTER);
  }

  /** Keep what is typed with its conversation. */
  keep() {
    clearTimeout(this.timer);
    const conversation = this.app.find(this.conversation);
    if (!conversation || conversation.draft.text === this.box.value) return;
    conversation.draft.text = this.box.value;
    this.app.save(conversation);
  }

  grow() {
    if (CSS.supports("field-sizing", "content")) return;
    this.box.style.height = "auto";
    this.box.style.height = `${this.box.scrollHeight}px`;
  }

  pressed(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.send();
    } else if (event.key === "ArrowUp" && !this.box.value && this.editLast()) {
      event.preventDefault();
    }
  }

  /** Say what is typed, or else `opener`: then what is typed stays. */
  send(opener = null) {
    const { app } = this;
    const text = opener ?? this.box.value.trim();
    const nothing = !text && !app.current.draft.picture;
    if (nothing || app.job || text.length > app.connection.limits.characters) return;
    clearTimeout(this.timer);
    if (opener === null) this.box.value = "";
    app.rememberDraft(this.conversation, this.box.value);
    this.grow();
    app.send(text, this.box.value);
    if (opener !== null) goOn();
  }

  stop() {
    this.app.stop();
    goOn();
  }

  pasted(event) {
    const file = pictureIn(event.clipboardData);
    if (!file || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    this.take(file);
  }

  listenToDrops() {
    const drop = byId("drop");
    let depth = 0;
    const over = (event) => event.dataTransfer?.types.includes("Files");
    const end = () => {
      depth = 0;
      drop.hidden = true;
    };
    addEventListener("dragenter", (event) => {
      if (!over(event)) return;
      depth += 1;
      drop.hidden = false;
    });
    addEventListener("dragleave", () => {
      depth -= 1;
      if (depth <= 0) end();
    });
    addEventListener("dragover", (event) => {
      if (over(event)) event.preventDefault();
    });
    addEventListener("drop", (event) => {
      if (!over(event)) return;
      event.preventDefault();
      end();
      const file = pictureIn(event.dataTransfer) ?? event.dataTransfer.files[0];
      if (file) this.take(file);
    });
  }
}
