/* What the model is and is not: in our words, and in those of its card. */

import { readCard } from "./card.js";
import { openDialog } from "./dialogs.js";
import { el } from "./dom.js";

const IS = [
  "A small Multi-Modal BlenderBot: it reads what was said and one picture, and writes the next line of the talk.",
  "A program for trying out, for research and for teaching. It runs on the server that this page came from; nothing is sent elsewhere.",
];
const IS_NOT = [
  "No person, and no source of facts: it makes things up, also about itself and about what is in a picture.",
  "No adviser. Do not rely on it for health, law, money, or anything that matters.",
  "It does not remember you. It reads the last few turns of this conversation, and no other.",
];
const GUARD = [
  "A guard reads each message before the bot does, and each reply before you do. What it withholds, it says, and why. It misses much, and now and then it withholds what is harmless.",
];
const NO_GUARD = ["This server runs without the guard that judges messages and replies."];
const PRIVACY = [
  "Conversations and pictures are kept in this browser alone, until you delete them. A request carries the conversation to the server, which keeps none of it.",
  "A picture is made smaller and drawn anew here first, so where and when it was taken is not sent.",
];

export function openAbout(app) {
  const { props } = app.connection;
  const card = props.model_card ?? "";
  const model = props.model_name ?? props.model ?? "";
  const parts = [
    ...section("What it is", IS),
    ...section("What it is not", IS_NOT),
    ...section("The guard", props.guard === false ? NO_GUARD : GUARD),
    ...section("Your words and pictures", PRIVACY),
  ];
  if (card) {
    const title = model ? `The card of the model, ${model}` : "The card of the model";
    parts.push(el("details", {}, el("summary", { text: title }), el("div", { class: "prose" }, readCard(card))));
  }
  openDialog("What this is, and is not", el("div", { class: "dialog-body prose" }, parts), { kind: "wider" });
}

function section(title, lines) {
  return [el("h3", { text: title }), ...lines.map((text) => el("p", { text }))];
}
