// The drawer below the words: transport, key, tempo, and one row for each stem.

import { clock, el, icon, iconButton, setIcon, setVariables } from "./dom.js";
import { OFF_DB, keyName, levelText, signed } from "./music.js";
import { STEMS } from "./player.js";
import { Wave, unpack } from "./waves.js";

const NAMES = { vocals: "Voice", instrumental: "Band" };
const TEMPOS = { least: 50, most: 200, step: 5 };

export class Drawer {
  constructor(player, { onloop, ondownload, onmore }) {
    Object.assign(this, { player, waves: {}, rows: {} });
    this.play = iconButton("play", "Play", () => player.toggle(), { className: "round play" });
    this.time = el("span", { className: "time" });
    this.key = stepper("Key", (step) => player.setKey(clamp(player.wantedKey + step, -12, 12)));
    this.tempo = stepper("Tempo", (step) => this.setTempo(step));
    this.loop = iconButton("loop", "Loop this line", onloop, { "aria-pressed": "false" });
    const download = iconButton("down", "Download", ondownload);
    const more = iconButton("more", "More", onmore);
    this.handle = el("button", {
      type: "button",
      className: "handle",
      onclick: () => this.fold(!this.folded),
    });
    const transport = el(
      "div",
      { className: "transport" },
      el("div", { className: "start" }, this.play, this.time),
      el("div", { className: "side" }, this.loop, download, more),
      el("div", { className: "steppers" }, this.key.root, this.tempo.root),
    );
    this.root = el(
      "section",
      { className: "sheet", "aria-label": "Controls" },
      this.handle,
      transport,
      el(
        "div",
        { className: "stems" },
        STEMS.map((stem, index) => this.row(stem, index)),
      ),
    );
    this.fold(startsFolded());
    player.addEventListener("change", () => this.show());
    this.show();
  }

  fold(folded) {
    this.folded = folded;
    this.root.classList.toggle("folded", folded);
    this.handle.setAttribute("aria-expanded", String(!folded));
    this.handle.setAttribute("aria-label", folded ? "Show the faders" : "Hide the faders");
    this.handle.title = folded ? "Show the faders" : "Hide the faders";
    this.handle.replaceChildren(icon("chevron"));
    if (this.settled) localStorage.setItem("karaoke.folded", folded ? "yes" : "no");
    this.settled = true;
  }

  setTempo(step) {
    const { least, most } = TEMPOS;
    this.player.setTempo(
      clamp(Math.round(this.player.tempo * 100) + step * TEMPOS.step, least, most) / 100,
    );
  }

  row(stem, index) {
    const { player } = this;
    const name = NAMES[stem];
    const canvas = el("canvas", { "aria-hidden": "true" });
    const seek = el("div", { className: "wave" }, canvas);
    this.seekable(seek, index === 0);
    const fader = el("input", {
      type: "range",
      min: OFF_DB,
      max: 6,
      step: 1,
      "aria-label": `${name} level`,
    });
    fader.addEventListener("input", () => player.setLevel(stem, { db: Number(fader.value) }));
    const value = el("output", {});
    const mute = el(
      "button",
      {
        type: "button",
        className: "round letter",
        "aria-label": `Mute ${name.toLowerCase()}`,
        title: `Mute ${name.toLowerCase()}`,
        onclick: () => player.setLevel(stem, { muted: !player.levels[stem].muted }),
      },
      "M",
    );
    const solo = el(
      "button",
      {
        type: "button",
        className: "round letter",
        "aria-label": `${name} alone`,
        title: `${name} alone`,
        onclick: () => player.setLevel(stem, { solo: !player.levels[stem].solo }),
      },
      "S",
    );
    this.waves[stem] = new Wave(canvas);
    this.rows[stem] = { fader, value, mute, solo };
    return el(
      "div",
      { className: `stem ${stem}` },
      seek,
      el(
        "div",
        { className: "mix" },
        el("span", { className: "name" }, name),
        fader,
        value,
        mute,
        solo,
      ),
    );
  }

  // Press or drag; the sound follows when let go.
  seekable(wave, first) {
    const at = (event) => {
      const box = wave.getBoundingClientRect();
      return clamp((event.clientX - box.left) / box.width, 0, 1) * this.player.duration;
    };
    wave.addEventListener("pointerdown", (event) => {
      wave.setPointerCapture(event.pointerId);
      this.dragged = at(event);
    });
    wave.addEventListener("pointermove", (event) => {
      if (this.dragged !== undefined) this.dragged = at(event);
    });
    wave.addEventListener("pointerup", (event) => {
      this.player.seek(at(event));
      this.dragged = undefined;
    });
    wave.addEventListener("pointercancel", () => {
      this.dragged = undefined;
    });
    if (!first) return wave.setAttribute("aria-hidden", "true");
    for (const [name, value] of Object.entries({
      role: "slider",
      tabindex: "0",
      "aria-label": "Position",
      "aria-valuemin": "0",
    }))
      wave.setAttribute(name, value);
    this.slider = wave;
  }

  setPeaks(peaks) {
    const { stems, perSecond } = unpack(peaks);
    Object.assign(this, { heights: stems, perSecond });
    for (const [stem, wave] of Object.entries(this.waves))
      if (stems[stem]) wave.setHeights(stems[stem]);
  }

  // How loud the band should be now, of the peaks.
  expected(stem, time) {
    return this.heights?.[stem]?.[Math.floor(time * this.perSecond)] ?? 0;
  }

  show() {
    const { player } = this;
    setIcon(this.play, player.playing ? "pause" : "play", player.playing ? "Pause" : "Play");
    this.showKey();
    this.tempo.value.textContent = `${Math.round(player.tempo * 100)} %`;
    this.loop.setAttribute("aria-pressed", String(Boolean(player.loop)));
    for (const stem of STEMS) {
      const { fader, value, mute, solo } = this.rows[stem];
      const { db, muted, solo: alone } = player.levels[stem];
      fader.value = db;
      fader.setAttribute("aria-valuetext", levelText(db));
      setVariables(fader, { at: `${((db - OFF_DB) / (6 - OFF_DB)) * 100}%` });
      value.textContent = levelText(db);
      mute.setAttribute("aria-pressed", String(muted));
      solo.setAttribute("aria-pressed", String(alone));
      fader.closest(".stem").classList.toggle("silent", player.heardDb(stem) <= OFF_DB);
    }
  }

  showKey() {
    const { song, key, wantedKey } = this.player;
    const from = keyName(song.key);
    const changing = wantedKey !== key;
    this.key.root.classList.toggle("changing", changing);
    this.key.value.textContent = !from
      ? `Key ${wantedKey ? signed(wantedKey) : "0"}`
      : wantedKey
        ? `${from} → ${keyName(song.key, wantedKey)}`
        : `Key ${from}`;
    this.key.value.title = wantedKey ? `${signed(wantedKey)} semitones` : "The song's own key";
  }

  tick() {
    const { player } = this;
    const time = this.dragged ?? player.time;
    const { duration } = player;
    const text = `${clock(time)} / ${clock(Math.round(duration))}`;
    if (this.time.textContent !== text) {
      this.time.textContent = text;
      this.slider.setAttribute("aria-valuemax", String(Math.floor(duration)));
      this.slider.setAttribute("aria-valuenow", String(Math.floor(time)));
      this.slider.setAttribute("aria-valuetext", `${clock(time)} of ${clock(duration)}`);
    }
    const loop = player.loop && {
      start: player.loop.start / duration,
      end: Math.min(1, player.loop.end / duration),
    };
    for (const wave of Object.values(this.waves)) wave.setPlayed(time / duration, loop);
  }

  close() {
    for (const wave of Object.values(this.waves)) wave.close();
  }
}

// What is heard, in words.
export function mixText(player) {
  const levels = Object.keys(NAMES).map(
    (stem) => `${NAMES[stem]} ${levelText(player.heardDb(stem))}`,
  );
  if (player.key) levels.push(`key ${signed(player.key)}`);
  if (player.tempo !== 1) levels.push(`${Math.round(player.tempo * 100)} % tempo`);
  return levels.join(", ");
}

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

// On a low screen the words need the room more than the faders do.
function startsFolded() {
  const kept = localStorage.getItem("karaoke.folded");
  return kept ? kept === "yes" || innerHeight < 480 : innerHeight < 560;
}

function stepper(name, onstep) {
  const value = el("output", { className: "value" });
  const root = el(
    "div",
    { className: "stepper", role: "group", "aria-label": name },
    iconButton("minus", `${name} down`, () => onstep(-1)),
    value,
    iconButton("plus", `${name} up`, () => onstep(1)),
  );
  return { root, value };
}
