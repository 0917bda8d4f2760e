// Songs: what is there, what is on its way, and the door for more.

import { ask, get, post, query, remove } from "./api.js";
import { bytes, clock, confirmed, cover, dialog, el, icon, iconButton, length, refresh, ring, say, toast } from "./dom.js";
import { dropSong, jobOf, putSong, readOnly, readSongs, server, songs, watch } from "./live.js";
import { keyName } from "./music.js";
import { qrCode } from "./qr.js";
import { addFiles, cancel, retry, uploads, watchUploads } from "./uploads.js";

const STAGES = { split: "Splitting", align: "Timing the words", analyse: "Listening", make: "Making" };

export function songsView(root, signal) {
  const view = { signal, text: "", next: null, cards: new Map() };
  view.list = el("ul", { className: "cards" });
  view.sending = el("ul", { className: "sending", "aria-label": "Uploads" });
  view.empty = el("div", { className: "empty", hidden: true });
  view.more = el("button", { type: "button", className: "plain wide", hidden: true, onclick: () => fill(view, false) }, "More songs");
  const top = readOnly() ? null : dropArea();
  root.append(el("div", { className: "page" }, top, tools(view), view.sending, view.list, view.empty, view.more));
  watch(["song"], (song) => showSong(view, song), signal);
  watch(["job"], (job) => { const song = songs.get(job.song); if (song) showSong(view, song); }, signal);
  watch(["jobs"], () => { for (const id of view.cards.keys()) if (songs.has(id)) showSong(view, songs.get(id)); }, signal);
  watch(["gone"], (id) => { view.cards.get(id)?.remove(); view.cards.delete(id); showEmpty(view); }, signal);
  watch(["reset"], () => fill(view, true), signal);
  watchUploads((upload) => showUploads(view, upload), signal);
  showUploads(view, null);
  fill(view, true);
}

function dropArea() {
  const input = el("input", { type: "file", accept: "audio/*,video/*", multiple: true, hidden: true, id: "choose" });
  input.addEventListener("change", () => { addFiles([...input.files]); input.value = ""; });
  const button = el("button", { type: "button", className: "main", onclick: () => input.click() }, icon("plus"), "Choose songs");
  const area = el("section", { className: "drop", "aria-label": "Add songs" }, input,
    el("div", { className: "drop-words" }, el("h1", {}, "Sing anything"), el("p", {}, el("span", { className: "with-mouse" }, "Drop songs or films here. "), "The voice is taken out on your own computer; nothing leaves it.")), button);
  for (const kind of ["dragenter", "dragover"]) area.addEventListener(kind, (event) => { event.preventDefault(); area.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) area.addEventListener(kind, (event) => { event.preventDefault(); area.classList.remove("over"); });
  area.addEventListener("drop", (event) => addFiles([...event.dataTransfer.files]));
  return area;
}

function tools(view) {
  let timer;
  const search = el("input", { type: "search", placeholder: "Search title or artist", "aria-label": "Search songs", autocomplete: "off" });
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => { view.text = search.value.trim(); fill(view, true); }, 200);
  });
  const library = el("button", { type: "button", className: "plain", hidden: readOnly() || !server.status?.library, onclick: () => libraryDialog() }, "From the library");
  const addresses = server.status?.addresses || [];
  const phone = el("button", { type: "button", className: "plain", hidden: !addresses.length, onclick: () => phoneDialog(addresses) }, icon("phone"), "Phones");
  view.search = el("label", { className: "search" }, icon("search"), search);
  return el("div", { className: "tools" }, view.search, library, phone);
}

function phoneDialog(addresses) {
  dialog("Sing on a phone", el("p", {}, "Point the camera of a phone in the same network at this, or open the address there. Everyone who has it can use this page."),
    qrCode(addresses[0]), ...addresses.map((address) => el("p", { className: "address" }, address)));
}

async function fill(view, anew) {
  const turn = (view.turn = (view.turn || 0) + 1);
  try {
    const answer = await readSongs(view.text, anew ? null : view.next);
    if (turn !== view.turn || view.signal.aborted) return;
    if (anew) { view.list.replaceChildren(); view.cards.clear(); }
    view.next = answer.next;
    view.more.hidden = !answer.next;
    for (const song of answer.songs) place(view, song, false);
    view.list.setAttribute("aria-busy", "false");
    showEmpty(view);
    if (view.text) say(`${view.cards.size} songs found`);
  } catch (error) {
    toast(error);
  }
}

function showEmpty(view) {
  view.empty.hidden = view.cards.size > 0 || uploads.length > 0;
  view.search.hidden = !view.cards.size && !view.text;
  if (view.empty.hidden) return;
  const steps = [["Choose a song", "MP3, FLAC, M4A, a film: anything you own."], ["Wait a moment", "The voice and the band are taken apart. You may leave the page meanwhile."],
    ["Sing", "Turn the singer down, paste the words, change the key, take it with you."]];
  const guide = el("ol", { className: "steps" }, steps.map(([title, text], index) => el("li", {}, el("b", {}, String(index + 1)), el("div", {}, el("strong", {}, title), el("p", {}, text)))));
  if (view.text) view.empty.replaceChildren(el("p", {}, `Nothing here has “${view.text}” in its title or artist.`));
  else if (readOnly()) view.empty.replaceChildren(el("p", {}, "No songs are here yet. Songs are added on the computer that runs karaoke."));
  else view.empty.replaceChildren(guide);
}

function showSong(view, song) {
  const old = view.cards.get(song.id);
  if (old) {
    const made = refresh(old, card(song));
    const focused = old.contains(document.activeElement) && document.activeElement.className.split(" ")[0];
    if (made !== old) old.replaceWith(made);
    if (made !== old && focused) made.querySelector(`.${focused}`)?.focus();
    view.cards.set(song.id, made);
  } else if (!view.text) place(view, song, true);
  showEmpty(view);
}

function place(view, song, first) {
  const made = card(song);
  view.cards.set(song.id, made);
  if (first) view.list.prepend(made);
  else view.list.append(made);
}

function chips(song) {
  const found = [];
  if (song.lyrics && song.lyrics.state !== "failed") found.push([song.lyrics.state === "waiting" ? "words soon" : song.lyrics.timing === "none" ? "words untimed" : "words", "yes"]);
  if (song.key) found.push([keyName(song.key), ""]);
  if (song.bpm) found.push([`${Math.round(song.bpm)} bpm`, ""]);
  if (song.stems.length) found.unshift(["split", "yes"]);
  return el("ul", { className: "chips", "aria-label": "Known about it" }, found.map(([text, kind]) => el("li", { className: `chip ${kind}` }, text)));
}

function card(song) {
  const job = jobOf(song);
  const ready = song.stems.length > 0;
  const picture = el("div", { className: "picture" }, cover(song), ready && !job && el("span", { className: "go" }, icon("play")));
  if (job || song.state === "waiting" || song.state === "working") picture.append(el("span", { className: "working", "data-live": "" }, ring(job?.state === "running" ? job.progress : null)));
  const words = el("div", { className: "card-words" }, el("strong", { className: "title" }, song.title || song.name),
    el("span", { className: "artist" }, [song.artist, length(song.seconds)].filter(Boolean).join(" · ")), song.error ? failed(song, ready) : job ? stage(job) : chips(song));
  const inner = ready ? el("a", { className: "open", href: `#/sing/${encodeURIComponent(song.id)}` }, picture, words) : el("div", { className: "open" }, picture, words);
  const bin = readOnly() ? null : iconButton("bin", `Delete ${song.title || song.name}`, () => deleteSong(song), { className: "bin round" });
  return el("li", { className: song.error ? "card failed" : "card", "data-song": song.id, "data-sign": JSON.stringify([song, job?.state, job?.command]) }, inner, bin);
}

function failed(song, ready) {
  const button = !ready && !readOnly() && el("button", { type: "button", className: "again plain small", onclick: () => again(song) }, "Try again");
  return el("div", { className: "problem" }, el("b", {}, song.error.message), song.error.hint && el("span", {}, song.error.hint), button);
}

function stage(job) {
  const left = job.left_seconds ? `, ${clock(job.left_seconds)} left` : "";
  const text = job.state === "queued" ? `Waiting, number ${job.place ?? "…"} in the queue` : `${STAGES[job.command] || job.command}${left}`;
  return el("span", { className: "doing", "data-live": "" }, text);
}

async function again(song) {
  await post(`/songs/${song.id}/jobs`, { command: "split", options: {} }).catch(toast);
}

async function deleteSong(song) {
  const sure = await confirmed(`Delete “${song.title || song.name}”?`, "Its stems, words and everything made from it are deleted too. The file that you chose stays where it is.", "Delete");
  if (!sure) return;
  try {
    await remove(`/songs/${song.id}`);
    dropSong(song.id);
    say("Deleted");
  } catch (error) { toast(error); }
}

function showUploads(view, upload) {
  // Bytes tick often: only a row's own text and bar are touched then.
  const known = upload && view.sending.querySelector(`[data-upload="${CSS.escape(keyOf(upload))}"]`);
  if (known && known.dataset.state === upload.state) return showSent(known, upload);
  view.sending.replaceChildren(...uploads.map(uploadRow));
  showEmpty(view);
}

const keyOf = (upload) => `${upload.name}-${upload.size}-${upload.lastModified}`;

function showSent(row, upload) {
  row.querySelector("progress").value = upload.size ? upload.sent / upload.size : 0;
  row.querySelector(".sent").textContent = `${bytes(upload.sent)} of ${bytes(upload.size)}`;
}

function uploadRow(upload) {
  const text = { waiting: "Waits for the others", sending: "", retrying: `${upload.error?.message || ""} Trying again …`, paused: "Choose the same file again to go on" }[upload.state] ?? "";
  const button = (name, onclick) => el("button", { type: "button", className: "plain small", onclick }, name);
  const action = upload.state === "paused" ? button("Choose the file", () => document.getElementById("choose").click()) : upload.state === "failed" && upload.error.status !== 415 && upload.size > 0 && button("Try again", () => retry(upload));
  const row = el("li", { className: `upload ${upload.state}`, "data-upload": keyOf(upload), "data-state": upload.state },
    el("div", { className: "upload-words" }, el("strong", {}, upload.name), el("progress", { max: 1, "aria-label": `Upload of ${upload.name}` }),
      el("span", {}, el("span", { className: "sent" }), text && ` · ${text}`),
      upload.state === "failed" && el("span", { className: "problem", role: "alert" }, el("b", {}, upload.error.message), upload.error.hint && el("span", {}, upload.error.hint)), action),
    iconButton("close", `Cancel the upload of ${upload.name}`, () => cancel(upload)));
  showSent(row, upload);
  return row;
}

async function libraryDialog() {
  const list = el("ul", { className: "entries" });
  const search = el("input", { type: "search", placeholder: "Search the library", "aria-label": "Search the library" });
  const more = el("button", { type: "button", className: "plain wide", hidden: true }, "More");
  let after = null;
  const load = async (anew) => {
    const answer = await get(`/library${query({ query: search.value.trim(), after: anew ? null : after })}`);
    if (anew) list.replaceChildren();
    list.append(...answer.entries.map(entryRow));
    if (!list.children.length) list.append(el("li", {}, "Nothing found."));
    after = answer.next;
    more.hidden = !after;
  };
  search.addEventListener("input", () => load(true).catch(toast));
  more.addEventListener("click", () => load(false).catch(toast));
  dialog("From the library", el("label", { className: "search" }, icon("search"), search), list, more);
  await load(true).catch(toast);
}

function entryRow(entry) {
  const button = el("button", { type: "button", className: "plain", disabled: Boolean(entry.song) }, entry.song ? "Added" : "Add");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      putSong(await ask("POST", "/songs", { library_id: entry.id }));
      button.textContent = "Added";
    } catch (error) { button.disabled = false; toast(error); }
  });
  return el("li", {}, el("div", {}, el("strong", {}, entry.name), el("span", {}, entry.folder)), button);
}
