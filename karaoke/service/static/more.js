// What is wanted seldom: chords, the lag of a speaker, loops, names, keys.

import { ask } from "./api.js";
import { clock, dialog, el, icon, length, setVariables, toast } from "./dom.js";
import { fullScreen, keysDialog } from "./keyboard.js";
import { putSong, readOnly } from "./live.js";
import { signed } from "./music.js";

export function moreDialog(view) {
  const { box } = dialog(
    "More",
    chords(view),
    offset(view.player),
    loops(view.player),
    readOnly() ? null : names(view),
    el(
      "div",
      { className: "actions" },
      document.fullscreenEnabled &&
        el(
          "button",
          {
            type: "button",
            className: "plain",
            onclick: () => {
              box.close("");
              fullScreen();
            },
          },
          icon("full"),
          "Full screen",
        ),
      el(
        "button",
        {
          type: "button",
          className: "plain keys-button",
          onclick: () => {
            box.close("");
            keysDialog();
          },
        },
        icon("keys"),
        "Keys",
      ),
    ),
  );
}

function chords({ stage, hasChords }) {
  const check = el("input", {
    type: "checkbox",
    role: "switch",
    checked: stage.chords,
    disabled: !hasChords,
  });
  check.addEventListener("change", () => stage.setChords(check.checked));
  return el(
    "label",
    { className: "switch" },
    el(
      "span",
      {},
      el("strong", {}, "Chords over the words"),
      el("small", {}, hasChords ? "They move with the key." : "The song's chords are not known."),
    ),
    check,
  );
}

function offset(player) {
  const slider = el("input", {
    type: "range",
    min: -500,
    max: 1000,
    step: 10,
    value: player.offset,
    "aria-label": "Delay of the words",
  });
  const value = el("output", {});
  const show = () => {
    value.textContent = `${signed(player.offset)} ms`;
    slider.setAttribute("aria-valuetext", value.textContent);
    setVariables(slider, { at: `${((player.offset + 500) / 1500) * 100}%` });
  };
  slider.addEventListener("input", () => {
    player.setOffset(Number(slider.value));
    show();
  });
  const reset = el(
    "button",
    {
      type: "button",
      className: "plain small",
      onclick: () => {
        slider.value = 0;
        player.setOffset(0);
        show();
      },
    },
    "Reset",
  );
  show();
  return el(
    "section",
    { className: "setting" },
    el("strong", {}, "Delay of the words"),
    el(
      "small",
      {},
      "Bluetooth speakers play late. Raise this until the words light up when you hear them. It is kept on this device.",
    ),
    el("div", { className: "row" }, slider, value, reset),
  );
}

function loops(player) {
  const text = el("output", {});
  const show = () => {
    text.textContent = player.loop
      ? `${clock(player.loop.start)} to ${clock(player.loop.end)}`
      : "off";
    player.tell();
  };
  const from = () => {
    player.loop = {
      start: player.time,
      end: Math.max(
        player.loop?.end ?? 0,
        player.time + 1,
        player.loop?.end > player.time ? 0 : player.duration,
      ),
    };
    show();
  };
  const to = () => {
    player.loop = {
      start: Math.min(player.loop?.start ?? 0, Math.max(0, player.time - 1)),
      end: player.time,
    };
    show();
  };
  show();
  const button = (label, onclick) =>
    el("button", { type: "button", className: "plain small", onclick }, label);
  return el(
    "section",
    { className: "setting" },
    el("strong", {}, "Loop", text),
    el("small", {}, "Play on, and press where it should begin and end."),
    el(
      "div",
      { className: "row" },
      button("From here", from),
      button("To here", to),
      button("Off", () => {
        player.loop = null;
        show();
      }),
    ),
  );
}

function names(view) {
  const title = el("input", {
    type: "text",
    value: view.song.title || "",
    "aria-label": "Title",
    placeholder: "Title",
    maxLength: 300,
  });
  const artist = el("input", {
    type: "text",
    value: view.song.artist || "",
    "aria-label": "Artist",
    placeholder: "Artist",
    maxLength: 300,
  });
  const save = el("button", { type: "submit", className: "plain small" }, "Save");
  const form = el(
    "form",
    { className: "setting" },
    el("strong", {}, "Title and artist"),
    el("div", { className: "row names" }, title, artist, save),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const song = await ask("PATCH", `/songs/${encodeURIComponent(view.song.id)}`, {
        title: title.value.trim(),
        artist: artist.value.trim(),
      });
      putSong(song);
      document.querySelector(".sing-title h1").textContent = song.title || song.name;
      document.querySelector(".sing-title p").textContent = [song.artist, length(song.seconds)]
        .filter(Boolean)
        .join(" · ");
      toast("Saved.", "note");
    } catch (error) {
      toast(error);
    }
  });
  return form;
}
