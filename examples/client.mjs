// Talking to a server from JavaScript, with OpenAI's own client:
//
//     openmmb serve                 in one terminal
//     npm install openai            in another, then
//     node client.mjs [photo.jpg]

import { readFile } from "node:fs/promises";
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: process.env.OPENMMB_URL ?? "http://127.0.0.1:8000/v1",
  apiKey: process.env.OPENMMB_KEY ?? "none",
});
const [model] = (await client.models.list()).data;
const messages = [];

/** Say something, show the reply as it comes, and keep both: the server keeps nothing. */
async function say(content) {
  messages.push({ role: "user", content });
  const stream = await client.chat.completions.create({ model: model.id, messages, stream: true });
  let reply = "";
  for await (const { choices } of stream) reply += choices[0]?.delta.content ?? "";
  messages.push({ role: "assistant", content: reply });
  console.log(reply);
}

const path = process.argv[2];
if (path) {
  const photo = (await readFile(path)).toString("base64");
  await say([
    { type: "image_url", image_url: { url: `data:image/jpeg;base64,${photo}` } },
    { type: "text", text: "What do you see?" },
  ]);
}
await say("Hello! How was your day?");
await say("Tell me more.");
