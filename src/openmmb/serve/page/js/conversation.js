/*
 * A conversation as a value, and what of it a request says.
 *
 * {id, title, named, created, updated, style, persona: [line], gender, seed, looking, draft,
 *  messages: [person's or bot's]}
 * person's: {id, role: "user", text, picture, state, problem}; the state is "sent" once answered,
 *   else "waiting", "failed", "stopped", or "withheld" by the guard: then the bot never reads it.
 * bot's: {id, role: "assistant", choices: [{text, note}], shown}
 * A picture is {id, width, height, name}; `looking` is the id of the one in view. Its pixels are
 * kept beside, by id.
 */

const TITLE = 80;

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function newConversation() {
  const now = Date.now();
  return {
    id: newId(),
    title: "New conversation",
    named: false,
    created: now,
    updated: now,
    style: null,
    persona: [],
    gender: null,
    seed: null,
    looking: null,
    thumb: null,
    draft: { text: "", picture: null },
    messages: [],
  };
}

export function personSays(text, picture = null) {
  return { id: newId(), role: "user", text, picture, state: "waiting", problem: null };
}

export function botSays(choices) {
  return { id: newId(), role: "assistant", choices, shown: 0 };
}

export function textOf(message) {
  return message.role === "user" ? message.text : message.choices[message.shown].text;
}

/** The ids of all pictures that a conversation needs. */
export function pictureIds(conversation) {
  const ids = conversation.messages.map((message) => message.picture?.id);
  return [...new Set([...ids, conversation.draft.picture?.id])].filter(Boolean);
}

export function findPicture(conversation, id) {
  const shown = conversation.messages.map((message) => message.picture);
  return shown.find((picture) => picture && picture.id === id) ?? null;
}

export function lastPerson(conversation) {
  return conversation.messages.findLast((message) => message.role === "user") ?? null;
}

/** Name a conversation after what was said first, unless a person has named it. */
export function entitle(conversation) {
  if (conversation.named) return;
  const heard = conversation.messages.filter((message) => message.state !== "withheld");
  const first = heard.find((message) => textOf(message).trim());
  if (!first) return;
  const words = textOf(first).replace(/\s+/g, " ").trim();
  const letters = Array.from(words);
  conversation.title =
    letters.length > TITLE ? `${letters.slice(0, TITLE).join("").trimEnd()}…` : words;
}

/**
 * What a request for the next reply says: the turns that the bot has heard up to the one at `end`,
 * without the oldest of more than it reads; one picture, the one in view; style, persona and the rest.
 * `pixels` gives the data URI of a picture by its id.
 */
export function toRequest(conversation, { end, pixels, limits }) {
  const heard = conversation.messages
    .slice(0, end + 1)
    .filter((message, at) => message.role !== "user" || message.state === "sent" || at === end);
  const kept = newest(heard, limits);
  const image = conversation.looking && pixels(conversation.looking);
  const introduced = kept.findIndex((message) => message.picture?.id === conversation.looking);
  const bearer = introduced >= 0 ? introduced : kept.findIndex(({ role }) => role === "user");
  const messages = kept.map((message, at) => ({
    role: message.role,
    content: image && at === bearer ? withPicture(message.text, image) : textOf(message),
  }));
  const persona = conversation.persona.join("\n");
  const body = {
    messages: persona ? [{ role: "system", content: persona }, ...messages] : messages,
  };
  if (conversation.style !== null) body.style = conversation.style;
  if (conversation.gender !== null) body.gender = conversation.gender;
  if (conversation.seed !== null) body.seed = conversation.seed;
  return body;
}

/** The newest turns: as many as a server takes, and far more than a model of this kind reads. */
function newest(messages, { turns, characters }) {
  let room = 4 * characters;
  const last = messages.slice(-turns).reverse();
  const over = last.findIndex((message) => (room -= textOf(message).length) < 0);
  return (over < 0 ? last : last.slice(0, Math.max(over, 1))).reverse();
}

function withPicture(text, image) {
  const seen = { type: "image_url", image_url: { url: image } };
  return text ? [{ type: "text", text }, seen] : [seen];
}
