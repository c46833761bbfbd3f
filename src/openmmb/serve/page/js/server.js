/* The server's side: OpenAI's chat completions, and what /props says of the model. */

import { keep, recall } from "./keep.js";

const KEY = "openmmb-key";

/**
 * Why there is no reply. `kind`: "gone" (nothing answers), "loading", "busy", "slow", "key" (it
 * wants one, or another), "large", "wrong" (it can't do what was asked), "broken".
 */
export class ServerError extends Error {
  constructor(kind, message, { retryAfter = null, param = null, code = null } = {}) {
    super(message);
    this.kind = kind;
    this.retryAfter = retryAfter;
    this.param = param;
    this.code = code;
  }
}

let memory = ""; // of a browser that keeps nothing

export function readKey() {
  return recall(KEY, { lasting: false }) ?? recall(KEY, { lasting: true }) ?? memory;
}

/** Whether the key stays after the tab is closed. */
export function keyLasts() {
  return recall(KEY, { lasting: true }) !== null;
}

/** Keep the key: `lasting` until it is taken away, else as long as this tab is open. */
export function keepKey(key, { lasting }) {
  memory = key;
  for (const other of [true, false]) keep(KEY, key && other === lasting ? key : null, { lasting: other });
}

export async function isHealthy() {
  const response = await ask("health");
  return response.ok;
}

export async function readProps() {
  const response = await ask("props");
  if (!response.ok) throw await explain(response);
  return response.json();
}

/** Ask for replies: `{choices: [{text, refusal}], openmmb}`; the last is what the server adds. */
export async function complete(body, signal) {
  const response = await ask("v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, stream: true }),
    signal,
  });
  if (!response.ok) throw await explain(response);
  const streams = (response.headers.get("Content-Type") ?? "").startsWith("text/event-stream");
  const answer = streams ? await readStream(response) : readWhole(await response.json());
  if (!answer.choices.length) throw new ServerError("broken", "The server's answer has no reply in it.");
  return answer;
}

async function ask(path, options = {}) {
  const key = readKey();
  const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
  try {
    return await fetch(new URL(path, document.baseURI), { ...options, headers, cache: "no-store", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("gone", "The server can't be reached.");
  }
}

function readWhole(data) {
  const choices = (data.choices ?? []).map(({ message }) => ({
    text: message?.content ?? "",
    refusal: message?.refusal ?? "",
  }));
  return { choices, openmmb: data.openmmb ?? null };
}

/** Put a stream of chunks together. Lines that begin with a colon only say that it goes on. */
async function readStream(response) {
  const choices = [];
  let openmmb = null;
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return { choices: choices.filter(Boolean), openmmb };
    const chunk = JSON.parse(data);
    if (chunk.error) throw fromError(statusOf(chunk.error), chunk.error, null);
    openmmb = chunk.openmmb ?? openmmb;
    for (const part of chunk.choices ?? []) {
      const choice = (choices[part.index] ??= { text: "", refusal: "" });
      choice.text += part.delta?.content ?? "";
      choice.refusal += part.delta?.refusal ?? "";
    }
  }
  throw new ServerError("gone", "The connection ended before the reply was whole.");
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof ServerError) throw error;
    throw new ServerError("gone", "The connection ended before the reply was whole.");
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function explain(response) {
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    // A proxy's page, say: its status is all that it tells.
  }
  return fromError(response.status, error, response.headers.get("Retry-After"));
}

/** The status that goes with an error's code, for errors in a stream that began well. */
const STATUS = { timeout: 504, rate_limit_exceeded: 429, loading: 503, invalid_api_key: 401 };

function statusOf({ code, type }) {
  return STATUS[code] ?? (type === "invalid_request_error" ? 400 : 500);
}

const KINDS = {
  401: ["key", "The server wants an API key."],
  403: ["key", "The server does not take this API key."],
  408: ["slow", "The server took too long."],
  413: ["large", "That is more than the server takes at once."],
  429: ["busy", "The server is busy."],
  502: ["gone", "The server can't be reached: a proxy before it has no connection."],
  503: ["loading", "The model is still loading."],
  504: ["slow", "The reply took longer than the server allows."],
};

function fromError(status, { message, param, code }, retryAfter) {
  const fallback = Number(status) < 500 ? "wrong" : "broken";
  const [kind, words] = KINDS[status] ?? [fallback, `The server answered with status ${status}.`];
  const seconds = Number.parseFloat(retryAfter ?? "");
  const wait = Number.isFinite(seconds) ? Math.min(Math.max(seconds, 1), 120) : null;
  const tells = typeof message === "string" && kind !== "key";
  const says = tells ? message.replace(`${param}: `, "") : words;
  return new ServerError(kind, says, { retryAfter: wait, param: param ?? null, code: code ?? null });
}
