/* A model card's Markdown as parts of a page: headings, paragraphs, lists, tables, code. */

import { el } from "./dom.js";

/** Read Markdown into elements. Whatever is none of the five stays text as it is. */
export function readCard(text) {
  const lines = text.replace(/^---\n[\s\S]*?\n---\n/, "").split(/\r?\n/);
  const blocks = [];
  while (lines.length) {
    if (!lines[0].trim()) lines.shift();
    else blocks.push(readBlock(lines));
  }
  return blocks;
}

function readBlock(lines) {
  const first = lines[0];
  if (first.startsWith("```")) {
    lines.shift();
    const code = takeWhile(lines, (line) => !line.startsWith("```"));
    lines.shift();
    return el("pre", {}, el("code", { text: code.join("\n") }));
  }
  const heading = /^#{1,6}\s+(.*)/.exec(first);
  if (heading) {
    lines.shift();
    return el("h3", {}, inline(heading[1]));
  }
  if (first.startsWith("|")) return readTable(takeWhile(lines, (line) => line.startsWith("|")));
  if (/^[-*] /.test(first)) {
    const items = takeWhile(lines, (line) => line.trim()).join("\n").split(/^[-*] /m).slice(1);
    return el("ul", {}, items.map((item) => el("li", {}, inline(item.replace(/\s+/g, " ").trim()))));
  }
  const words = [lines.shift(), ...takeWhile(lines, (line) => line.trim() && !/^(#|```|\|)/.test(line))];
  return el("p", {}, inline(words.join(" ")));
}

function readTable(lines) {
  const rows = lines.map((line) => line.replace(/^\||\|\s*$/g, "").split("|").map((cell) => cell.trim()));
  const ruled = rows[1]?.every((cell) => /^:?-+:?$/.test(cell));
  const body = ruled ? rows.slice(2) : rows;
  const head = ruled && rows[0].some(Boolean) ? [el("tr", {}, rows[0].map((cell) => el("th", { scope: "col" }, inline(cell))))] : [];
  return el("table", {}, head, body.map((row) => el("tr", {}, row.map((cell) => el("td", {}, inline(cell))))));
}

/** Code and bold; a link is its words alone. */
function inline(text) {
  const plain = text.replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1");
  return plain.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((piece) => {
    if (piece.startsWith("`") && piece.length > 2) return el("code", { text: piece.slice(1, -1) });
    if (piece.startsWith("**") && piece.length > 4) return el("strong", { text: piece.slice(2, -2) });
    return piece;
  });
}

function takeWhile(lines, wanted) {
  const taken = [];
  while (lines.length && wanted(lines[0])) taken.push(lines.shift());
  return taken;
}
