// The words, large: what is sung fills from the side where reading begins, what comes is dimmed.

import { el, setVariables } from "./dom.js";
import { topAt } from "./lines.js";
import { flatsIn, moved } from "./music.js";

const ROOM_LINES = 4;
const SMALLEST = 0.5;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Stage {
  constructor(online) {
    this.dots = el("div", { className: "dots", "aria-hidden": "true" });
    this.column = el("div", { className: "column" });
    this.root = el(
      "div",
      { className: "stage", lang: "" },
      el("div", { className: "fit" }, this.dots, this.column),
    );
    this.online = online;
    this.lines = [];
    this.shown = [];
    this.top = -1;
    this.chords = localStorage.getItem("karaoke.chords") === "yes";
    this.watcher = new ResizeObserver(() => this.relay());
    this.watcher.observe(this.root);
  }

  setLines(lines, language, song) {
    Object.assign(this, { lines, song, key: 0, made: new Map() });
    this.root.lang = language || "";
    this.relay();
  }

  setKey(semitones) {
    this.key = semitones;
    this.made = new Map();
    this.relay();
  }

  setChords(chords) {
    this.chords = chords;
    localStorage.setItem("karaoke.chords", chords ? "yes" : "no");
    this.setKey(this.key);
  }

  relay() {
    this.top = -1;
    if (this.time !== undefined) this.show(this.time);
  }

  element(index) {
    if (!this.made.has(index)) this.made.set(index, this.make(this.lines[index]));
    return this.made.get(index);
  }

  make(line) {
    const flats = flatsIn(this.song?.key, this.key);
    const withChords = this.chords && this.lines.some((other) => other.chords.size);
    const words = line.words.map((word, index) => {
      const names = (line.chords.get(index) || []).map((name) => moved(name, this.key, flats));
      const chord =
        withChords &&
        el(
          "span",
          { className: "chord", dir: "ltr", "aria-hidden": "true" },
          names.join(" ") || "\u00a0",
        );
      return el(
        "span",
        { className: "word" },
        chord,
        word.map((syllable) =>
          el(
            "span",
            { className: "syllable", "data-start": syllable.start, "data-end": syllable.end },
            syllable.text,
          ),
        ),
      );
    });
    const classes = ["line", line.voice !== null && `voice-${line.voice}`, withChords && "chorded"]
      .filter(Boolean)
      .join(" ");
    const spaced = words.flatMap((word, index) => (index ? [" ", word] : [word]));
    const name = line.voice !== null && el("span", { className: "singer" }, line.singer);
    const element = el("p", { className: classes, dir: line.rtl ? "rtl" : "ltr" }, name, spaced);
    return {
      element,
      syllables: [...element.querySelectorAll(".syllable")],
      flat: line.words.flat(),
    };
  }

  show(time) {
    this.time = time;
    if (!this.lines.length) return;
    const top = topAt(this.lines, time);
    if (top !== this.top) this.turn(top);
    this.count(time);
    for (const index of this.shown) this.fill(index, time);
  }

  // As many lines as there is room for; the last one that would be cut off is left out.
  turn(top) {
    const onward = this.top >= 0 && top === this.top + 1;
    const old = new Map(
      this.shown.map((index) => [index, this.element(index).element.getBoundingClientRect().top]),
    );
    this.top = top;
    this.column.replaceChildren();
    this.shown = [];
    setVariables(this.root, { scale: 1 });
    this.countSpace();
    const room = this.root.clientHeight - 8;
    for (let index = top; index < Math.min(top + ROOM_LINES, this.lines.length); index += 1) {
      this.column.append(this.element(index).element);
      if (index > top && this.column.parentElement.offsetHeight > room) {
        this.element(index).element.remove();
        break;
      }
      this.shown.push(index);
    }
    for (
      let scale = 0.92;
      scale > SMALLEST && this.column.parentElement.offsetHeight > room;
      scale *= 0.92
    )
      setVariables(this.root, { scale });
    if (onward && !calm.matches) this.glide(old);
    this.online(this.lines[top]);
  }

  glide(old) {
    for (const index of this.shown) {
      const { element } = this.element(index);
      const from = old.has(index) ? old.get(index) - element.getBoundingClientRect().top : 24;
      const opacity = old.has(index) ? 1 : 0;
      element.animate(
        [
          { transform: `translateY(${from}px)`, opacity },
          { transform: "none", opacity: 1 },
        ],
        { duration: 320, easing: "cubic-bezier(.2,.7,.2,1)" },
      );
    }
  }

  countSpace() {
    this.dots.hidden = !this.lines[this.top].rest;
  }

  // Three dots go out one by one before an entry; a longer rest says how long it is.
  count(time) {
    const line = this.lines[this.top];
    if (!line.rest) return;
    const left = line.start - time;
    const state =
      left <= 0 ? "now" : left > 3.05 ? `rest ${Math.ceil(left)}` : `dots ${Math.ceil(left)}`;
    if (this.dots.dataset.state === state) return;
    this.dots.dataset.state = state;
    this.dots.classList.toggle("over", left <= 0);
    const lit = Math.min(3, Math.ceil(left));
    const dots = [1, 2, 3].map((number) =>
      el("i", { className: number <= lit ? "dot" : "dot out" }),
    );
    this.dots.replaceChildren(...dots, left > 3.05 ? el("span", {}, `${Math.ceil(left)} s`) : "");
  }

  fill(index, time) {
    const line = this.lines[index];
    const { element, syllables, flat } = this.element(index);
    const state =
      time >= line.end
        ? "sung"
        : time >= line.start
          ? "singing"
          : index === this.top && line.start - time < 3
            ? "soon"
            : "";
    if (element.dataset.state !== state) element.dataset.state = state;
    flat.forEach((syllable, number) => {
      const span = syllables[number];
      const now = time >= syllable.start && time < syllable.end;
      const done =
        time >= syllable.end
          ? 1
          : !now
            ? 0
            : line.wordTimes
              ? (time - syllable.start) / (syllable.end - syllable.start)
              : 1;
      span.classList.toggle("now", now);
      if (span.done === done) return;
      span.done = done;
      setVariables(span, { done: `${(done * 100).toFixed(1)}%` });
    });
  }

  close() {
    this.watcher.disconnect();
  }
}
