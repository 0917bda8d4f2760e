// Uploads in chunks that survive a lost network and, once the file is chosen again, a reload.

import { ApiError, NetworkError, ask, post, remove, sendChunk } from "./api.js";
import { putSong, server } from "./live.js";

const STORE = "karaoke.uploads";
const AT_ONCE = 2;
// What a lost network costs at most; the server may take more.
const LARGEST_CHUNK = 2 << 20;
const RETRY_SECONDS = [1, 2, 4, 8, 15];

export const uploads = [];
const changes = new EventTarget();

export function watchUploads(listener, signal) {
  changes.addEventListener("change", (event) => listener(event.detail), { signal });
}

const tell = (upload) => changes.dispatchEvent(new CustomEvent("change", { detail: upload }));
const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

function remember() {
  const begun = uploads.filter((upload) => upload.id && !["done", "failed"].includes(upload.state));
  const kept = begun.map(({ id, name, size, lastModified, sent }) => ({
    id,
    name,
    size,
    lastModified,
    sent,
  }));
  localStorage.setItem(STORE, JSON.stringify(kept));
}

// Those of an earlier visit wait until their file is chosen again: a page may not keep it.
export function recall() {
  let kept = [];
  try {
    kept = JSON.parse(localStorage.getItem(STORE)) || [];
  } catch {
    /* not ours */
  }
  for (const upload of kept) uploads.push({ ...upload, file: null, state: "paused", error: null });
}

const same = (upload, file) =>
  upload.name === file.name &&
  upload.size === file.size &&
  upload.lastModified === file.lastModified;

export function addFiles(files) {
  for (const file of files) {
    const begun = uploads.find((upload) => upload.state === "paused" && same(upload, file));
    if (begun) Object.assign(begun, { file, state: "waiting" });
    else
      uploads.unshift({
        id: null,
        name: file.name,
        size: file.size,
        lastModified: file.lastModified,
        file,
        sent: 0,
        state: "waiting",
        error: tooLarge(file),
      });
  }
  for (const upload of uploads)
    if (upload.error && upload.state === "waiting") upload.state = "failed";
  tell(null);
  pump();
}

function tooLarge(file) {
  const limit = server.status?.limits?.upload_bytes;
  if (!file.size)
    return { message: "The file is empty.", hint: "Choose another copy of the song." };
  if (!limit || file.size <= limit) return null;
  return {
    message: `The file is larger than the server takes (${Math.round(limit / 1e6)} MB).`,
    hint: "Choose a smaller file, or start karaoke serve with a larger --max-upload.",
  };
}

function pump() {
  const busy = uploads.filter(
    (upload) => upload.state === "sending" || upload.state === "retrying",
  ).length;
  const next = uploads.filter((upload) => upload.state === "waiting" && upload.file).reverse();
  for (const upload of next.slice(0, Math.max(0, AT_ONCE - busy))) run(upload);
}

async function run(upload) {
  upload.state = "sending";
  upload.error = null;
  upload.control = new AbortController();
  tell(upload);
  try {
    await send(upload);
  } catch (error) {
    if (error.name !== "AbortError") Object.assign(upload, { state: "failed", error });
  }
  remember();
  tell(upload);
  pump();
}

async function offsetOf(upload) {
  try {
    const answer = await ask("HEAD", `/uploads/${upload.id}`, undefined, { raw: true });
    return Number(answer.headers.get("Upload-Offset"));
  } catch (error) {
    if (!(error instanceof ApiError) || ![404, 410].includes(error.status)) throw error;
    upload.id = null; // swept away meanwhile, so that it begins anew
    return 0;
  }
}

async function begin(upload) {
  if (upload.id) upload.sent = await offsetOf(upload);
  if (upload.id) return;
  const answer = await post("/uploads", { name: upload.name, size: upload.size });
  Object.assign(upload, { id: answer.id, chunk: answer.chunk_bytes, sent: answer.offset });
  remember();
}

async function send(upload) {
  for (let tries = 0; ;) {
    try {
      await begin(upload);
      await sendRest(upload, () => {
        tries = 0;
      });
      return;
    } catch (error) {
      if (upload.control.signal.aborted) throw new DOMException("cancelled", "AbortError");
      if (!passing(error) || tries > 30) throw error;
      Object.assign(upload, { state: "retrying", error });
      tell(upload);
      await Promise.race([
        wait(RETRY_SECONDS[Math.min(tries++, 4)]),
        new Promise((back) => addEventListener("online", back, { once: true })),
      ]);
      if (upload.control.signal.aborted) throw error;
    }
  }
}

// A full queue or disk needs a person; a lost network or a restart does not.
function passing(error) {
  return error instanceof NetworkError || [408, 429, 500, 502, 503, 504].includes(error.status);
}

async function sendRest(upload, onsent) {
  const chunk = Math.min(
    LARGEST_CHUNK,
    upload.chunk || server.status?.limits?.chunk_bytes || LARGEST_CHUNK,
  );
  for (;;) {
    const from = upload.sent;
    const blob = upload.file.slice(from, from + chunk);
    const onprogress = (loaded) => {
      upload.sent = from + Math.min(loaded, blob.size);
      tell(upload);
    };
    let answer;
    try {
      answer = await sendChunk(upload.id, from, blob, {
        onprogress,
        signal: upload.control.signal,
      });
    } catch (error) {
      upload.sent = from;
      throw error;
    }
    upload.sent = answer.offset;
    Object.assign(upload, { state: "sending", error: null });
    onsent();
    if (answer.song) return finish(upload, answer.song);
    remember();
    tell(upload);
  }
}

function finish(upload, song) {
  upload.state = "done";
  uploads.splice(uploads.indexOf(upload), 1);
  remember();
  putSong(song);
}

export function retry(upload) {
  Object.assign(upload, { state: upload.file ? "waiting" : "paused", error: null });
  tell(upload);
  pump();
}

export async function cancel(upload) {
  upload.control?.abort();
  uploads.splice(uploads.indexOf(upload), 1);
  remember();
  tell(null);
  pump();
  if (upload.id) await remove(`/uploads/${upload.id}`).catch(() => {});
}
