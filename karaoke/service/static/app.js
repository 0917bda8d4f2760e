// The shell: routes, the code of a phone, and what is said when nobody answers.

import { NetworkError, onLocked, post } from "./api.js";
import { dialog, el, toast } from "./dom.js";
import { wordsView } from "./editor.js";
import { connect, jobs, server, watch } from "./live.js";
import { queueView } from "./queue.js";
import { singView } from "./sing.js";
import { songsView } from "./songs.js";
import { tapView } from "./tapping.js";
import { addFiles, recall } from "./uploads.js";

window.karaoke = { player: null };

const ROUTES = [
  [/^#\/queue$/, queueView, "Queue"],
  [/^#\/sing\/([^/]+)$/, singView, "Sing"],
  [/^#\/sing\/([^/]+)\/at\/([\d.]+)$/, singView, "Sing"],
  [/^#\/sing\/([^/]+)\/words$/, wordsView, "Words"],
  [/^#\/sing\/([^/]+)\/tap$/, tapView, "Tap to time"],
];

let control = new AbortController();

async function route() {
  control.abort();
  control = new AbortController();
  const { signal } = control;
  const main = document.querySelector("main");
  const found = ROUTES.map(([pattern, view, title]) => [
    location.hash.match(pattern),
    view,
    title,
  ]).find(([match]) => match);
  const [match, view, title] = found || [[""], songsView, "Songs"];
  const root = el("div", { className: "view" });
  main.replaceChildren(root);
  document.body.dataset.view = title.split(" ")[0].toLowerCase();
  document.body.classList.remove("playing");
  window.karaoke.player = null;
  document.title = `${title} · karaoke`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.title === title) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    await view(root, signal, ...match.slice(1).map(decodeURIComponent));
  } catch (error) {
    if (!signal.aborted) showFailure(root, error);
  }
}

function showFailure(root, error) {
  root.replaceChildren(
    el(
      "div",
      { className: "page narrow empty" },
      el("h1", {}, error.message),
      error.hint && el("p", {}, error.hint),
      el(
        "div",
        { className: "actions" },
        el("button", { type: "button", className: "main", onclick: () => start() }, "Try again"),
        el("a", { className: "plain", href: "#/" }, "To the songs"),
      ),
    ),
  );
  if (!(error instanceof NetworkError) && !error.status) console.error(error);
}

let asked = null;

// Several requests may find the door shut at once; one form serves them all.
function askForCode() {
  asked ??= pair().finally(() => {
    asked = null;
  });
  return asked;
}

function pair() {
  const input = el("input", {
    type: "text",
    id: "code",
    autocomplete: "one-time-code",
    autocapitalize: "characters",
    spellcheck: false,
    placeholder: "K7QM-X2",
    maxLength: 12,
    required: true,
  });
  const wrong = el("p", { className: "problem", role: "alert" });
  const form = el(
    "form",
    { className: "pair" },
    el(
      "p",
      {},
      "Enter the code from the computer's screen. It is beside the address, where karaoke serve was started.",
    ),
    el("label", { htmlFor: "code" }, "Code"),
    input,
    wrong,
    el("button", { type: "submit", className: "main wide" }, "Come in"),
  );
  const { box } = dialog("Almost there", form);
  box.classList.add("locked");
  box.addEventListener("cancel", (event) => event.preventDefault());
  input.focus();
  return new Promise((resolve) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await post("/pair", { code: input.value.trim() });
        box.close("");
        resolve();
      } catch (error) {
        wrong.replaceChildren(el("b", {}, error.message), " ", error.hint || "");
        input.select();
      }
    });
  });
}

function showCount() {
  const count = [...jobs.values()].filter((job) =>
    ["queued", "running"].includes(job.state),
  ).length;
  const badge = document.getElementById("count");
  badge.textContent = count || "";
  badge.hidden = !count;
}

function showLive() {
  clearTimeout(showLive.timer);
  const bar = document.getElementById("offline");
  if (server.live) bar.hidden = true;
  else
    showLive.timer = setTimeout(() => {
      bar.hidden = server.live;
    }, 4000);
}

// A song dropped beside the drop area is meant for it too, and must not replace the page.
function catchDrops() {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    if (
      event.target.closest?.(".drop") ||
      !event.dataTransfer?.files.length ||
      server.status?.read_only
    )
      return;
    addFiles([...event.dataTransfer.files]);
    location.hash = "#/";
  });
}

async function start() {
  const main = document.querySelector("main");
  try {
    await connect();
  } catch (error) {
    main.replaceChildren(el("div"));
    return showFailure(main.firstChild, error);
  }
  document.body.classList.toggle("read-only", Boolean(server.status.read_only));
  showCount();
  await route();
}

onLocked(askForCode);
recall();
catchDrops();
addEventListener("hashchange", route);
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.message) toast(event.reason);
});
watch(["job", "jobs"], showCount);
watch(["live"], showLive);
if ("serviceWorker" in navigator && isSecureContext)
  navigator.serviceWorker.register("/sw.js").catch(() => {});
start();
