// One song on the Songs page.

import { post, remove } from "./api.js";
import { clock, confirmed, cover, el, icon, iconButton, length, ring, say, toast } from "./dom.js";
import { dropSong, jobOf, readOnly } from "./live.js";
import { keyName } from "./music.js";

const STAGES = {
  split: "Splitting",
  align: "Timing the words",
  analyse: "Listening",
  make: "Making",
};

function chips(song) {
  const found = [];
  if (song.lyrics && song.lyrics.state !== "failed")
    found.push([
      song.lyrics.state === "waiting"
        ? "words soon"
        : song.lyrics.timing === "none"
          ? "words untimed"
          : "words",
      "yes",
    ]);
  if (song.key) found.push([keyName(song.key), ""]);
  if (song.bpm) found.push([`${Math.round(song.bpm)} bpm`, ""]);
  if (song.stems.length) found.unshift(["split", "yes"]);
  return el(
    "ul",
    { className: "chips", "aria-label": "Known about it" },
    found.map(([text, kind]) => el("li", { className: `chip ${kind}` }, text)),
  );
}

export function card(song) {
  const job = jobOf(song);
  const ready = song.stems.length > 0;
  const picture = el(
    "div",
    { className: "picture" },
    cover(song),
    ready && !job && el("span", { className: "go" }, icon("play")),
  );
  if (job || song.state === "waiting" || song.state === "working")
    picture.append(
      el(
        "span",
        { className: "working", "data-live": "" },
        ring(job?.state === "running" ? job.progress : null),
      ),
    );
  const words = el(
    "div",
    { className: "card-words" },
    el("strong", { className: "title" }, song.title || song.name),
    el(
      "span",
      { className: "artist" },
      [song.artist, length(song.seconds)].filter(Boolean).join(" · "),
    ),
    song.error ? failed(song, ready) : job ? stage(job) : chips(song),
  );
  const inner = ready
    ? el("a", { className: "open", href: `#/sing/${encodeURIComponent(song.id)}` }, picture, words)
    : el("div", { className: "open" }, picture, words);
  const bin = readOnly()
    ? null
    : iconButton("bin", `Delete ${song.title || song.name}`, () => deleteSong(song), {
        className: "bin round",
      });
  return el(
    "li",
    {
      className: song.error ? "card failed" : "card",
      "data-song": song.id,
      "data-sign": JSON.stringify([song, job?.state, job?.command]),
    },
    inner,
    bin,
  );
}

function failed(song, ready) {
  const button =
    !ready &&
    !readOnly() &&
    el(
      "button",
      { type: "button", className: "again plain small", onclick: () => again(song) },
      "Try again",
    );
  return el(
    "div",
    { className: "problem" },
    el("b", {}, song.error.message),
    song.error.hint && el("span", {}, song.error.hint),
    button,
  );
}

function stage(job) {
  const left = job.left_seconds ? `, ${clock(job.left_seconds)} left` : "";
  const text =
    job.state === "queued"
      ? `Waiting, number ${job.place ?? "…"} in the queue`
      : `${STAGES[job.command] || job.command}${left}`;
  return el("span", { className: "doing", "data-live": "" }, text);
}

async function again(song) {
  await post(`/songs/${song.id}/jobs`, { command: "split", options: {} }).catch(toast);
}

async function deleteSong(song) {
  const sure = await confirmed(
    `Delete “${song.title || song.name}”?`,
    "Its stems, words and everything made from it are deleted too. The file that you chose stays where it is.",
    "Delete",
  );
  if (!sure) return;
  try {
    await remove(`/songs/${song.id}`);
    dropSong(song.id);
    say("Deleted");
  } catch (error) {
    toast(error);
  }
}
