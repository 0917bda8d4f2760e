// Songs and jobs as the server has them, kept up to date by its events.

import { ROOT, get, query } from "./api.js";

export const songs = new Map();
export const jobs = new Map();
export const server = { status: null, live: false };
const changes = new EventTarget();

export function watch(kinds, listener, signal) {
  for (const kind of kinds)
    changes.addEventListener(kind, (event) => listener(event.detail, kind), { signal });
}

function tell(kind, detail) {
  changes.dispatchEvent(new CustomEvent(kind, { detail }));
}

export function putSong(song) {
  songs.set(song.id, song);
  tell("song", song);
}

export function putJob(job) {
  jobs.set(job.id, job);
  tell("job", job);
}

export function dropSong(id) {
  songs.delete(id);
  tell("gone", id);
}

// The job that a song is worked on with now, else the next one.
export function jobOf(song) {
  const known = song.jobs
    .map((id) => jobs.get(id))
    .filter((job) => job && ["running", "queued"].includes(job.state));
  return known.find((job) => job.state === "running") || known[0] || null;
}

// Pages of 50: a library may hold thousands, and a phone shows a few.
export async function readSongs(text = "", after = null) {
  const answer = await get(`/songs${query({ query: text, after })}`);
  for (const song of answer.songs) songs.set(song.id, song);
  return answer;
}

export async function readSong(id) {
  const song = await get(`/songs/${encodeURIComponent(id)}`);
  putSong(song);
  return song;
}

async function readJobs() {
  const answer = await get("/jobs");
  const listed = new Set(answer.jobs.map((job) => job.id));
  for (const id of jobs.keys()) if (!listed.has(id)) jobs.delete(id);
  for (const job of answer.jobs) jobs.set(job.id, job);
  tell("jobs", null);
}

async function readAll() {
  server.status = await get("/status");
  await readJobs();
  tell("reset", null);
}

const HANDLERS = {
  song: putSong,
  job: putJob,
  gone: (detail) => dropSong(detail.song),
  upload: (detail) => tell("upload", detail),
  reset: () => readAll().catch(() => {}),
};

let source = null;
let poller = null;
let lastEvent = 0;

function listen() {
  source?.close();
  source = new EventSource(`${ROOT}/events?after=${lastEvent}`);
  source.onopen = () => {
    stopPolling();
    setLive(true);
  };
  source.onerror = () => {
    setLive(false);
    startPolling();
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 10000);
  };
  for (const [kind, handle] of Object.entries(HANDLERS)) {
    source.addEventListener(kind, (event) => {
      if (event.lastEventId) lastEvent = Number(event.lastEventId);
      handle(JSON.parse(event.data));
    });
  }
}

function setLive(live) {
  if (server.live === live) return;
  server.live = live;
  tell("live", live);
}

function startPolling() {
  poller ??= setInterval(async () => {
    try {
      await readJobs();
      await Promise.all(
        [...songs.values()]
          .filter((song) => song.jobs.length || song.state === "waiting")
          .map((song) => readSong(song.id)),
      );
    } catch {
      /* the bar at the top says that nobody answers */
    }
  }, 2000);
}

function stopPolling() {
  clearInterval(poller);
  poller = null;
}

export async function connect() {
  await readAll();
  lastEvent = server.status.last_event ?? 0;
  listen();
}

export const readOnly = () => Boolean(server.status?.read_only);
