// Names of keys and chords, moved by semitones.

const SHARP = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
const FLAT = ["C", "D♭", "D", "E♭", "E", "F", "G♭", "G", "A♭", "A", "B♭", "B"];
// Major keys that are written with flats; a minor key is written as the major three semitones above.
const FLAT_MAJORS = new Set([1, 3, 5, 8, 10]);

function pitchOf(name) {
  const match = /^([A-G])([#♯b♭]*)/.exec(name || "");
  if (!match) return null;
  const signs = [...match[2]].reduce((sum, sign) => sum + ("#♯".includes(sign) ? 1 : -1), 0);
  return {
    pitch: { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 }[match[1]] + signs,
    length: match[0].length,
  };
}

const around = (pitch) => ((pitch % 12) + 12) % 12;

export function keyName(key, semitones = 0) {
  const found = key && pitchOf(key.tonic || key.name);
  if (!found) return null;
  const pitch = around(found.pitch + semitones);
  const minor = /min/.test(key.mode || key.name);
  const names = FLAT_MAJORS.has(around(pitch + (minor ? 3 : 0))) ? FLAT : SHARP;
  return names[pitch] + (minor ? "m" : "");
}

export function flatsIn(key, semitones) {
  return /♭|^(F|Dm|Gm|Cm)$/.test(keyName(key, semitones) || "");
}

// "Am7" two down is "Gm7"; "C/E" moves both.
export function moved(chord, semitones, flats) {
  return chord
    .split("/")
    .map((part) => {
      const found = pitchOf(part);
      if (!found) return part;
      return (flats ? FLAT : SHARP)[around(found.pitch + semitones)] + part.slice(found.length);
    })
    .join("/");
}

export function signed(number) {
  return number > 0 ? `+${number}` : number < 0 ? `−${-number}` : "0";
}

// Faders go from "off" at the bottom through steps of one decibel.
export const OFF_DB = -40;

export function levelText(db) {
  return db <= OFF_DB ? "off" : `${signed(db)} dB`;
}

export function gainOf(db) {
  return db <= OFF_DB ? 0 : 10 ** (db / 20);
}
