// Queue: what is worked on, what waits and what ended lately.

import { post, remove } from "./api.js";
import { clock, el, iconButton, ring, toast, update } from "./dom.js";
import { jobs, putJob, readOnly, watch } from "./live.js";

const COMMANDS = {
  split: "Voice and band",
  align: "Times of words",
  analyse: "Key, tempo, chords",
  make: "Files to take away",
};
const ENDS = { done: "Done", failed: "Failed", cancelled: "Cancelled" };
const ACTIVE = ["running", "queued"];

export function queueView(root, signal) {
  const active = el("ol", { className: "jobs", "aria-label": "Under way" });
  const ended = el("ul", { className: "jobs ended", "aria-label": "Lately" });
  const lately = el("h2", {}, "Lately");
  const nothing = el(
    "div",
    { className: "empty" },
    el("p", {}, "Nothing is waiting. Add songs, and see here how far they are."),
    el("a", { className: "main", href: "#/" }, "To the songs"),
  );
  root.append(
    el("div", { className: "page narrow" }, el("h1", {}, "Queue"), nothing, active, lately, ended),
  );
  const show = () => {
    const [now, past] = sorted();
    update(active, now.map(activeRow));
    update(ended, past.map(endedRow));
    nothing.hidden = now.length > 0;
    active.hidden = !now.length;
    lately.hidden = !past.length;
  };
  watch(["job", "jobs", "reset"], show, signal);
  show();
}

function sorted() {
  const all = [...jobs.values()];
  const active = all
    .filter((job) => ACTIVE.includes(job.state))
    .sort((a, b) => (a.place ?? 0) - (b.place ?? 0));
  const ended = all
    .filter((job) => !ACTIVE.includes(job.state))
    .sort((a, b) => (b.ended ?? 0) - (a.ended ?? 0))
    .slice(0, 50);
  return [active, ended];
}

function activeRow(job) {
  const running = job.state === "running";
  const place = el(
    "span",
    { className: "place", "data-live": "" },
    running ? ring(job.progress) : el("b", {}, String(job.place ?? "·")),
  );
  const buttons = readOnly()
    ? []
    : [
        !running &&
          job.place > 1 &&
          iconButton("first", `Do ${job.title} next`, () =>
            act(() => post(`/jobs/${job.id}/next`).then(putJob)),
          ),
        iconButton("close", `Cancel ${job.title}`, () => act(() => remove(`/jobs/${job.id}`))),
      ];
  return el(
    "li",
    {
      className: running ? "job running" : "job",
      "data-sign": JSON.stringify([job.id, job.state, job.title, job.place > 1]),
    },
    place,
    el(
      "div",
      { className: "job-words" },
      el("strong", {}, job.title),
      el("span", { "data-live": "" }, facts(job)),
    ),
    ...buttons,
  );
}

function facts(job) {
  const found = [
    job.stage && job.state === "running"
      ? job.stage[0].toUpperCase() + job.stage.slice(1)
      : COMMANDS[job.command] || job.command,
  ];
  if (job.state === "queued") found.push("waiting");
  if (job.speed) found.push(`${job.speed.toFixed(1)} × real time`);
  if (job.left_seconds !== null && job.left_seconds !== undefined)
    found.push(`${clock(job.left_seconds)} left`);
  return found.join(" · ");
}

function endedRow(job) {
  const error = job.state === "failed" && job.error;
  return el(
    "li",
    { className: `job ${job.state}`, "data-sign": JSON.stringify([job.id, job.state, job.title]) },
    el(
      "div",
      { className: "job-words" },
      el("strong", {}, job.title),
      el(
        "span",
        {},
        `${COMMANDS[job.command] || job.command} · ${ENDS[job.state] || job.state}${when(job.ended)}`,
      ),
      error &&
        el(
          "span",
          { className: "problem" },
          el("b", {}, error.message),
          error.hint && el("span", {}, error.hint),
        ),
      ...(job.warnings || []).map((text) => el("span", { className: "note" }, text)),
    ),
    job.state === "done" &&
      el("a", { className: "plain", href: `#/sing/${encodeURIComponent(job.song)}` }, "Sing"),
  );
}

function when(seconds) {
  return seconds
    ? ` at ${new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`
    : "";
}

async function act(call) {
  try {
    await call();
  } catch (error) {
    toast(error);
  }
}
