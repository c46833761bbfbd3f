/* Whether the server is there, and what it says of itself. */

import { isHealthy, readProps } from "./server.js";

const AGAIN = 3000;
const SIDE = 1024; // pixels: more than any picture encoder looks at
const BYTES = 4 * 2 ** 20;

export class Connection {
  state = "unknown"; // "ready", "loading", "gone", "key"
  props = {};
  limits = readLimits({});
  back = false; // whether it was gone and is there again

  constructor(changed) {
    this.changed = changed;
    this.timer = null;
    addEventListener("online", () => this.start());
    addEventListener("offline", () => this.met("gone"));
    document.addEventListener("visibilitychange", () => document.hidden || this.start());
  }

  /** Ask the server for its properties, again and again until it answers. */
  async start() {
    clearTimeout(this.timer);
    this.timer = null;
    try {
      if (!(await isHealthy())) return this.wait("loading");
      this.props = await readProps();
      this.limits = readLimits(this.props);
      this.become("ready");
    } catch (error) {
      if (error.kind === "gone" || error.kind === "loading") this.wait(error.kind);
      else this.become(error.kind === "key" ? "key" : "ready");
    }
  }

  reached() {
    if (this.state !== "ready") this.start();
  }

  /** A request failed: look whether the server is still there. */
  met(kind) {
    if (kind === "gone" || kind === "loading") this.wait(kind);
    else if (kind === "key") this.become("key");
  }

  wait(state) {
    this.become(state);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.start(), AGAIN);
  }

  become(state) {
    this.back = state === "ready" && (this.state === "gone" || (this.back && this.state === "ready"));
    if (state !== this.state || state === "ready") {
      this.state = state;
      this.changed();
    }
  }

  /** Whether the model sees pictures; true until the server says that it does not. */
  get sees() {
    return this.props.modalities?.vision ?? true;
  }
}

/** What the server takes, and no more than makes sense: of pictures, texts, turns and replies. */
function readLimits({ limits = {} }) {
  const number = (name, otherwise) => (Number.isFinite(limits[name]) ? limits[name] : otherwise);
  return {
    side: Math.min(SIDE, Math.floor(Math.sqrt(number("max_image_pixels", SIDE ** 2)))),
    bytes: Math.min(BYTES, number("max_image_bytes", BYTES), number("max_bytes", 2 * BYTES) / 2),
    characters: number("max_characters", 8000),
    turns: number("max_turns", 256) - 1, // the persona is a message too
    persona: number("max_persona", 64),
    replies: number("max_replies", 1),
  };
}
