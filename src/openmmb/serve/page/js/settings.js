/* Settings: appearance, the key, how replies are made, and conversations to files and back. */

import { confirm, openDialog } from "./dialogs.js";
import { announce, byId, button, count, el, megabytes } from "./dom.js";
import { onFile, saveFile } from "./files.js";
import { keep, recall } from "./keep.js";
import { keepKey, keyLasts, readKey } from "./server.js";
import { ImportError, MAX_FILE } from "./transfer.js";

const THEME = "openmmb-theme";
const GENDERS = [
  [null, "As the model does"],
  ["f0m0", "None, as far as it can"],
  ["f1m0", "Female"],
  ["f0m1", "Male"],
  ["f1m1", "Both"],
  ["none", "No control"],
];

export function openSettings(app, { atKey = false } = {}) {
  const body = el(
    "div",
    { class: "dialog-body" },
    appearance(),
    keyField(app, atKey),
    genderField(app),
    seedField(app),
    conversations(app, () => close()),
  );
  const { close } = openDialog("Settings", body, { foot: [button("Done", () => close(), { kind: "primary" })] });
}

function appearance() {
  const now = recall(THEME, { lasting: true }) ?? "system";
  const choice = (value, words) =>
    el(
      "label",
      { class: "choice" },
      el("input", { type: "radio", name: "theme", value, checked: now === value, on: { change: () => keepTheme(value) } }),
      el("span", { text: words }),
    );
  return el(
    "div",
    { class: "field", role: "radiogroup", "aria-labelledby": "theme-label" },
    el("p", { class: "label", id: "theme-label", text: "Appearance" }),
    el("div", { class: "choices" }, choice("system", "As the system"), choice("light", "Light"), choice("dark", "Dark")),
  );
}

function keepTheme(value) {
  if (keep(THEME, value === "system" ? null : value, { lasting: true })) dispatchEvent(new Event(THEME));
  else document.documentElement.dataset.theme = value; // for as long as the page is open
}

function keyField(app, atKey) {
  const input = el("input", { class: "input secret", id: "key", value: readKey(), autocomplete: "off", spellcheck: "false", "aria-describedby": "key-help", ...(atKey && { "data-focus": "" }) });
  const lasting = el("input", { type: "checkbox", id: "key-lasting", checked: keyLasts() });
  const keep = () => {
    keepKey(input.value.trim(), { lasting: lasting.checked });
    app.connection.start();
  };
  input.addEventListener("change", keep);
  lasting.addEventListener("change", keep);
  const help = app.connection.state === "key" ? "The server wants one." : "Only where the server wants one.";
  return el(
    "div",
    { class: "field" },
    el("label", { for: "key", text: "API key" }),
    input,
    el("p", { class: "help", id: "key-help", text: help }),
    el("label", { class: "check" }, lasting, "Keep it in this browser after the tab is closed"),
  );
}

function genderField(app) {
  const select = el(
    "select",
    { class: "input", id: "gender", "aria-describedby": "gender-help" },
    GENDERS.map(([value, words]) => el("option", { value: value ?? "", text: words })),
  );
  select.value = app.current.gender ?? "";
  select.addEventListener("change", () => app.set({ gender: select.value || null }));
  return el(
    "div",
    { class: "field" },
    el("label", { for: "gender", text: "Gendered words in replies" }),
    select,
    el("p", { class: "help", id: "gender-help", text: "Learnt by the model, so no promise. For this conversation." }),
  );
}

function seedField(app) {
  const input = el("input", { class: "input", id: "seed", inputmode: "numeric", value: app.current.seed ?? "", "aria-describedby": "seed-help seed-error", placeholder: "0" });
  const error = el("p", { class: "error", id: "seed-error", role: "alert" });
  input.addEventListener("input", () => {
    const text = input.value.trim();
    const fits = /^\d{1,15}$/.test(text);
    error.textContent = !text || fits ? "" : "Use a whole number of at most 15 digits.";
    if (!text || fits) app.set({ seed: text ? Number(text) : null });
  });
  return el(
    "div",
    { class: "field" },
    el("label", { for: "seed", text: "Seed" }),
    input,
    el("p", { class: "help", id: "seed-help", text: "The same words and seed give the same reply. For this conversation." }),
    error,
  );
}

function conversations(app, close) {
  const kept = app.listed().length;
  const save = button("Export all", async () => saveFile("conversations", await app.export()));
  const remove = button("Delete all", async () => {
    if (!(await confirm("Delete all conversations?", `${count(kept, "conversation")} in this browser can't be brought back.`, "Delete all"))) return;
    close();
    await app.removeAll();
  }, { kind: "danger" });
  save.disabled = remove.disabled = !kept;
  const open = button("Import", () => byId("file-import").click());
  return el(
    "div",
    { class: "field", role: "group", "aria-labelledby": "conversations-label" },
    el("p", { class: "label", id: "conversations-label", text: "Conversations" }),
    el("div", { class: "buttons" }, save, open, remove),
    el("p", { class: "help", text: `${count(kept, "conversation")} in this browser. A file has the pictures in it too.` }),
    el("p", { class: "error", id: "import-error", role: "alert" }),
  );
}

/** Import what a person chooses; what is wrong with it is said where they asked for it. */
export function listenToImports(app) {
  onFile(byId("file-import"), async (file) => {
    try {
      if (file.size > MAX_FILE) throw new ImportError(`The file has ${megabytes(file.size)}; at most ${megabytes(MAX_FILE)} are read.`);
      const number = await app.import(await file.text());
      document.querySelector("dialog[open]")?.close();
      app.tell(`${count(number, "conversation")} imported.`);
      announce(`${count(number, "conversation")} imported.`);
    } catch (error) {
      if (!(error instanceof ImportError)) throw error;
      const words = `Nothing was imported from ${file.name}. ${error.message}`;
      const line = byId("import-error");
      if (line) line.textContent = words;
      else app.tell(words, "failure");
    }
  });
}
