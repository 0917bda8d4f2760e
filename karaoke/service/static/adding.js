// Doors for songs: the drop area, uploads on their way, the library, phones.

import { ask, get, query } from "./api.js";
import { bytes, dialog, el, icon, iconButton, toast } from "./dom.js";
import { putSong } from "./live.js";
import { qrCode } from "./qr.js";
import { addFiles, cancel, retry } from "./uploads.js";

export function dropArea() {
  const input = el("input", {
    type: "file",
    accept: "audio/*,video/*",
    multiple: true,
    hidden: true,
    id: "choose",
  });
  input.addEventListener("change", () => {
    addFiles([...input.files]);
    input.value = "";
  });
  const button = el(
    "button",
    { type: "button", className: "main", onclick: () => input.click() },
    icon("plus"),
    "Choose songs",
  );
  const area = el(
    "section",
    { className: "drop", "aria-label": "Add songs" },
    input,
    el(
      "div",
      { className: "drop-words" },
      el("h1", {}, "Sing anything"),
      el(
        "p",
        {},
        el("span", { className: "with-mouse" }, "Drop songs or films here. "),
        "The voice is taken out on your own computer; nothing leaves it.",
      ),
    ),
    button,
  );
  for (const kind of ["dragenter", "dragover"])
    area.addEventListener(kind, (event) => {
      event.preventDefault();
      area.classList.add("over");
    });
  for (const kind of ["dragleave", "drop"])
    area.addEventListener(kind, (event) => {
      event.preventDefault();
      area.classList.remove("over");
    });
  area.addEventListener("drop", (event) => addFiles([...event.dataTransfer.files]));
  return area;
}

export function phoneDialog(addresses) {
  dialog(
    "Sing on a phone",
    el(
      "p",
      {},
      "Point the camera of a phone in the same network at this, or open the address there. Everyone who has it can use this page.",
    ),
    qrCode(addresses[0]),
    ...addresses.map((address) => el("p", { className: "address" }, address)),
  );
}

export const keyOf = (upload) => `${upload.name}-${upload.size}-${upload.lastModified}`;

export function showSent(row, upload) {
  row.querySelector("progress").value = upload.size ? upload.sent / upload.size : 0;
  row.querySelector(".sent").textContent = `${bytes(upload.sent)} of ${bytes(upload.size)}`;
}

export function uploadRow(upload) {
  const text =
    {
      waiting: "Waits for the others",
      sending: "",
      retrying: `${upload.error?.message || ""} Trying again …`,
      paused: "Choose the same file again to go on",
    }[upload.state] ?? "";
  const button = (name, onclick) =>
    el("button", { type: "button", className: "plain small", onclick }, name);
  const action =
    upload.state === "paused"
      ? button("Choose the file", () => document.getElementById("choose").click())
      : upload.state === "failed" &&
        upload.error.status !== 415 &&
        upload.size > 0 &&
        button("Try again", () => retry(upload));
  const row = el(
    "li",
    {
      className: `upload ${upload.state}`,
      "data-upload": keyOf(upload),
      "data-state": upload.state,
    },
    el(
      "div",
      { className: "upload-words" },
      el("strong", {}, upload.name),
      el("progress", { max: 1, "aria-label": `Upload of ${upload.name}` }),
      el("span", {}, el("span", { className: "sent" }), text && ` · ${text}`),
      upload.state === "failed" &&
        el(
          "span",
          { className: "problem", role: "alert" },
          el("b", {}, upload.error.message),
          upload.error.hint && el("span", {}, upload.error.hint),
        ),
      action,
    ),
    iconButton("close", `Cancel the upload of ${upload.name}`, () => cancel(upload)),
  );
  showSent(row, upload);
  return row;
}

export async function libraryDialog() {
  const list = el("ul", { className: "entries" });
  const search = el("input", {
    type: "search",
    placeholder: "Search the library",
    "aria-label": "Search the library",
  });
  const more = el("button", { type: "button", className: "plain wide", hidden: true }, "More");
  let after = null;
  const load = async (anew) => {
    const answer = await get(
      `/library${query({ query: search.value.trim(), after: anew ? null : after })}`,
    );
    if (anew) list.replaceChildren();
    list.append(...answer.entries.map(entryRow));
    if (!list.children.length) list.append(el("li", {}, "Nothing found."));
    after = answer.next;
    more.hidden = !after;
  };
  search.addEventListener("input", () => load(true).catch(toast));
  more.addEventListener("click", () => load(false).catch(toast));
  dialog(
    "From the library",
    el("label", { className: "search" }, icon("search"), search),
    list,
    more,
  );
  await load(true).catch(toast);
}

function entryRow(entry) {
  const button = el(
    "button",
    { type: "button", className: "plain", disabled: Boolean(entry.song) },
    entry.song ? "Added" : "Add",
  );
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      putSong(await ask("POST", "/songs", { library_id: entry.id }));
      button.textContent = "Added";
    } catch (error) {
      button.disabled = false;
      toast(error);
    }
  });
  return el(
    "li",
    {},
    el("div", {}, el("strong", {}, entry.name), el("span", {}, entry.folder)),
    button,
  );
}
