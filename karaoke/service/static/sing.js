// Sing: the words, the drawer, and the clock that binds them.

import { ApiError, get } from "./api.js";
import { clock, cover, el, hueOf, icon, length, ring, say, setVariables, toast } from "./dom.js";
import { Drawer } from "./drawer.js";
import { shortcuts } from "./keyboard.js";
import { linesOf } from "./lines.js";
import { jobOf, readOnly, readSong, watch } from "./live.js";
import { moreDialog } from "./more.js";
import { Player } from "./player.js";
import { Stage } from "./stage.js";
import { takeAway } from "./takeaway.js";

const LEVELS = { vocals: -12, instrumental: 0 };

export async function singView(root, signal, id, at) {
  const song = await readSong(id);
  const view = { song, signal, lines: [] };
  if (!song.stems.length) return unready(root, signal, song);
  const player = (view.player = new Player(song));
  window.karaoke.player = player;
  restoreLevels(player);
  view.stage = new Stage((line) => say(line.text));
  view.note = el("div", { className: "note-area" });
  view.drawer = new Drawer(player, {
    onloop: () => loopLine(view),
    ondownload: () => takeAway(view),
    onmore: () => moreDialog(view),
  });
  view.busy = el("p", { className: "busy", role: "status", hidden: true });
  view.loopLine = () => loopLine(view);
  const page = el(
    "div",
    { className: "sing" },
    header(song, view.busy),
    el("div", { className: "words-area" }, view.stage.root, view.note),
    view.drawer.root,
  );
  setVariables(page, { hue: hueOf(song.title || song.name) });
  root.append(page);
  listen(view);
  shortcuts(view);
  signal.addEventListener("abort", () => {
    view.drawer.close();
    view.stage.close();
    player.close();
    wake(false);
  });
  await Promise.all([
    player.load(),
    readWords(view),
    get(`/songs/${id}/peaks`)
      .then((peaks) => view.drawer.setPeaks(peaks))
      .catch(() => {}),
  ]);
  if (at) player.seek(Number(at));
  run(view);
}

function header(song, busy) {
  const bpm = song.bpm && `${Math.round(song.bpm)} bpm`;
  const facts = [song.key?.name, bpm].filter(Boolean);
  return el(
    "header",
    { className: "sing-head" },
    el(
      "a",
      {
        className: "round",
        href: "#/",
        "aria-label": "Back to the songs",
        title: "Back to the songs",
      },
      icon("back"),
    ),
    el(
      "div",
      { className: "sing-title" },
      el("h1", {}, song.title || song.name),
      el(
        "p",
        {},
        [song.artist, length(song.seconds)].filter(Boolean).join(" · "),
        bpm && el("span", { className: "on-phone" }, ` · ${bpm}`),
      ),
    ),
    busy,
    facts.length > 0 &&
      el("p", { className: "pill" }, el("b", {}, facts[0]), facts[1] && ` · ${facts[1]}`),
    readOnly()
      ? null
      : el(
          "a",
          {
            className: "round",
            href: `#/sing/${encodeURIComponent(song.id)}/words`,
            "aria-label": "Words",
            title: "Words: paste, correct, time",
          },
          icon("words"),
        ),
  );
}

// Not split yet: say how far it is, and begin by itself once it is.
function unready(root, signal, song) {
  const box = el("div", { className: "page narrow wait" });
  root.append(box);
  const show = () => {
    const job = jobOf(song);
    const text = song.error
      ? song.error.message
      : job?.state === "queued"
        ? `Waiting in the queue, number ${job.place ?? "…"}.`
        : "The voice and the band are being taken apart.";
    const left = job?.left_seconds ? `About ${clock(job.left_seconds)} left.` : song.error?.hint;
    box.replaceChildren(
      el(
        "div",
        { className: "picture large" },
        cover(song),
        !song.error &&
          el(
            "span",
            { className: "working" },
            ring(job?.state === "running" ? job.progress : null),
          ),
      ),
      el("h1", {}, song.title || song.name),
      el("p", {}, text),
      left ? el("p", {}, left) : "",
      el("a", { className: "plain", href: "#/" }, "Back to the songs"),
    );
  };
  watch(["job", "jobs"], show, signal);
  watch(
    ["song"],
    (other) => {
      if (other.id !== song.id) return;
      song = other;
      if (song.stems.length) dispatchEvent(new Event("hashchange"));
      else show();
    },
    signal,
  );
  show();
}

function restoreLevels(player) {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(`karaoke.levels.${player.song.id}`)) || {};
  } catch {
    /* not ours */
  }
  for (const stem of Object.keys(LEVELS)) player.levels[stem].db = kept[stem] ?? LEVELS[stem];
}

function listen(view) {
  const { player, stage, signal, song } = view;
  player.addEventListener("notice", (event) => toast(event.detail));
  player.addEventListener("levels", () => {
    const kept = Object.fromEntries(
      Object.entries(player.levels).map(([stem, { db }]) => [stem, db]),
    );
    localStorage.setItem(`karaoke.levels.${song.id}`, JSON.stringify(kept));
  });
  player.addEventListener("key", () => {
    const changing = player.wantedKey !== player.key;
    view.busy.hidden = !changing;
    view.busy.textContent = changing ? "Changing key…" : "";
    if (!changing && stage.key !== player.key) stage.setKey(player.key);
  });
  for (const name of ["play", "pause", "ended"])
    player.addEventListener(name, () => {
      wake(player.playing);
      document.body.classList.toggle("playing", player.playing);
    });
  document.addEventListener("visibilitychange", () => wake(player.playing), { signal });
  watch(
    ["song"],
    (other) => {
      if (other.id !== song.id) return;
      const changed =
        JSON.stringify(other.lyrics) !== JSON.stringify(view.song.lyrics) ||
        JSON.stringify(other.key) !== JSON.stringify(view.song.key);
      view.song = player.song = other;
      if (changed) readWords(view).catch(toast);
      view.drawer.show();
    },
    signal,
  );
  watch(
    ["live"],
    (live) => {
      if (live) player.recover();
    },
    signal,
  );
  watch(
    ["job", "jobs"],
    () => {
      if (!view.lines.length) noWords(view);
    },
    signal,
  );
  mediaKeys(player, song);
}

async function readWords(view) {
  const path = `/songs/${encodeURIComponent(view.song.id)}`;
  const optional = (error) => {
    if (error instanceof ApiError && [404, 409].includes(error.status)) return null;
    throw error;
  };
  const lyrics = view.song.lyrics ? await get(`${path}/lyrics`).catch(optional) : null;
  const analysis =
    view.song.key || view.song.bpm ? await get(`${path}/analysis`).catch(optional) : null;
  view.lyrics = lyrics;
  view.lines = lyrics ? linesOf(lyrics, analysis?.chords || []) : [];
  view.hasChords = Boolean(analysis?.chords?.length);
  view.stage.setLines(view.lines, lyrics?.language, view.song);
  view.stage.show(view.player.heard);
  noWords(view);
}

function noWords(view) {
  const { lyrics, lines, song } = view;
  view.note.hidden = lines.length > 0;
  view.stage.root.hidden = !lines.length;
  if (lines.length) return view.note.replaceChildren();
  const words = `#/sing/${encodeURIComponent(song.id)}`;
  const job = jobOf(song);
  const links = readOnly()
    ? []
    : [
        el(
          "a",
          { className: "main", href: `${words}/words` },
          icon("words"),
          lyrics ? "Edit the words" : "Add the words",
        ),
        lyrics && el("a", { className: "plain", href: `${words}/tap` }, "Tap to time"),
      ];
  if (job?.command === "align")
    view.note.replaceChildren(
      el("div", { className: "picture" }, ring(job.progress)),
      el("h2", {}, "The words are being timed"),
      el("p", {}, "It listens to the singer; they light up here when it is done."),
    );
  else if (lyrics?.text)
    view.note.replaceChildren(
      el("h2", {}, "These words have no times yet"),
      el("div", { className: "actions" }, links),
      el("pre", { className: "plain-words", tabIndex: 0 }, lyrics.text),
    );
  else
    view.note.replaceChildren(
      el("h2", {}, "No words yet"),
      el(
        "p",
        {},
        readOnly()
          ? "They can be added on the computer that runs karaoke."
          : "Paste them, and they are timed to the singer by themselves.",
      ),
      el("div", { className: "actions" }, links),
    );
}

function loopLine(view) {
  const { player, lines, stage } = view;
  if (player.loop) player.loop = null;
  else if (lines.length) {
    const line = lines[stage.top] || lines[0];
    const next = lines[stage.top + 1];
    player.loop = {
      start: Math.max(0, line.start - 0.4),
      end: Math.min(line.end + 0.3, Math.max(line.end, next?.start ?? Infinity)),
    };
    if (player.time < player.loop.start || player.time > player.loop.end)
      player.seek(player.loop.start);
  } else
    toast("A loop of a line needs words with times. Under “More” any part can be looped.", "note");
  say(player.loop ? "Looping this line" : "Loop off");
  player.tell();
}

function run(view) {
  const { player, stage, drawer, signal } = view;
  const step = () => {
    if (signal.aborted) return;
    if (player.loop && player.playing && player.time >= player.loop.end)
      player.seek(player.loop.start);
    stage.show(drawer.dragged ?? player.heard);
    drawer.tick();
    player.check(drawer.expected("instrumental", player.time));
    requestAnimationFrame(step);
  };
  step();
}

let lock = null;

// The lock is lost when the page is hidden, and only there on secure pages.
async function wake(wanted) {
  try {
    if (wanted && document.visibilityState === "visible" && navigator.wakeLock)
      lock ??= await navigator.wakeLock.request("screen");
    else if (!wanted || document.visibilityState !== "visible") {
      await lock?.release();
      lock = null;
    }
  } catch {
    lock = null;
  }
}

function mediaKeys(player, song) {
  if (!navigator.mediaSession) return;
  navigator.mediaSession.metadata = new MediaMetadata({
    title: song.title || song.name,
    artist: song.artist || "",
  });
  navigator.mediaSession.setActionHandler("play", () => player.play());
  navigator.mediaSession.setActionHandler("pause", () => player.pause());
  navigator.mediaSession.setActionHandler("seekto", (details) => player.seek(details.seekTime));
}
