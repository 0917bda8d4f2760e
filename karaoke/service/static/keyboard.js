// Keys of the Sing page. A control that has the focus keeps the keys that it uses itself.

import { dialog, el } from "./dom.js";
import { OFF_DB, levelText } from "./music.js";
import { say } from "./dom.js";

const HELP = [
  ["Space", "play, pause"],
  ["← →", "5 seconds back, on"],
  ["+ −", "the voice louder, softer"],
  ["1 2", "mute voice, band"],
  ["Q W", "voice alone, band alone"],
  ["[ ]", "a semitone lower, higher"],
  [", .", "slower, faster"],
  ["L", "loop this line"],
  ["C", "chords over the words"],
  ["H", "hide, show the faders"],
  ["F", "full screen"],
  ["?", "these keys"],
];

export function keysDialog() {
  dialog(
    "Keys",
    el(
      "dl",
      { className: "keys" },
      HELP.map(([key, text]) =>
        el(
          "div",
          {},
          el(
            "dt",
            {},
            key.split(" ").map((cap) => el("kbd", {}, cap)),
          ),
          el("dd", {}, text),
        ),
      ),
    ),
  );
}

function stepVoice(player, step) {
  const { db } = player.levels.vocals;
  player.setLevel("vocals", { db: Math.min(6, Math.max(OFF_DB, db + step)) });
  say(`Voice ${levelText(player.levels.vocals.db)}`);
}

export function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => {});
}

function actions({ player, stage, drawer, loopLine }) {
  const flip = (stem, what) => () => player.setLevel(stem, { [what]: !player.levels[stem][what] });
  const key = (step) => () => player.setKey(Math.min(12, Math.max(-12, player.wantedKey + step)));
  return {
    " ": () => player.toggle(),
    ArrowLeft: () => player.seek(player.time - 5),
    ArrowRight: () => player.seek(player.time + 5),
    "+": () => stepVoice(player, 1),
    "=": () => stepVoice(player, 1),
    "-": () => stepVoice(player, -1),
    1: flip("vocals", "muted"),
    2: flip("instrumental", "muted"),
    q: flip("vocals", "solo"),
    w: flip("instrumental", "solo"),
    "[": key(-1),
    "]": key(1),
    ",": () => drawer.setTempo(-1),
    ".": () => drawer.setTempo(1),
    l: loopLine,
    c: () => stage.setChords(!stage.chords),
    h: () => drawer.fold(!drawer.folded),
    f: fullScreen,
    "?": keysDialog,
  };
}

export function shortcuts(view) {
  const known = actions(view);
  document.addEventListener(
    "keydown",
    (event) => {
      const { target } = event;
      if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]"))
        return;
      if (target.matches("textarea, select, input:not([type=range])")) return;
      if (event.key === " " && target.matches("button, a, summary")) return;
      if (target.matches("input[type=range]") && /^(Arrow|Home|End|Page)/.test(event.key)) return;
      const act = known[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!act) return;
      event.preventDefault();
      act();
    },
    { signal: view.signal },
  );
}
