/* Photographs made small enough to send. They are drawn anew: where one was taken stays out. */

import { newId } from "./conversation.js";
import { megabytes } from "./dom.js";

const THUMB = 64;
const MAX_FILE = 200 * 2 ** 20;
const QUALITIES = [0.9, 0.8, 0.65, 0.5];

/** Something about a picture that a person can mend. */
export class PictureError extends Error {}

/**
 * Read a picture from a file, upright, at most `side` pixels wide and high and `bytes` long.
 * Returns {picture: {id, width, height, name}, url, thumb}.
 */
export async function readPicture(file, { side, bytes }) {
  const name = file.name || "picture";
  if (file.size > MAX_FILE)
    throw new PictureError(`${name} is too large: ${megabytes(file.size)} of at most ${megabytes(MAX_FILE)}.`);
  const bitmap = await decode(file, name);
  try {
    const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
    const width = Math.max(1, Math.round(bitmap.width * scale));
    const height = Math.max(1, Math.round(bitmap.height * scale));
    const url = encode(draw(bitmap, width, height), bytes, name);
    return { picture: { id: newId(), width, height, name }, url, thumb: square(bitmap) };
  } finally {
    bitmap.close();
  }
}

/** The first picture among what was dropped or pasted, or null. */
export function pictureIn(transfer) {
  return [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/")) ?? null;
}

async function decode(file, name) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new PictureError(
      `${name} can't be read as a picture by this browser. Use a JPEG, PNG, WebP or GIF file.`,
    );
  }
}

function draw(bitmap, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff"; // behind what is transparent
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return canvas;
}

function encode(canvas, bytes, name) {
  for (const quality of QUALITIES) {
    const url = canvas.toDataURL("image/jpeg", quality);
    if (url.length * 0.75 <= bytes) return url;
  }
  throw new PictureError(`${name} can't be made smaller than ${megabytes(bytes)}, the server's limit.`);
}

function square(bitmap) {
  const side = Math.min(bitmap.width, bitmap.height);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = THUMB;
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, THUMB, THUMB);
  context.imageSmoothingQuality = "high";
  const left = (bitmap.width - side) / 2;
  const top = (bitmap.height - side) / 2;
  context.drawImage(bitmap, left, top, side, side, 0, 0, THUMB, THUMB);
  return canvas.toDataURL("image/jpeg", 0.8);
}
