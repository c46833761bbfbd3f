/* Conversations in this browser and nowhere else: IndexedDB, or the page's memory where there is none. */

import { pictureIds } from "./conversation.js";

const NAME = "openmmb";
const VERSION = 1;

export async function openStore() {
  try {
    const store = new BrowserStore(await openDatabase());
    await store.all();
    return store;
  } catch {
    return new MemoryStore();
  }
}

class BrowserStore {
  kept = true;

  constructor(database) {
    this.database = database;
  }

  all() {
    return this.run("readonly", ({ conversations }) => asPromise(conversations.getAll()));
  }

  get(id) {
    return this.run("readonly", ({ conversations }) => asPromise(conversations.get(id)));
  }

  /** The data URIs of a conversation's pictures, by id. */
  async pictures(id) {
    const rows = await this.run("readonly", ({ pictures }) =>
      asPromise(pictures.index("conversation").getAll(id)),
    );
    return new Map(rows.map((row) => [row.id, row.url]));
  }

  /** Keep a conversation and pictures that are new in it; those that it needs no more go. */
  save(conversation, added = new Map()) {
    return this.run("readwrite", async ({ conversations, pictures }) => {
      conversations.put(conversation);
      for (const [id, url] of added) pictures.put({ id, url, conversation: conversation.id });
      const needed = new Set(pictureIds(conversation));
      const index = pictures.index("conversation");
      for (const id of await asPromise(index.getAllKeys(conversation.id)))
        if (!needed.has(id)) pictures.delete(id);
    });
  }

  remove(id) {
    return this.run("readwrite", async ({ conversations, pictures }) => {
      conversations.delete(id);
      const keys = await asPromise(pictures.index("conversation").getAllKeys(id));
      for (const key of keys) pictures.delete(key);
    });
  }

  run(mode, work) {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(["conversations", "pictures"], mode);
      const conversations = transaction.objectStore("conversations");
      const pictures = transaction.objectStore("pictures");
      let result;
      transaction.oncomplete = () => resolve(result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
      Promise.resolve(work({ conversations, pictures })).then((value) => (result = value), reject);
    });
  }
}

class MemoryStore {
  kept = false;
  conversations = new Map();
  images = new Map();

  async all() {
    return [...this.conversations.values()].map((conversation) => structuredClone(conversation));
  }

  async get(id) {
    return structuredClone(this.conversations.get(id));
  }

  async pictures(id) {
    return new Map(this.images.get(id));
  }

  async save(conversation, added = new Map()) {
    this.conversations.set(conversation.id, structuredClone(conversation));
    this.images.set(conversation.id, new Map([...(this.images.get(conversation.id) ?? []), ...added]));
  }

  async remove(id) {
    this.conversations.delete(id);
    this.images.delete(id);
  }
}

function openDatabase() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("conversations", { keyPath: "id" });
      const pictures = request.result.createObjectStore("pictures", { keyPath: "id" });
      pictures.createIndex("conversation", "conversation");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => reject(request.error);
  });
}

function asPromise(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
