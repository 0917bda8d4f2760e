// Keeps the page itself for when the network is away. Never songs: they would fill a phone.

const CACHE = "karaoke-shell";
const FILES = [
  "adding",
  "app",
  "api",
  "cards",
  "dom",
  "drawer",
  "editor",
  "keyboard",
  "lines",
  "live",
  "more",
  "music",
  "player",
  "qr",
  "queue",
  "sing",
  "songs",
  "stage",
  "takeaway",
  "tapping",
  "uploads",
  "waves",
].map((name) => `/static/${name}.js`);
const SHELL = [
  "/",
  "/manifest.webmanifest",
  "/static/style.css",
  "/static/sing.css",
  "/static/icon.svg",
  "/static/icon-192.png",
  "/static/probe.opus",
  ...FILES,
];

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(SHELL))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// The server is near and its page may be newer, so the cache is asked only when it is silent.
async function shell(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

self.addEventListener("fetch", (event) => {
  const { pathname, search, origin } = new URL(event.request.url);
  if (
    event.request.method !== "GET" ||
    origin !== location.origin ||
    !SHELL.includes(pathname) ||
    search
  )
    return;
  event.respondWith(shell(event.request));
});
