// Calls of the REST interface; what it does is in openapi.json.

export const ROOT = "/api/v1";

export class ApiError extends Error {
  constructor(status, { code = "", message = "", hint = "" } = {}) {
    super(message || `The server answered with ${status}.`);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

export class NetworkError extends Error {
  constructor() {
    super("The computer that runs karaoke does not answer.");
    this.hint =
      "See that it is on, that karaoke serve runs, and that this device is in the same network.";
  }
}

// What asks for the code, set by app.js; resolves once the code was right.
let askForCode = null;
export function onLocked(ask) {
  askForCode = ask;
}

function bodyOf(content) {
  if (content === undefined) return [undefined, {}];
  if (content instanceof Blob) return [content, { "Content-Type": "application/octet-stream" }];
  return [JSON.stringify(content), { "Content-Type": "application/json" }];
}

export async function failure(response) {
  const answer = await response.json().catch(() => ({}));
  return new ApiError(response.status, answer.error);
}

export async function ask(method, path, content, { headers = {}, raw = false } = {}) {
  const [body, type] = bodyOf(content);
  const own = method === "GET" || method === "HEAD" ? {} : { "X-Karaoke": "1" };
  let response;
  try {
    response = await fetch(ROOT + path, { method, body, headers: { ...own, ...type, ...headers } });
  } catch {
    throw new NetworkError();
  }
  if (response.status === 401 && path !== "/pair" && askForCode) {
    await askForCode();
    return ask(method, path, content, { headers, raw });
  }
  if (!response.ok) throw await failure(response);
  if (raw) return response;
  return response.status === 204 ? null : response.json();
}

export const get = (path) => ask("GET", path);
export const post = (path, content) => ask("POST", path, content);
export const put = (path, content) => ask("PUT", path, content);
export const remove = (path) => ask("DELETE", path);

export function query(values) {
  const known = Object.entries(values).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  return known.length ? `?${new URLSearchParams(known)}` : "";
}

// fetch() tells nothing about bytes on their way, so chunks go by XMLHttpRequest.
export function sendChunk(id, offset, blob, { onprogress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", `${ROOT}/uploads/${id}`);
    request.setRequestHeader("X-Karaoke", "1");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("Upload-Offset", String(offset));
    request.responseType = "json";
    request.upload.onprogress = (event) => onprogress(event.loaded);
    request.onload = () => {
      const answer = request.response || {};
      if (request.status === 200 || (request.status === 409 && "offset" in answer)) resolve(answer);
      else reject(new ApiError(request.status, answer.error));
    };
    request.onerror = request.ontimeout = () => reject(new NetworkError());
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(blob);
  });
}
