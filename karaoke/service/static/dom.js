// Elements made of text alone: titles come from tags of files, so that text must stay text.

export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "vars") setVariables(element, value);
    else if (key in element && !key.includes("-") && key !== "list") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

// The policy allows no style attributes, but custom properties set by script.
export function setVariables(element, values) {
  for (const [name, value] of Object.entries(values)) element.style.setProperty(`--${name}`, value);
}

const PATHS = {
  play: "M7 4.5v15l13-7.5z",
  pause: "M6 4.5h4v15H6zM14 4.5h4v15h-4z",
  back: "M15 5l-7 7 7 7",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  bin: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  down: "M12 4v11M7 11l5 5 5-5M5 20h14",
  up: "M12 16V5M7 9l5-5 5 5M5 20h14",
  loop: "M17 3l3 3-3 3M4 12V9a3 3 0 013-3h13M7 21l-3-3 3-3M20 12v3a3 3 0 01-3 3H4",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  words: "M4 6h16M4 11h10M4 16h13M4 21h7",
  search: "M11 4a7 7 0 110 14 7 7 0 010-14zM16 16l5 5",
  chevron: "M6 9l6 6 6-6",
  first: "M12 19V6M6 11l6-6 6 6",
  undo: "M9 7L4 12l5 5M4 12h10a6 6 0 016 6v1",
  full: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  phone:
    "M8 2.5h8a1.5 1.5 0 011.5 1.5v16a1.5 1.5 0 01-1.5 1.5H8A1.5 1.5 0 016.5 20V4A1.5 1.5 0 018 2.5zM11 18.5h2",
  mic: "M12 3a3.5 3.5 0 013.5 3.5v5a3.5 3.5 0 01-7 0v-5A3.5 3.5 0 0112 3zM5 11.5a7 7 0 0014 0M12 18.5V22M8.5 22h7",
  queue: "M4 6h16M4 12h16M4 18h9",
  keys: "M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M7 14h10",
};
const FILLED = new Set(["play", "pause"]);
const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export function icon(name) {
  const shape = svg("path", { d: PATHS[name] });
  return svg(
    "svg",
    {
      viewBox: "0 0 24 24",
      class: FILLED.has(name) ? "icon filled" : `icon icon-${name}`,
      "aria-hidden": "true",
    },
    shape,
  );
}

export function setIcon(button, name, label) {
  button.replaceChildren(icon(name));
  button.setAttribute("aria-label", label);
  button.title = label;
}

export function iconButton(name, label, onclick, attributes = {}) {
  return el(
    "button",
    {
      type: "button",
      className: "round",
      "aria-label": label,
      title: label,
      onclick,
      ...attributes,
    },
    icon(name),
  );
}

export function clock(seconds) {
  if (!Number.isFinite(seconds)) return "–:––";
  const whole = Math.max(0, Math.floor(seconds));
  const rest = String(whole % 60).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

// Of a whole song.
export const length = (seconds) => clock(Math.round(seconds));

export function bytes(count) {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)} GB`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} MB`;
  return `${Math.max(1, Math.round(count / 1e3))} kB`;
}

// One hue a song, of its name, for its cover and the light on its stage.
export function hueOf(text) {
  let hash = 7;
  for (const character of text) hash = (hash * 31 + character.codePointAt(0)) % 9973;
  return hash % 360;
}

export function cover(song) {
  if (song.cover)
    return el("img", {
      className: "cover",
      src: `/api/v1/songs/${song.id}/cover`,
      alt: "",
      loading: "lazy",
    });
  const hue = hueOf(song.title || song.name);
  const bars = Array.from({ length: 9 }, (_, index) => {
    const height = 14 + ((hue * (index + 3) * 7) % 37) * (1 - Math.abs(index - 4) / 7);
    return svg("rect", { x: 17 + index * 7.6, y: 50 - height / 2, width: 4.4, height, rx: 2.2 });
  });
  const drawn = svg(
    "svg",
    { viewBox: "0 0 100 100", class: "cover drawn", "aria-hidden": "true" },
    ...bars,
  );
  setVariables(drawn, { hue });
  return drawn;
}

export function ring(progress) {
  const known = progress !== null && progress !== undefined;
  const turn = svg("circle", {
    cx: 22,
    cy: 22,
    r: 18,
    pathLength: 100,
    class: "ring-done",
    "stroke-dasharray": known ? `${progress * 100} 100` : "25 100",
  });
  const drawn = svg(
    "svg",
    { viewBox: "0 0 44 44", class: known ? "ring" : "ring turning", "aria-hidden": "true" },
    svg("circle", { cx: 22, cy: 22, r: 18, class: "ring-all" }),
    turn,
  );
  if (!known) return drawn;
  const text = svg("text", { x: 22, y: 26, "text-anchor": "middle" });
  text.textContent = `${Math.floor(progress * 100)}`;
  drawn.append(text);
  return drawn;
}

// Progress comes often, and a button that is replaced under a thumb loses the press. So a row whose
// data-sign is unchanged stays, and only its live parts change.
export function refresh(old, made) {
  if (!old || old.dataset.sign !== made.dataset.sign) return made;
  const fresh = made.querySelectorAll("[data-live]");
  old.querySelectorAll("[data-live]").forEach((part, index) => part.replaceWith(fresh[index]));
  return old;
}

export function update(list, rows) {
  const old = new Map([...list.children].map((row) => [row.dataset.sign, row]));
  const kept = rows.map((row) => refresh(old.get(row.dataset.sign), row));
  for (const row of [...list.children]) if (!kept.includes(row)) row.remove();
  kept.forEach((row, index) => {
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
}

let toasts;

// `error` may be what the server said, what the network said, or a plain sentence.
export function toast(error, kind = "error") {
  toasts ??= document.getElementById("toasts");
  const text = typeof error === "string" ? error : error.message;
  const hint = typeof error === "string" ? "" : error.hint;
  const box = el(
    "div",
    { className: `toast ${kind}`, role: kind === "error" ? "alert" : "status" },
    el("div", {}, el("strong", {}, text), hint && el("p", {}, hint)),
  );
  const shut = () => box.remove();
  box.append(iconButton("close", "Dismiss", shut));
  for (const old of [...toasts.children].slice(0, -2)) old.remove();
  toasts.append(box);
  setTimeout(shut, kind === "error" ? 12000 : 4000);
}

export function say(text) {
  document.getElementById("said").textContent = text;
}

// A dialog that is gone when closed. Resolves with its returnValue.
export function dialog(title, ...children) {
  const shut = iconButton("close", "Close", () => box.close(""));
  const heading = el("h2", { id: `title-${Math.random().toString(36).slice(2)}` }, title);
  const box = el(
    "dialog",
    { "aria-labelledby": heading.id },
    el("header", {}, heading, shut),
    ...children,
  );
  box.addEventListener("click", (event) => {
    if (event.target === box) box.close("");
  });
  document.body.append(box);
  box.showModal();
  const closed = new Promise((resolve) =>
    box.addEventListener("close", () => {
      box.remove();
      resolve(box.returnValue);
    }),
  );
  return { box, closed };
}

export async function confirmed(title, text, action) {
  const { box, closed } = dialog(
    title,
    el("p", {}, text),
    el(
      "div",
      { className: "actions" },
      el("button", { type: "button", className: "plain", onclick: () => box.close("") }, "Keep it"),
      el(
        "button",
        { type: "button", className: "danger", onclick: () => box.close("yes") },
        action,
      ),
    ),
  );
  return (await closed) === "yes";
}
