/* The page: its parts, and what connects them. */

import { openAbout } from "./about.js";
import { App } from "./app.js";
import { openCamera } from "./camera.js";
import { Composer } from "./composer.js";
import { lastPerson } from "./conversation.js";
import { openDialog, openDrawer } from "./dialogs.js";
import { byId, button, el, goOn } from "./dom.js";
import { listenToKeys, openKeys } from "./keys.js";
import { openPersona, openStyles } from "./manner.js";
import { Notice } from "./notice.js";
import { Panel } from "./panel.js";
import { listenToImports, openSettings } from "./settings.js";
import { Sidebar } from "./sidebar.js";
import { openStore } from "./store.js";
import { Thread } from "./thread.js";

const NARROW = matchMedia("(max-width: 839px)");
const OPENERS = ["Hi! How was your day?", "What do you like to cook?", "I just got a puppy.", "Tell me about a place you love."];
const PICTURE_OPENERS = ["What do you see?", "Would you like to be there?", "What happens next?"];

const app = new App(await openStore());
let closeDrawer = null;

const style = () => openStyles(app);
const persona = () => openPersona(app);
const openKey = () => openSettings(app, { atKey: true });
const camera = () => openCamera((file) => composer.take(file));
const choose = () => composer.choose();
const thread = new Thread(app, { view, mend: { key: openKey, style, persona } });
const composer = new Composer(app, { camera, editLast: () => thread.editLast() });
const sidebar = new Sidebar(app, { chosen: leaveDrawer });
const panel = new Panel(app, { view, choose, style, persona });
const notice = new Notice(app, { openKey });

function begin() {
  leaveDrawer();
  app.begin();
  goOn();
}

function leaveDrawer() {
  closeDrawer?.();
  closeDrawer = null;
  goOn();
}

function view({ picture, url }) {
  const image = el("img", { src: url, width: picture.width, height: picture.height, alt: picture.name });
  const seen = app.current.looking === picture.id;
  const act = (action) => () => {
    close();
    action();
  };
  const foot = seen
    ? [button("Put away", act(() => app.putAway())), button("Another", act(choose))]
    : [button("Put it in view again", act(() => app.lookAgain(picture.id)), { kind: "primary" })];
  const { close } = openDialog(picture.name, el("div", { class: "dialog-body" }, image), { kind: "viewer", foot });
}

function drawOpeners(openers) {
  const list = byId("openers");
  if (list.firstChild?.textContent === openers[0]) return;
  list.replaceChildren(...openers.map((words) => el("li", {}, button(words, () => composer.send(words)))));
}

function draw() {
  const { current } = app;
  byId("title").textContent = current.title;
  document.title = current.messages.length ? `${current.title} - OpenMMB` : "OpenMMB";
  byId("conversation-menu").hidden = !current.messages.length;
  const empty = !current.messages.length;
  byId("empty").hidden = !empty;
  byId("thread").hidden = empty;
  byId("empty-choose").hidden = byId("empty-camera").hidden = !app.connection.sees;
  drawOpeners(current.draft.picture ? PICTURE_OPENERS : OPENERS);
  composer.draw();
  thread.draw();
  sidebar.draw();
  panel.draw();
  notice.draw();
}

byId("new").addEventListener("click", begin);
byId("new-narrow").addEventListener("click", begin);
byId("empty-choose").addEventListener("click", choose);
byId("empty-camera").addEventListener("click", camera);
byId("open-settings").addEventListener("click", () => openSettings(app));
byId("open-keys").addEventListener("click", openKeys);
byId("open-about").addEventListener("click", () => openAbout(app));
byId("about-link").addEventListener("click", () => openAbout(app));
byId("conversation-menu").addEventListener("click", (event) => sidebar.menu(event.currentTarget, app.current));
byId("open-drawer").addEventListener("click", () => (closeDrawer = openDrawer(byId("sidebar"), "Conversations")));
byId("close-drawer").addEventListener("click", leaveDrawer);
NARROW.addEventListener("change", leaveDrawer);
listenToImports(app);
listenToKeys({
  begin,
  choose,
  style,
  persona,
  another: () => !app.job && app.current.messages.at(-1)?.role === "assistant" && lastPerson(app.current) && app.another(),
  stop: () => app.stop(),
  write: () => byId("message").focus(),
});
app.addEventListener("change", draw);
await app.start();
draw();
goOn();
document.documentElement.dataset.ready = "";
