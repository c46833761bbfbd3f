/* What there is, and what a person can do with it. Views draw it anew at each "change". */

import {
  botSays,
  entitle,
  findPicture,
  lastPerson,
  newConversation,
  personSays,
  textOf,
} from "./conversation.js";
import { announce } from "./dom.js";
import { requestReply } from "./job.js";
import { keep, recall } from "./keep.js";
import { Connection } from "./connection.js";
import { read, write } from "./transfer.js";

const OPEN = "openmmb-open";
const DRAFT = "openmmb-draft";

export class App extends EventTarget {
  conversations = [];
  current = newConversation();
  pictures = new Map(); // data URIs by id, of the conversations that were opened
  jobs = new Map(); // what is being asked, by conversation
  connection = new Connection(() => this.change());
  notice = null; // {words, kind}
  opening = null; // the id of the conversation whose pictures are being read

  constructor(store) {
    super();
    this.store = store;
    this.channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("openmmb") : null;
    this.channel?.addEventListener("message", ({ data }) => this.follow(data.id));
  }

  async start() {
    this.conversations = await this.store.all();
    for (const conversation of this.conversations) settle(conversation);
    // What was typed just before the page was closed may not be in the store yet.
    const [id, text] = JSON.parse(recall(DRAFT, { lasting: true }) ?? "[]");
    const drafted = this.find(id);
    if (drafted) drafted.draft.text = text;
    const open = this.find(recall(OPEN, { lasting: false }));
    if (open) await this.open(open.id);
    else this.begin(drafted ? "" : text);
    if (!this.store.kept)
      this.tell("This browser keeps nothing here: conversations last until the page is closed.");
    this.connection.start();
  }

  /** Keep what is typed: at once, since the page may be closed, and in the store a little later. */
  rememberDraft(id, text) {
    keep(DRAFT, text ? JSON.stringify([id, text]) : null, { lasting: true });
  }

  change() {
    this.dispatchEvent(new Event("change"));
  }

  tell(words, kind = "info") {
    this.notice = words && { words, kind };
    this.change();
  }

  find(id) {
    return this.conversations.find((conversation) => conversation.id === id);
  }

  /** Those with something in them, the newest first. */
  listed() {
    return this.conversations
      .filter((conversation) => conversation.messages.length)
      .sort((one, other) => other.updated - one.updated);
  }

  get job() {
    return this.jobs.get(this.current.id) ?? null;
  }

  async open(id) {
    this.opening = id;
    for (const [picture, url] of await this.store.pictures(id)) this.pictures.set(picture, url);
    const conversation = this.find(id);
    if (!conversation || this.opening !== id) return; // deleted, or another was opened since
    this.current = conversation;
    keep(OPEN, id, { lasting: false });
    this.change();
  }

  /** A new conversation, or the one in which nothing was said yet. */
  begin(draft = "") {
    this.opening = null;
    this.current = this.conversations.find(isUntouched) ?? newConversation();
    this.current.draft.text ||= draft;
    if (!this.find(this.current.id)) this.conversations.push(this.current);
    keep(OPEN, this.current.id, { lasting: false });
    this.change();
  }

  /** Keep a conversation. What it can't keep is said; the page goes on with what it has. */
  async save(conversation = this.current, added = new Map()) {
    if (!this.find(conversation.id)) return; // deleted while it waited for a reply
    try {
      await this.store.save(conversation, added);
      this.channel?.postMessage({ id: conversation.id });
    } catch (error) {
      const full = error?.name === "QuotaExceededError";
      this.tell(
        full
          ? "This browser has no more room. Export conversations and delete them here; the newest messages are not kept."
          : "This browser could not keep the newest messages.",
        "failure",
      );
    }
  }

  /** Another tab changed a conversation: show it as it is now, unless it is busy here. */
  async follow(id) {
    if (this.jobs.has(id)) return;
    const conversation = await this.store.get(id);
    const at = this.conversations.findIndex((known) => known.id === id);
    if (conversation && at >= 0) this.conversations[at] = conversation;
    else if (conversation) this.conversations.push(conversation);
    else if (at >= 0) this.conversations.splice(at, 1);
    const taken = isUntouched(this.current) && conversation?.messages.length > 0;
    if (this.current.id !== id) this.change();
    else if (conversation && !taken) await this.open(id);
    else this.begin();
  }

  rename(conversation, title) {
    conversation.title = title;
    conversation.named = true;
    this.change();
    return this.save(conversation);
  }

  async remove(conversation) {
    this.jobs.get(conversation.id)?.controller.abort();
    this.conversations = this.conversations.filter((known) => known.id !== conversation.id);
    await this.store.remove(conversation.id);
    this.channel?.postMessage({ id: conversation.id });
    if (this.current.id === conversation.id) this.begin();
    else this.change();
    announce("Deleted.");
  }

  async removeAll() {
    for (const conversation of [...this.conversations]) await this.remove(conversation);
  }

  /** Change how the bot talks, or another setting of the conversation. */
  set(settings) {
    Object.assign(this.current, settings);
    this.change();
    return this.save();
  }

  /** Put a picture beside the message that is being written, or take it away again. */
  attach(read) {
    if (read) this.pictures.set(read.picture.id, read.url);
    this.current.draft.picture = read && { ...read.picture, thumb: read.thumb };
    this.change();
    return this.save(this.current, read ? new Map([[read.picture.id, read.url]]) : new Map());
  }

  /** Say something, and the picture beside it; `rest` is what stays in the message box. */
  async send(text, rest = "") {
    const conversation = this.current;
    const { thumb = null, ...picture } = conversation.draft.picture ?? {};
    const message = personSays(text, picture.id ? picture : null);
    conversation.messages.push(message);
    conversation.draft = { text: rest, picture: null };
    if (message.picture) Object.assign(conversation, { looking: picture.id, thumb });
    await this.ask(conversation, message);
  }

  /** Ask for the reply to a message that has none. */
  async ask(conversation, message) {
    Object.assign(message, { state: "waiting", problem: null });
    conversation.updated = Date.now();
    entitle(conversation);
    this.notice = null;
    const answer = await requestReply(this, conversation, message);
    if (answer) {
      const at = conversation.messages.indexOf(message);
      conversation.messages.splice(at + 1, 0, botSays(answer.choices));
      conversation.updated = Date.now();
      entitle(conversation);
      announce(`Bot: ${answer.choices[0].text}`);
    } else if (message.problem) announce(`${message.problem.title} ${message.problem.text}`);
    else announce("Stopped.");
    this.change();
    await this.save(conversation);
  }

  tryAgain(message) {
    return this.ask(this.current, message);
  }

  /** Show another reply instead of the last one: one that is known, or else ask for more. */
  async another() {
    const conversation = this.current;
    const reply = conversation.messages.at(-1);
    const message = lastPerson(conversation);
    const known = reply.choices.length;
    const answer = await requestReply(this, conversation, message, { instead: reply });
    for (const choice of answer?.choices ?? [])
      if (!reply.choices.some(({ text }) => text === choice.text)) reply.choices.push(choice);
    if (reply.choices.length > known) this.show(reply, known);
    else if (answer) this.tell("The model has no other reply to this.");
    else this.change();
    await this.save(conversation);
  }

  show(reply, at) {
    reply.shown = at;
    announce(`Reply ${at + 1} of ${reply.choices.length}: ${textOf(reply)}`);
    this.change();
    return this.save();
  }

  /** Say the last message in other words; what came after it goes. */
  async edit(message, text) {
    const at = this.current.messages.indexOf(message);
    this.current.messages.length = at + 1;
    message.text = text;
    await this.ask(this.current, message);
  }

  stop() {
    this.job?.controller.abort();
  }

  putAway() {
    announce("The picture is put away.");
    return this.set({ looking: null });
  }

  lookAgain(id) {
    announce("The picture is in view again.");
    return this.set({ looking: id });
  }

  /** Have the pixels of a conversation's pictures at hand. */
  async ensurePictures({ id, looking }) {
    if (!looking || this.pictures.has(looking)) return;
    for (const [picture, url] of await this.store.pictures(id)) this.pictures.set(picture, url);
  }

  /** The picture in view: {picture, url}, or null. */
  inView() {
    const picture = findPicture(this.current, this.current.looking);
    const url = picture && this.pictures.get(picture.id);
    return url ? { picture, url } : null;
  }

  /** Conversations as the text of a file. */
  async export(conversations = this.listed()) {
    const pictures = new Map();
    for (const { id } of conversations)
      for (const [picture, url] of await this.store.pictures(id)) pictures.set(picture, url);
    return write(conversations, pictures);
  }

  /** Add the conversations of a file; returns how many. */
  async import(text) {
    const rows = await read(text);
    for (const { conversation, pictures } of rows) {
      this.conversations.push(conversation);
      await this.save(conversation, pictures);
    }
    if (rows.length) await this.open(rows[0].conversation.id);
    return rows.length;
  }
}

function isUntouched(conversation) {
  return !conversation.messages.length;
}

/** A page that was closed while it waited has stopped. */
function settle(conversation) {
  for (const message of conversation.messages)
    if (message.state === "waiting") message.state = "stopped";
}
