/* Short texts that the browser keeps by name: in this tab, or for good. One that keeps nothing is none. */

function storageOf(lasting) {
  return lasting ? localStorage : sessionStorage;
}

/** The text that is kept under a name, or null. */
export function recall(name, { lasting }) {
  try {
    return storageOf(lasting).getItem(name);
  } catch {
    return null;
  }
}

/** Keep a text under a name; null: keep it no longer. Says whether it could. */
export function keep(name, text, { lasting }) {
  try {
    if (text === null) storageOf(lasting).removeItem(name);
    else storageOf(lasting).setItem(name, text);
    return true;
  } catch {
    return false;
  }
}
