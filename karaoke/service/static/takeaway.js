// Download: the mix as it is heard, the stems, and files that the server makes.

import { ROOT, post } from "./api.js";
import { bytes, dialog, el, icon, ring, toast, update } from "./dom.js";
import { mixText } from "./drawer.js";
import { jobs, putJob, readOnly, watch } from "./live.js";
import { OFF_DB } from "./music.js";

const KINDS = [
  ["mp4", "Film", "MP4 with the words, for a television"],
  ["cdg", "CD+G", "zip for karaoke players"],
  ["ultrastar", "UltraStar", "folder for singing games"],
  ["elrc", "LRC", "words with times"],
  ["ass", "ASS", "subtitles that light up"],
  ["audio", "Sound", "as M4A"],
];
// What is heard of the song itself, in its own key and tempo.
const SHEETS = [
  ["lead-sheet", "Lead sheet", "MusicXML for MuseScore and others"],
  ["picture", "Pages", "PNG to print and sing from"],
  ["midi", "MIDI", "melody, chords and words"],
  ["tutorial", "Piano film", "notes that fall on the keys"],
];

export function takeAway(view) {
  const control = new AbortController();
  const files = el("ul", { className: "files", "aria-live": "polite" });
  const show = () => update(files, fileRows(view.song));
  const { closed } = dialog(
    "Download",
    thisMix(view),
    apart(view.song),
    readOnly() ? null : making(view),
    files,
  );
  watch(["song", "job", "jobs"], show, control.signal);
  closed.then(() => control.abort());
  show();
}

const pathOf = (song) => `${ROOT}/songs/${encodeURIComponent(song.id)}`;
const link = (href, ...children) =>
  el("a", { className: "plain", href, download: "" }, ...children);

function thisMix({ player, song }) {
  const format = el(
    "select",
    { "aria-label": "Format of the mix" },
    [
      ["m4a", "M4A"],
      ["mp3", "MP3"],
      ["flac", "FLAC"],
      ["wav", "WAV"],
    ].map(([value, name]) => el("option", { value }, name)),
  );
  const get = el("a", { className: "main", download: "" }, icon("down"), "This mix");
  const aim = () => {
    get.href = `${pathOf(song)}/mix.${format.value}?${player.mixQuery()}`;
  };
  format.addEventListener("change", aim);
  aim();
  return el(
    "section",
    { className: "setting" },
    el("strong", {}, "What you hear"),
    el("small", {}, mixText(player)),
    el("div", { className: "row" }, format, get),
  );
}

function apart(song) {
  const stem = (query, name) => link(`${pathOf(song)}/mix.flac?${query}`, name);
  return el(
    "section",
    { className: "setting" },
    el("strong", {}, "Voice and band apart"),
    el("small", {}, "FLAC, without loss; the zip has all files too."),
    el(
      "div",
      { className: "row" },
      stem("vocals=0&instrumental=off", "Voice"),
      stem("vocals=off&instrumental=0", "Band"),
      link(`${pathOf(song)}/archive.zip`, "Zip of all"),
    ),
  );
}

function choice(name, options) {
  const select = el(
    "select",
    { "aria-label": name },
    options.map(([value, text]) => el("option", { value }, text)),
  );
  return [select, el("label", { className: "choice" }, el("span", {}, name), select)];
}

function making(view) {
  const [kind, kindRow] = choice(
    "Make a",
    [...KINDS, ...SHEETS].map(([value, name, text]) => [value, `${name} – ${text}`]),
  );
  const [style, styleRow] = choice("Style", [
    ["plain", "plain"],
    ["big", "big"],
    ["light", "light"],
    ["duet", "duet"],
  ]);
  const [size, sizeRow] = choice("Size", [
    ["720p", "720p"],
    ["1080p", "1080p"],
    ["480p", "480p"],
  ]);
  const [background, groundRow] = choice("Behind", [
    ["#102030", "night blue"],
    ["#000000", "black"],
    ["#301028", "wine"],
    ...(view.song.cover ? [["cover", "the cover"]] : []),
  ]);
  const film = el("div", { className: "row" }, styleRow, sizeRow, groundRow);
  kind.addEventListener("change", () => {
    film.hidden = kind.value !== "mp4";
  });
  const begin = el("button", { type: "button", className: "main" }, "Make it");
  begin.addEventListener("click", async () => {
    begin.disabled = true;
    const look =
      kind.value === "mp4"
        ? {
            style: style.value,
            size: size.value,
            background: background.value,
            chords: view.stage.chords,
          }
        : {};
    if (SHEETS.some(([value]) => value === kind.value))
      await order(view, "analyse", { write: [kind.value] });
    else
      await order(view, "make", {
        to: [kind.value],
        ...(kind.value === "audio" ? { format: "m4a" } : {}),
        ...sound(view.player),
        ...look,
      });
    begin.disabled = false;
    document.querySelector("dialog .files")?.scrollIntoView({ block: "end", behavior: "smooth" });
  });
  return el(
    "section",
    { className: "setting" },
    el("strong", {}, "Make a file"),
    el("small", {}, "Songs and films as you set them above. It goes on while you sing."),
    kindRow,
    film,
    el("div", { className: "row" }, begin),
  );
}

function sound(player) {
  const level = (stem) => (player.heardDb(stem) <= OFF_DB ? null : player.heardDb(stem));
  return {
    guide_db: level("vocals"),
    band_db: level("instrumental"),
    key: player.key,
    tempo: player.tempo,
  };
}

async function order(view, command, options) {
  try {
    putJob(await post(`/songs/${encodeURIComponent(view.song.id)}/jobs`, { command, options }));
  } catch (error) {
    toast(error);
  }
}

function fileRows(song) {
  const kinds = (job) => job.options.to || job.options.write || [];
  const making = [...jobs.values()].filter((job) => job.song === song.id && kinds(job).length);
  const active = making.filter((job) => ["queued", "running"].includes(job.state));
  const failed = making.filter((job) => job.state === "failed").slice(0, 1);
  const rows = [
    ...active.map((job) =>
      el(
        "li",
        { className: "job", "data-sign": `${job.id} ${job.state}` },
        el(
          "span",
          { className: "place", "data-live": "" },
          ring(job.state === "running" ? job.progress : null),
        ),
        el(
          "span",
          {},
          job.state === "running"
            ? `Making ${kinds(job).join(", ")} …`
            : "Waiting in the queue",
        ),
      ),
    ),
    ...failed.map((job) =>
      el(
        "li",
        { className: "problem", "data-sign": job.id },
        el("b", {}, job.error?.message || "It could not be made."),
        el("span", {}, job.error?.hint || ""),
      ),
    ),
    ...song.files.map((file) =>
      el(
        "li",
        { "data-sign": `${file.name} ${file.size}` },
        el(
          "a",
          {
            className: "file",
            href: `${pathOf(song)}/files/${encodeURIComponent(file.name)}`,
            download: file.name.split("/").at(-1),
          },
          icon("down"),
          el("span", {}, file.name.split("/").at(-1)),
          el("small", {}, bytes(file.size)),
        ),
      ),
    ),
  ];
  return rows.length
    ? [el("li", { className: "files-title", "data-sign": "title" }, "Files"), ...rows]
    : [];
}
