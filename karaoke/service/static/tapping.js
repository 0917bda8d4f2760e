// Tap to time: play, and press for each line or word when it is sung.

import { get, put } from "./api.js";
import { clock, el, icon, iconButton, say, setIcon, toast } from "./dom.js";
import { readSong } from "./live.js";
import { Player } from "./player.js";

const BACK_SECONDS = 2;

export async function tapView(root, signal, id) {
  const song = await readSong(id);
  const lyrics = await get(`/songs/${encodeURIComponent(id)}/lyrics`);
  const words = lyrics.lines.map((line) =>
    line.words.map((word) => word.syllables.map((syllable) => syllable.text).join("")),
  );
  const player = new Player(song);
  window.karaoke.player = player;
  const view = {
    song,
    lyrics,
    words,
    player,
    link: `#/sing/${encodeURIComponent(id)}`,
    times: [],
    unit: "lines",
  };
  build(view, root);
  setUnit(view, "lines");
  listen(view, signal);
  await player.load();
}

function build(view, root) {
  view.lines = el("div", { className: "tap-lines" });
  view.pad = el("button", { type: "button", className: "pad" }, el("b", {}, "Tap"), el("span", {}));
  view.play = iconButton("play", "Play", () => view.player.toggle(), { className: "round play" });
  view.time = el("span", { className: "time" });
  view.undo = iconButton("undo", "Undo the last tap", () => undo(view));
  view.save = el(
    "button",
    { type: "button", className: "main", onclick: () => save(view) },
    "Save",
  );
  makeWays(view);
  root.append(frame(view));
}

// How to tap: for what, and how fast the song goes.
function makeWays(view) {
  view.slow = el(
    "button",
    {
      type: "button",
      className: "plain small",
      "aria-pressed": "false",
      onclick: () => slow(view),
    },
    "Slower",
  );
  const units = ["lines", "words"].map((unit) =>
    el(
      "button",
      {
        type: "button",
        className: "plain small",
        "data-unit": unit,
        onclick: () => setUnit(view, unit),
      },
      unit === "lines" ? "Lines" : "Words",
    ),
  );
  view.units = el("div", { className: "row", role: "group", "aria-label": "Tap for each" }, units);
}

function frame(view) {
  return el(
    "div",
    { className: "sing tapping" },
    el(
      "header",
      { className: "sing-head" },
      el(
        "a",
        {
          className: "round",
          href: `${view.link}/words`,
          "aria-label": "Back to the words",
          title: "Back to the words",
        },
        icon("back"),
      ),
      el(
        "div",
        { className: "sing-title" },
        el("h1", {}, "Tap to time"),
        el("p", {}, view.song.title || view.song.name),
      ),
      view.save,
    ),
    el("div", { className: "words-area" }, view.lines),
    el(
      "section",
      { className: "sheet", "aria-label": "Controls" },
      el(
        "div",
        { className: "transport" },
        el("div", { className: "start" }, view.play, view.time),
        el("div", { className: "side" }, view.undo),
        el("div", { className: "ways" }, view.units, view.slow),
      ),
      view.pad,
    ),
  );
}

function listen(view, signal) {
  const { player } = view;
  player.addEventListener("notice", (event) => toast(event.detail));
  player.addEventListener("change", () =>
    setIcon(view.play, player.playing ? "pause" : "play", player.playing ? "Pause" : "Play"),
  );
  // The press counts, not the release: a thumb that rests would come late.
  view.pad.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    tap(view);
  });
  view.pad.addEventListener("click", (event) => {
    if (event.detail === 0) tap(view);
  });
  document.addEventListener(
    "keydown",
    (event) => {
      if (
        event.repeat ||
        event.target.matches("a, button:not(.pad)") ||
        document.querySelector("dialog[open]")
      )
        return;
      if (event.key === " ") tap(view);
      else if (event.key === "Backspace") undo(view);
      else return;
      event.preventDefault();
    },
    { signal },
  );
  const step = () => {
    if (signal.aborted) return;
    view.time.textContent = `${clock(player.time)} / ${clock(Math.round(player.duration))}`;
    requestAnimationFrame(step);
  };
  step();
  signal.addEventListener("abort", () => player.close());
}

function setUnit(view, unit) {
  Object.assign(view, { unit, times: [] });
  view.places = view.words.flatMap((line, row) =>
    unit === "lines" ? [[row, 0]] : line.map((_, word) => [row, word]),
  );
  for (const button of view.units.children)
    button.setAttribute("aria-pressed", String(button.dataset.unit === unit));
  show(view);
}

function slow(view) {
  view.player.setTempo(view.player.tempo === 1 ? 0.75 : 1);
  view.slow.setAttribute("aria-pressed", String(view.player.tempo !== 1));
}

function tap(view) {
  if (!view.player.playing) return view.player.play();
  if (view.times.length >= view.places.length) return;
  const time = Math.max(0, view.player.heard, (view.times.at(-1) ?? -0.01) + 0.01);
  view.times.push(time);
  view.pad.animate?.([{ filter: "brightness(1.5)" }, { filter: "none" }], 180);
  if (view.times.length === view.places.length) say("All is timed. Save it.");
  show(view);
}

function undo(view) {
  if (!view.times.length) return;
  const time = view.times.pop();
  view.player.seek(time - BACK_SECONDS);
  show(view);
}

function show(view) {
  const { places, times, words, unit } = view;
  const [row, word] = places[times.length] || [words.length, 0];
  const first = Math.max(0, row - 1);
  view.lines.replaceChildren(
    ...words.slice(first, first + 4).map((line, index) => {
      const number = first + index;
      const spans = line.flatMap((text, at) => {
        const tapped = number < row || (number === row && at < word);
        const next = number === row && (unit === "lines" || at === word);
        return [el("span", { className: tapped ? "tapped" : next ? "next" : "" }, text), " "];
      });
      return el("p", { className: number === row ? "line here" : "line", dir: "auto" }, spans);
    }),
  );
  const over = times.length >= places.length;
  if (over)
    view.lines.append(
      el(
        "p",
        { className: "line here" },
        el("span", { className: "next" }, "All lines are timed."),
      ),
    );
  view.pad.querySelector("span").textContent = over
    ? "Save, or undo the last one"
    : !times.length
      ? `Press play, then tap or press space when each ${unit.slice(0, -1)} begins`
      : `${times.length} of ${places.length}`;
  view.undo.disabled = !times.length;
  view.save.disabled = !times.length;
}

const stamp = (seconds) =>
  `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;

// Enhanced LRC. The last word of a line ends where the next line begins, or after two usual words.
function writeLrc({ lyrics, words, places, times, unit, song }) {
  const steps = times
    .slice(1)
    .map((time, index) => time - times[index])
    .sort((a, b) => a - b);
  const usual = steps[Math.floor(steps.length / 2)] ?? 1;
  const rows = [];
  if (lyrics.language) rows.push(`[la:${lyrics.language}]`);
  words.forEach((line, row) => {
    const own = places
      .map(([at], index) => (at === row ? times[index] : undefined))
      .filter((time) => time !== undefined);
    if (!own.length) return;
    const next = times[places.findIndex(([at]) => at > row)] ?? song.seconds;
    if (unit === "lines") return rows.push(`[${stamp(own[0])}]${line.join(" ")}`);
    const end = Math.min(next, own.at(-1) + Math.max(0.4, usual * 2));
    rows.push(
      `[${stamp(own[0])}]${line.map((text, at) => (own[at] === undefined ? text : `<${stamp(own[at])}>${text}`)).join(" ")}<${stamp(end)}>`,
    );
  });
  return `${rows.join("\n")}\n`;
}

async function save(view) {
  if (view.times.length < view.places.length)
    return toast(
      `${view.places.length - view.times.length} of ${view.places.length} ${view.unit} have no time yet. Go on tapping, then save.`,
    );
  view.save.disabled = true;
  try {
    // Lines alone are refined to words by listening; taps for words are taken as they are.
    const { job } = await put(`/songs/${encodeURIComponent(view.song.id)}/lyrics`, {
      text: writeLrc(view),
      align: view.unit === "words" ? "none" : "auto",
    });
    toast(job ? "Saved. Each word is being timed within its line." : "Saved.", "note");
    location.hash = view.link;
  } catch (error) {
    toast(error);
    view.save.disabled = false;
  }
}
