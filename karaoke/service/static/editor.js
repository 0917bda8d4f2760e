// Words: paste or choose them, say the language, have them timed, see which lines are in doubt.

import { ApiError, ask, get, post, put, query, remove } from "./api.js";
import { confirmed, el, icon, ring, toast } from "./dom.js";
import { jobOf, putJob, readSong, watch } from "./live.js";

const LANGUAGES = [
  "en",
  "de",
  "fr",
  "es",
  "it",
  "pt",
  "nl",
  "sv",
  "da",
  "no",
  "fi",
  "pl",
  "cs",
  "hu",
  "ro",
  "hr",
  "ru",
  "uk",
  "el",
  "tr",
  "he",
  "ar",
  "hi",
  "id",
  "ja",
  "ko",
  "zh",
];
const ACCEPT = ".lrc,.txt,.srt,.vtt,.ass,.ssa,text/plain";

export async function wordsView(root, signal, id) {
  const song = await readSong(id);
  const view = {
    song,
    path: `/songs/${encodeURIComponent(id)}`,
    link: `#/sing/${encodeURIComponent(id)}`,
  };
  view.text = el("textarea", {
    id: "words",
    spellcheck: false,
    placeholder:
      "Paste the words here, one line for each line that is sung.\n\nLRC, UltraStar, SRT, WebVTT and ASS are understood as well; their times are kept.",
  });
  view.language = languageSelect(song.lyrics?.language);
  view.state = el("div", { className: "state", role: "status" });
  view.doubts = el("div", { className: "doubts" });
  root.append(
    el(
      "div",
      { className: "page editor" },
      top(view),
      el(
        "div",
        { className: "editor-grid" },
        el(
          "div",
          { className: "editor-text" },
          el("label", { htmlFor: "words", className: "hidden" }, "Words"),
          view.text,
        ),
        side(view),
      ),
    ),
  );
  watch(
    ["song"],
    (other) => {
      if (other.id !== id) return;
      const timed = view.song.lyrics?.state === "waiting" && other.lyrics?.state === "ready";
      view.song = other;
      if (timed) {
        toast("The words are timed.", "note");
        load(view);
      }
      show(view);
    },
    signal,
  );
  watch(["job", "jobs"], () => show(view), signal);
  await load(view);
  show(view);
}

function top(view) {
  return el(
    "header",
    { className: "sing-head" },
    el(
      "a",
      {
        className: "round",
        href: view.link,
        "aria-label": "Back to singing",
        title: "Back to singing",
      },
      icon("back"),
    ),
    el(
      "div",
      { className: "sing-title" },
      el("h1", {}, "Words"),
      el("p", {}, view.song.title || view.song.name),
    ),
  );
}

function languageSelect(chosen) {
  const names = new Intl.DisplayNames(["en"], { type: "language" });
  const options = [
    ["", "as found in the words"],
    ...LANGUAGES.map((code) => [code, names.of(code)]),
  ];
  if (chosen && !LANGUAGES.includes(chosen)) options.push([chosen, chosen]);
  const select = el(
    "select",
    {},
    options.map(([value, text]) => el("option", { value }, text)),
  );
  select.value = chosen || "";
  return select;
}

function side(view) {
  const file = el("input", { type: "file", accept: ACCEPT, hidden: true });
  file.addEventListener("change", () => {
    if (file.files[0]) sendFile(view, file.files[0]);
    file.value = "";
  });
  const button = (name, onclick, kind = "plain", mark = null) =>
    el("button", { type: "button", className: kind, onclick }, mark && icon(mark), name);
  view.save = button("Save and time them", () => save(view), "main wide");
  view.known = el(
    "div",
    { className: "stack" },
    el("a", { className: "plain wide", href: `${view.link}/tap` }, "Tap to time them myself"),
    button("Time them again", () => align(view), "plain wide"),
    button("Show times", () => showTimes(view), "plain wide"),
    button("Delete the words", () => forget(view), "plain wide"),
  );
  return el(
    "aside",
    { className: "editor-side" },
    view.state,
    el("label", { className: "choice" }, el("span", {}, "Language"), view.language),
    view.save,
    button("Choose a file", () => file.click(), "plain wide", "up"),
    file,
    view.known,
    view.doubts,
  );
}

async function load(view) {
  const lyrics = view.song.lyrics
    ? await get(`${view.path}/lyrics`).catch((error) => {
        if (!(error instanceof ApiError)) toast(error);
        return null;
      })
    : null;
  view.lyrics = lyrics;
  if (lyrics && document.activeElement !== view.text) view.text.value = lyrics.text;
  if (lyrics) view.language.value = lyrics.language || "";
}

function show(view) {
  const { lyrics } = view.song;
  const job = jobOf(view.song);
  view.known.hidden = !lyrics;
  if (job?.command === "align")
    view.state.replaceChildren(
      ring(job.state === "running" ? job.progress : null),
      el(
        "span",
        {},
        job.state === "running" ? "Timing the words to the singer …" : "Timing waits in the queue.",
      ),
    );
  else
    view.state.replaceChildren(
      el("span", {}, stateText(lyrics)),
      lyrics && lyrics.timing !== "none"
        ? el("a", { className: "plain", href: view.link }, "Sing")
        : "",
    );
  showDoubts(view);
}

function stateText(lyrics) {
  if (!lyrics) return "No words yet.";
  if (lyrics.state === "failed")
    return "The words could not be timed. Look whether they are this song's, or tap to time them.";
  const lines = `${lyrics.lines} ${lyrics.lines === 1 ? "line" : "lines"}`;
  return (
    {
      none: `${lines}, without times.`,
      lines: `${lines}; each line has a time.`,
      words: `${lines}; each word has a time.`,
      syllables: `${lines}; each syllable has a time.`,
    }[lyrics.timing] || lines
  );
}

function showDoubts(view) {
  const numbers = view.lyrics?.doubtful || [];
  if (!numbers.length) return view.doubts.replaceChildren();
  const rows = numbers
    .map((number) => [number, view.lyrics.lines[number - 1]])
    .filter(([, line]) => line);
  view.doubts.replaceChildren(
    el("h2", {}, "Listen to these"),
    el("p", {}, "Their words and the singer did not fit well."),
    el(
      "ul",
      {},
      rows.map(([number, line]) =>
        el(
          "li",
          {},
          el(
            "a",
            {
              className: "doubt",
              href: `${view.link}/at/${Math.max(0, (line.start ?? 0) - 1.5).toFixed(2)}`,
            },
            el("b", {}, String(number)),
            line.words
              .map((word) => word.syllables.map((syllable) => syllable.text).join(""))
              .join(" "),
          ),
        ),
      ),
    ),
  );
}

async function save(view) {
  const text = view.text.value;
  if (!text.trim()) return toast("There are no words to save. Paste them into the field first.");
  await taking(view, () =>
    put(`${view.path}/lyrics`, {
      text,
      ...(view.language.value ? { language: view.language.value } : {}),
      align: "auto",
    }),
  );
}

async function sendFile(view, file) {
  if (file.size > 2e6)
    return toast("A file of words is not that large. Choose an LRC, TXT, SRT, VTT or ASS file.");
  const path = `${view.path}/lyrics${query({ name: file.name, language: view.language.value })}`;
  view.text.value = await file.text();
  await taking(view, () => ask("PUT", path, file));
}

async function taking(view, send) {
  view.save.disabled = true;
  try {
    const { job } = await send();
    if (job) putJob(job);
    await readSong(view.song.id);
    view.text.blur();
    // Until they are timed the server still has the words of before.
    if (!job) await load(view);
    show(view);
    toast(job ? "Saved. The words are being timed; you may leave this page." : "Saved.", "note");
  } catch (error) {
    toast(error);
  }
  view.save.disabled = false;
}

async function align(view) {
  try {
    putJob(
      await post(`${view.path}/jobs`, {
        command: "align",
        options: view.language.value ? { language: view.language.value } : {},
      }),
    );
  } catch (error) {
    toast(error);
  }
}

async function showTimes(view) {
  try {
    const answer = await ask("GET", `${view.path}/lyrics?format=elrc`, undefined, { raw: true });
    view.text.value = await answer.text();
  } catch (error) {
    toast(error);
  }
}

async function forget(view) {
  if (
    !(await confirmed(
      "Delete the words?",
      "The song stays, and words can be added again.",
      "Delete",
    ))
  )
    return;
  try {
    await remove(`${view.path}/lyrics`);
    view.text.value = "";
    view.lyrics = null;
    await readSong(view.song.id);
  } catch (error) {
    toast(error);
  }
}
