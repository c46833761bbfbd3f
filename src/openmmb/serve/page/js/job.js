/* One request for a reply, from the first try to the last. */

import { readGuard } from "./guard.js";
import { toRequest } from "./conversation.js";
import { complete, ServerError } from "./server.js";

const TRIES = 5;
const OTHERS = 5; // replies that are asked for together
const LOADING_WAIT = 2;

/**
 * Ask for the reply to `message`, or for others `instead` of a reply that there is. While it
 * lasts, `app.jobs` has it; `phase` says what it waits for. Returns {choices}, or null: then the
 * message says why, unless it was only others that were asked for.
 */
export async function requestReply(app, conversation, message, { instead = null } = {}) {
  const job = { controller: new AbortController(), phase: "", message, instead };
  app.jobs.set(conversation.id, job);
  app.change();
  try {
    if (!instead) await app.save(conversation);
    await app.ensurePictures(conversation);
    const end = conversation.messages.indexOf(message);
    const { limits } = app.connection;
    const pixels = (id) => app.pictures.get(id);
    const body = toRequest(conversation, { end, pixels, limits });
    if (instead) Object.assign(body, { n: Math.min(OTHERS, limits.replies), seed: (body.seed ?? 0) + instead.choices.length });
    const answer = await completePatiently(app, job, body);
    app.connection.reached();
    return readAnswer(answer, message, instead);
  } catch (error) {
    if (instead) tellOf(app, error);
    else fail(app, error, { conversation, message });
    return null;
  } finally {
    app.jobs.delete(conversation.id);
    app.change();
  }
}

async function completePatiently(app, job, body) {
  const { signal } = job.controller;
  for (let tries = 1; ; tries += 1) {
    try {
      return await complete(body, signal);
    } catch (error) {
      const loading = error.kind === "loading";
      if (!loading && !(error.kind === "busy" && tries < TRIES)) throw error;
      const seconds = error.retryAfter ?? (loading ? LOADING_WAIT : 2 ** tries);
      for (let left = Math.ceil(seconds); left > 0; left -= 1) {
        job.phase = loading
          ? "The model is still loading."
          : `The server is busy. Trying again in ${left} s.`;
        app.change();
        await pause(1000, signal);
      }
      job.phase = "";
      app.change();
    }
  }
}

function readAnswer(answer, message, instead) {
  const { refused, choices } = readGuard(answer);
  if (!refused) {
    message.state = "sent";
    return { choices };
  }
  if (!instead) Object.assign(message, { state: "withheld", problem: refused });
  return null;
}

const TITLES = {
  gone: "Not sent: the server can't be reached.",
  busy: "Not sent: the server is busy with others.",
  slow: "No reply: it took too long.",
  key: "Not sent: the server wants an API key.",
  large: "Not sent: too large.",
  wrong: "Not sent: the server can't take this.",
  broken: "No reply: something went wrong on the server.",
};
const ADVICE = {
  gone: "Your message is kept here. Check that the server runs and that this device is connected.",
  busy: "Your message is kept here. Try again in a while.",
  slow: "Your message is kept here. The server may be under load; try again.",
  key: "Enter it in the settings, then try again.",
};

function fail(app, error, { conversation, message }) {
  if (error.name === "AbortError") {
    message.state = "stopped";
    return;
  }
  if (!(error instanceof ServerError)) console.error(error);
  const kind = error.kind ?? "broken";
  const mend = kind === "key" ? "key" : fieldOf(error.param, conversation);
  const judged = error.code === "content_filter" && mend;
  message.state = "failed";
  message.problem = {
    title: judged ? `Not sent: the guard does not accept the ${mend}.` : (TITLES[kind] ?? TITLES.broken),
    text: judged ? error.message.replace(/^may not be said: /, "It says: ") : (ADVICE[kind] ?? error.message),
    mend,
  };
  app.connection.met(kind);
}

/** Which setting of the conversation a field of the request is of. */
function fieldOf(param, { persona }) {
  if (param === "style") return "style";
  return persona.length && /^messages\.0\b/.test(param ?? "") ? "persona" : null;
}

function tellOf(app, error) {
  if (error.name === "AbortError") return;
  app.connection.met(error.kind);
  app.tell(`No other reply: ${error.message}`, "failure");
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      reject(new DOMException("Stopped", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", end);
      resolve();
    }, milliseconds);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
