/* Files that a person saves and opens. */

/** Save JSON under a name made of `title`. */
export function saveFile(title, text) {
  const name = title.normalize("NFKD").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "");
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name.slice(0, 60) || "conversation"}.openmmb.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/** Have a person choose a file through the input `field`; `chosen` is called with it. */
export function onFile(field, chosen) {
  field.addEventListener("change", () => {
    const [file] = field.files;
    field.value = ""; // the same file may be chosen again
    if (file) chosen(file);
  });
}
