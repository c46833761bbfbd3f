/* Take a photo: through the browser where it may, else through the device's own camera. */

import { openDialog } from "./dialogs.js";
import { byId, button, el } from "./dom.js";

/** Open the camera; `taken` is called with the photo as a file. */
export async function openCamera(taken) {
  if (!navigator.mediaDevices?.getUserMedia) {
    byId("file-camera").click(); // a page that was not loaded over https
    return;
  }
  let stream = null;
  let facing = "environment";
  let open = true;
  const video = el("video", { playsinline: "", muted: "", "aria-label": "What the camera sees" });
  const words = el("p", { role: "status", text: "Waiting for the camera" });
  const finder = el("div", { class: "viewfinder" }, words);
  const shoot = button("Take the photo", take, { kind: "primary", symbol: "camera" });
  const turn = button("Other camera", () => {
    facing = facing === "environment" ? "user" : "environment";
    start();
  });
  shoot.disabled = true;
  turn.hidden = true;

  function end() {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
  }

  async function start() {
    end();
    shoot.disabled = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, width: { ideal: 1280 } } });
      if (!open) return end();
      video.srcObject = stream;
      await video.play();
      finder.replaceChildren(video);
      shoot.disabled = false;
      shoot.focus();
      const devices = await navigator.mediaDevices.enumerateDevices();
      turn.hidden = devices.filter(({ kind }) => kind === "videoinput").length < 2;
    } catch (error) {
      words.textContent = explain(error);
      finder.replaceChildren(words);
    }
    return null;
  }

  function take() {
    const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => {
      close();
      taken(new File([blob], "photo", { type: "image/png" }));
    }, "image/png");
  }

  const { close } = openDialog("Take a photo", el("div", { class: "dialog-body" }, finder), {
    foot: [turn, shoot],
    onclose: () => {
      open = false;
      end();
    },
  });
  await start();
}

function explain(error) {
  if (error.name === "NotAllowedError") return "The browser does not let this page use the camera. Allow it in the address bar, then try again.";
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") return "This device has no camera that the browser can use.";
  return "The camera can't be used. Another program may have it.";
}
