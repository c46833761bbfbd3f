/* Conversations to a file and back. What comes in is checked whole before any of it is kept. */

import { botSays, newConversation, newId, personSays, pictureIds } from "./conversation.js";

const FORMAT = "openmmb-conversations";
const VERSION = 1;
export const MAX_FILE = 256 * 2 ** 20;
const MAX_CONVERSATIONS = 2000;
const MAX_MESSAGES = 10000;
const MAX_PERSONA = 1000;
const MAX_CHOICES = 20;
const MAX_TEXT = 20000;
const MAX_PICTURE = 16 * 2 ** 20;
const MAX_SIDE = 16384;
const PICTURE = /^data:image\/(?:jpeg|png|webp|gif);base64,[A-Za-z0-9+/]+={0,2}$/;
const STATES = ["sent", "failed", "stopped", "withheld"];

/** What is wrong with a file, and where in it. */
export class ImportError extends Error {}

/** Write conversations as JSON; `pictures` are the data URIs of all of them, by id. */
export function write(conversations, pictures) {
  const rows = conversations.map((conversation) => ({
    title: conversation.title,
    named: conversation.named,
    created: new Date(conversation.created).toISOString(),
    updated: new Date(conversation.updated).toISOString(),
    style: conversation.style,
    persona: conversation.persona,
    gender: conversation.gender,
    seed: conversation.seed,
    looking: conversation.looking,
    thumb: conversation.thumb,
    messages: conversation.messages.map(writeMessage),
    pictures: Object.fromEntries(
      pictureIds({ ...conversation, draft: {} })
        .filter((id) => pictures.has(id))
        .map((id) => [id, pictures.get(id)]),
    ),
  }));
  return JSON.stringify({ format: FORMAT, version: VERSION, conversations: rows }, null, 1);
}

/** Read what `write` wrote, or what `openmmb chat` saves: [{conversation, pictures: Map}]. */
export async function read(text) {
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    throw new ImportError("The file is not JSON.");
  }
  if (isObject(data) && Array.isArray(data.turns)) return [readChat(data)];
  require(isObject(data) && data.format === FORMAT, "The file has no conversations of this page in it.");
  require(data.version === VERSION, `version: expected ${VERSION}, got ${quote(data.version)}`);
  const rows = list(data.conversations, "conversations", MAX_CONVERSATIONS);
  const result = [];
  for (const [at, row] of rows.entries()) result.push(await readConversation(row, `conversations[${at}]`));
  return result;
}

function writeMessage(message) {
  const { id: _, ...rest } = message;
  return message.state === "waiting" ? { ...rest, state: "stopped" } : rest;
}

async function readConversation(row, key) {
  object(row, key);
  const ids = new Map();
  const pictures = new Map();
  for (const [id, url] of Object.entries(object(row.pictures ?? {}, `${key}.pictures`))) {
    const label = `${key}.pictures.${quote(id)}`;
    require(typeof url === "string" && url.length <= MAX_PICTURE && PICTURE.test(url), `${label}: expected a picture as a data URI of JPEG, PNG, WebP or GIF`);
    await requireDecodable(url, label);
    ids.set(id, newId());
    pictures.set(ids.get(id), url);
  }
  const messages = list(row.messages, `${key}.messages`, MAX_MESSAGES);
  const thumb = row.thumb ?? null;
  require(thumb === null || (typeof thumb === "string" && thumb.length < 65536 && PICTURE.test(thumb)), `${key}.thumb: expected a small picture as a data URI, or null`);
  const persona = list(row.persona ?? [], `${key}.persona`, MAX_PERSONA);
  const conversation = {
    ...newConversation(),
    title: string(row.title, `${key}.title`, 200) || "Conversation",
    named: row.named === true,
    created: time(row.created, `${key}.created`),
    updated: time(row.updated, `${key}.updated`),
    style: optional(row.style, (value) => string(value, `${key}.style`)),
    gender: optional(row.gender, (value) => string(value, `${key}.gender`)),
    seed: optional(row.seed, (value) => integer(value, `${key}.seed`, Number.MAX_SAFE_INTEGER)),
    persona: persona.map((line, at) => string(line, `${key}.persona[${at}]`)),
    thumb,
    messages: messages.map((message, at) => readMessage(message, `${key}.messages[${at}]`, ids)),
  };
  const looking = optional(row.looking, (value) => string(value, `${key}.looking`));
  require(looking === null || ids.has(looking), `${key}.looking: expected the id of a picture of this conversation`);
  conversation.looking = looking && ids.get(looking);
  return { conversation, pictures };
}

function readMessage(message, key, ids) {
  object(message, key);
  if (message.role === "assistant") {
    const choices = list(message.choices, `${key}.choices`, MAX_CHOICES).map((choice, at) => ({
      text: string(object(choice, `${key}.choices[${at}]`).text, `${key}.choices[${at}].text`),
      note: optional(choice.note, (value) => string(value, `${key}.choices[${at}].note`)),
    }));
    require(choices.length > 0, `${key}.choices: expected at least one`);
    const shown = integer(message.shown ?? 0, `${key}.shown`, choices.length - 1);
    return { ...botSays(choices), shown };
  }
  require(message.role === "user", `${key}.role: expected "user" or "assistant", got ${quote(message.role)}`);
  require(STATES.includes(message.state), `${key}.state: expected one of ${STATES.join(", ")}, got ${quote(message.state)}`);
  const picture = optional(message.picture, (value) => readShown(value, `${key}.picture`, ids));
  const problem = optional(message.problem, (value) => readProblem(value, `${key}.problem`));
  const text = string(message.text, `${key}.text`);
  return { ...personSays(text, picture), state: message.state, problem };
}

function readShown(picture, key, ids) {
  object(picture, key);
  const id = string(picture.id, `${key}.id`);
  require(ids.has(id), `${key}.id: expected the id of a picture of this conversation`);
  return {
    id: ids.get(id),
    width: integer(picture.width, `${key}.width`, MAX_SIDE, 1),
    height: integer(picture.height, `${key}.height`, MAX_SIDE, 1),
    name: string(picture.name, `${key}.name`, 1000),
  };
}

function readProblem(problem, key) {
  object(problem, key);
  return {
    title: string(problem.title, `${key}.title`),
    text: string(problem.text, `${key}.text`),
    mend: optional(problem.mend, (value) => string(value, `${key}.mend`, 20)),
  };
}

/** What `/save` in the terminal writes: its picture is numbers for the model, which nobody can see. */
function readChat(data) {
  const messages = list(data.turns, "turns", MAX_MESSAGES).map((turn, at) => {
    const text = string(object(turn, `turns[${at}]`).text, `turns[${at}].text`);
    require(["person", "bot"].includes(turn.speaker), `turns[${at}].speaker: expected "person" or "bot", got ${quote(turn.speaker)}`);
    return turn.speaker === "bot" ? botSays([{ text, note: null }]) : { ...personSays(text), state: "sent" };
  });
  const persona = list(data.persona ?? [], "persona", MAX_PERSONA);
  const conversation = {
    ...newConversation(),
    title: "From a terminal",
    style: optional(data.style, (value) => string(value, "style")),
    persona: persona.map((line, at) => string(line, `persona[${at}]`)),
    messages,
  };
  return { conversation, pictures: new Map() };
}

async function requireDecodable(url, label) {
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    throw new ImportError(`${label}: the picture can't be read`);
  }
}

function require(condition, message) {
  if (!condition) throw new ImportError(message);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function object(value, key) {
  require(isObject(value), `${key}: expected an object, got ${quote(value)}`);
  return value;
}

function list(value, key, longest) {
  require(Array.isArray(value), `${key}: expected a list, got ${quote(value)}`);
  require(value.length <= longest, `${key}: expected at most ${longest} elements, got ${value.length}`);
  return value;
}

function string(value, key, longest = MAX_TEXT) {
  require(typeof value === "string", `${key}: expected text, got ${quote(value)}`);
  require(value.length <= longest, `${key}: expected at most ${longest} characters, got ${value.length}`);
  return value;
}

function integer(value, key, most, least = 0) {
  require(Number.isSafeInteger(value) && value >= least && value <= most, `${key}: expected a whole number from ${least} to ${most}, got ${quote(value)}`);
  return value;
}

function time(value, key) {
  const milliseconds = Date.parse(string(value, key, 64));
  require(Number.isFinite(milliseconds), `${key}: expected a time such as 2026-01-31T12:00:00Z, got ${quote(value)}`);
  return milliseconds;
}

function optional(value, parse) {
  return value === null || value === undefined ? null : parse(value);
}

function quote(value) {
  const words = JSON.stringify(value) ?? "nothing";
  return words.length > 60 ? `${words.slice(0, 60)}…` : words;
}
