// Queue: what is worked on, what waits and what ended lately.

import { post, remove } from "./api.js";
import { clock, el, iconButton, ring, toast } from "./dom.js";
import { jobs, putJob, readOnly, watch } from "./live.js";

const COMMANDS = { split: "Voice and band", align: "Times of words", analyse: "Key, tempo, chords", make: "Files to take away" };
const ENDS = { done: "Done", failed: "Failed", cancelled: "Cancelled" };
const ACTIVE = ["running", "queued"];

export function queueView(root, signal) {
  const page = el("div", { className: "page narrow" });
  root.append(page);
  const show = () => page.replaceChildren(...sections());
  watch(["job", "jobs", "reset"], show, signal);
  show();
}

function sections() {
  const all = [...jobs.values()];
  const active = all.filter((job) => ACTIVE.includes(job.state)).sort((a, b) => (a.place ?? 0) - (b.place ?? 0));
  const ended = all.filter((job) => !ACTIVE.includes(job.state)).sort((a, b) => (b.ended ?? 0) - (a.ended ?? 0)).slice(0, 50);
  const nothing = el("div", { className: "empty" }, el("p", {}, "Nothing is waiting. Add songs, and see here how far they are."), el("a", { className: "main", href: "#/" }, "To the songs"));
  return [el("h1", {}, "Queue"), active.length ? el("ol", { className: "jobs" }, active.map(activeRow)) : nothing,
    ended.length > 0 && el("h2", {}, "Lately"), ended.length > 0 && el("ul", { className: "jobs ended" }, ended.map(endedRow))].filter(Boolean);
}

function activeRow(job) {
  const running = job.state === "running";
  const place = el("span", { className: "place" }, running ? ring(job.progress) : el("b", {}, String(job.place ?? "·")));
  const buttons = readOnly() ? [] : [!running && job.place > 1 && iconButton("first", `Do ${job.title} next`, () => act(() => post(`/jobs/${job.id}/next`).then(putJob))),
    iconButton("close", `Cancel ${job.title}`, () => act(() => remove(`/jobs/${job.id}`)))];
  return el("li", { className: running ? "job running" : "job" }, place, el("div", { className: "job-words" }, el("strong", {}, job.title), el("span", {}, facts(job))), ...buttons);
}

function facts(job) {
  const found = [job.stage && job.state === "running" ? job.stage : COMMANDS[job.command] || job.command];
  if (job.state === "queued") found.push("waiting");
  if (job.speed) found.push(`${job.speed.toFixed(1)} × real time`);
  if (job.left_seconds !== null && job.left_seconds !== undefined) found.push(`${clock(job.left_seconds)} left`);
  return found.join(" · ");
}

function endedRow(job) {
  const error = job.state === "failed" && job.error;
  return el("li", { className: `job ${job.state}` }, el("div", { className: "job-words" }, el("strong", {}, job.title), el("span", {}, `${COMMANDS[job.command] || job.command} · ${ENDS[job.state] || job.state}${when(job.ended)}`),
    error && el("span", { className: "problem" }, el("b", {}, error.message), error.hint && el("span", {}, error.hint)),
    ...(job.warnings || []).map((text) => el("span", { className: "note" }, text))),
  job.state === "done" && el("a", { className: "plain", href: `#/sing/${encodeURIComponent(job.song)}` }, "Sing"));
}

function when(seconds) {
  return seconds ? ` at ${new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}` : "";
}

async function act(call) {
  try { await call(); } catch (error) { toast(error); }
}
