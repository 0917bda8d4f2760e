// QR codes of short texts: bytes, low correction, versions 1 to 5 (one block each), mask 0.
// ISO/IEC 18004; that is enough for an address of up to 106 characters.

import { svg } from "./dom.js";

const DATA = [19, 34, 55, 80, 108];
const CHECK = [7, 10, 15, 20, 26];
// Correction level L with mask 0, its check bits, and the standard's own mask over them.
const FORMAT = 0b111011111000100;

function powers() {
  const exponents = [1];
  while (exponents.length < 255) {
    const next = exponents.at(-1) << 1;
    exponents.push(next & 256 ? next ^ 0x11d : next);
  }
  return exponents;
}

const POWERS = powers();
const times = (a, b) => (a && b ? POWERS[(POWERS.indexOf(a) + POWERS.indexOf(b)) % 255] : 0);

function checkBytes(data, count) {
  let generator = [1];
  for (let index = 0; index < count; index += 1) {
    const longer = [...generator, 0];
    generator.forEach((value, at) => {
      longer[at + 1] ^= times(value, POWERS[index]);
    });
    generator = longer;
  }
  const rest = [...data, ...new Array(count).fill(0)];
  data.forEach((_, at) => {
    const factor = rest[at];
    generator.forEach((value, step) => {
      rest[at + step] ^= times(value, factor);
    });
  });
  return rest.slice(data.length);
}

function codewords(text, version) {
  const bytes = [...new TextEncoder().encode(text)];
  const bits =
    [0b0100, bytes.length, ...bytes]
      .map((value, index) => value.toString(2).padStart(index ? 8 : 4, "0"))
      .join("") + "0000";
  const data = bits.match(/.{8}/g).map((byte) => parseInt(byte, 2));
  for (let pad = 0xec; data.length < DATA[version]; pad ^= 0xec ^ 0x11) data.push(pad);
  return [...data, ...checkBytes(data, CHECK[version])];
}

// What readers look for: three finders, the dotted lines between them, one alignment mark.
function frame(size, version) {
  const cells = Array.from({ length: size }, () => new Array(size).fill(null));
  const square = (row, column, radius, ring) => {
    for (let y = -radius; y <= radius; y += 1)
      for (let x = -radius; x <= radius; x += 1) {
        if (cells[row + y]?.[column + x] !== undefined)
          cells[row + y][column + x] = ring.includes(Math.max(Math.abs(x), Math.abs(y)));
      }
  };
  for (const [row, column] of [
    [3, 3],
    [3, size - 4],
    [size - 4, 3],
  ])
    square(row, column, 4, [0, 1, 3]);
  if (version) square(size - 7, size - 7, 2, [0, 2]);
  for (let at = 8; at < size - 8; at += 1) cells[6][at] = cells[at][6] = at % 2 === 0;
  cells[size - 8][8] = true;
  for (let bit = 0; bit < 15; bit += 1) {
    const dark = Boolean((FORMAT >> bit) & 1);
    const near = bit < 6 ? [bit, 8] : bit < 8 ? [bit + 1, 8] : bit === 8 ? [8, 7] : [8, 14 - bit];
    const far = bit < 8 ? [8, size - 1 - bit] : [size - 15 + bit, 8];
    for (const [row, column] of [near, far]) cells[row][column] = dark;
  }
  return cells;
}

function qrCells(text) {
  const length = new TextEncoder().encode(text).length;
  const version = DATA.findIndex((room) => length + 2 <= room);
  if (version < 0) return null;
  const size = 21 + version * 4;
  const cells = frame(size, version);
  const bits = codewords(text, version)
    .map((value) => value.toString(2).padStart(8, "0"))
    .join("");
  let next = 0;
  for (let right = size - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right -= 1;
    for (let step = 0; step < size; step += 1) {
      const row = up ? size - 1 - step : step;
      for (const column of [right, right - 1]) {
        if (cells[row][column] !== null) continue;
        cells[row][column] = (bits[next++] === "1") !== ((row + column) % 2 === 0);
      }
    }
  }
  return cells;
}

export function qrCode(text) {
  const cells = qrCells(text);
  if (!cells) return null;
  const size = cells.length + 8;
  const path = cells
    .flatMap((line, row) =>
      line.map((dark, column) => (dark ? `M${column + 4} ${row + 4}h1v1h-1z` : "")),
    )
    .join("");
  return svg(
    "svg",
    {
      viewBox: `0 0 ${size} ${size}`,
      class: "qr",
      role: "img",
      "aria-label": "QR code of the address",
    },
    svg("rect", { width: size, height: size, fill: "#fff" }),
    svg("path", { d: path, fill: "#000", "shape-rendering": "crispEdges" }),
  );
}
