// Songs: what is there and what is on its way.

import { dropArea, keyOf, libraryDialog, phoneDialog, showSent, uploadRow } from "./adding.js";
import { card } from "./cards.js";
import { el, icon, refresh, say, toast } from "./dom.js";
import { readOnly, readSongs, server, songs, watch } from "./live.js";
import { uploads, watchUploads } from "./uploads.js";

export function songsView(root, signal) {
  const view = { signal, text: "", next: null, cards: new Map() };
  view.list = el("ul", { className: "cards" });
  view.sending = el("ul", { className: "sending", "aria-label": "Uploads" });
  view.empty = el("div", { className: "empty", hidden: true });
  view.more = el(
    "button",
    { type: "button", className: "plain wide", hidden: true, onclick: () => fill(view, false) },
    "More songs",
  );
  const top = readOnly() ? null : dropArea();
  root.append(
    el(
      "div",
      { className: "page" },
      top,
      tools(view),
      view.sending,
      view.list,
      view.empty,
      view.more,
    ),
  );
  watch(["song"], (song) => showSong(view, song), signal);
  watch(
    ["job"],
    (job) => {
      const song = songs.get(job.song);
      if (song) showSong(view, song);
    },
    signal,
  );
  watch(
    ["jobs"],
    () => {
      for (const id of view.cards.keys()) if (songs.has(id)) showSong(view, songs.get(id));
    },
    signal,
  );
  watch(
    ["gone"],
    (id) => {
      view.cards.get(id)?.remove();
      view.cards.delete(id);
      showEmpty(view);
    },
    signal,
  );
  watch(["reset"], () => fill(view, true), signal);
  watchUploads((upload) => showUploads(view, upload), signal);
  showUploads(view, null);
  fill(view, true);
}

function tools(view) {
  let timer;
  const search = el("input", {
    type: "search",
    placeholder: "Search title or artist",
    "aria-label": "Search songs",
    autocomplete: "off",
  });
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      view.text = search.value.trim();
      fill(view, true);
    }, 200);
  });
  const library = el(
    "button",
    {
      type: "button",
      className: "plain",
      hidden: readOnly() || !server.status?.library,
      onclick: () => libraryDialog(),
    },
    "From the library",
  );
  const addresses = server.status?.addresses || [];
  const phone = el(
    "button",
    {
      type: "button",
      className: "plain",
      hidden: !addresses.length,
      onclick: () => phoneDialog(addresses),
    },
    icon("phone"),
    "Phones",
  );
  view.search = el("label", { className: "search" }, icon("search"), search);
  return el("div", { className: "tools" }, view.search, library, phone);
}

async function fill(view, anew) {
  const turn = (view.turn = (view.turn || 0) + 1);
  try {
    const answer = await readSongs(view.text, anew ? null : view.next);
    if (turn !== view.turn || view.signal.aborted) return;
    if (anew) {
      view.list.replaceChildren();
      view.cards.clear();
    }
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
  const steps = [
    ["Choose a song", "MP3, FLAC, M4A, a film: anything you own."],
    ["Wait a moment", "The voice and the band are taken apart. You may leave the page meanwhile."],
    ["Sing", "Turn the singer down, paste the words, change the key, take it with you."],
  ];
  const guide = el(
    "ol",
    { className: "steps" },
    steps.map(([title, text], index) =>
      el(
        "li",
        {},
        el("b", {}, String(index + 1)),
        el("div", {}, el("strong", {}, title), el("p", {}, text)),
      ),
    ),
  );
  if (view.text)
    view.empty.replaceChildren(
      el("p", {}, `Nothing here has “${view.text}” in its title or artist.`),
    );
  else if (readOnly())
    view.empty.replaceChildren(
      el("p", {}, "No songs are here yet. Songs are added on the computer that runs karaoke."),
    );
  else view.empty.replaceChildren(guide);
}

function showSong(view, song) {
  const old = view.cards.get(song.id);
  if (old) {
    const made = refresh(old, card(song));
    const focused =
      old.contains(document.activeElement) && document.activeElement.className.split(" ")[0];
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

function showUploads(view, upload) {
  // Bytes tick often: only a row's own text and bar are touched then.
  const known =
    upload && view.sending.querySelector(`[data-upload="${CSS.escape(keyOf(upload))}"]`);
  if (known && known.dataset.state === upload.state) return showSent(known, upload);
  view.sending.replaceChildren(...uploads.map(uploadRow));
  showEmpty(view);
}
