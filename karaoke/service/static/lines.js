// The words as lines to sing: when each begins and ends, what waits before it, which chords fall on it.

const REST_SECONDS = 4;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

const known = (time) => time !== null && time !== undefined;

// Fill in the ends that a format leaves open, so that every later step has numbers.
export function linesOf(lyrics, chords = []) {
  const timed = lyrics.lines.filter((line) => known(startOf(line)));
  const lines = timed.map((line, index) => plan(line, timed[index + 1]));
  const singers = [...new Set(lines.map((line) => line.singer).filter(Boolean))];
  let before = 0;
  for (const line of lines) {
    line.voice = singers.length > 1 && line.singer ? singers.indexOf(line.singer) % 3 : null;
    line.rest = line.start - before >= REST_SECONDS ? line.start - before : 0;
    line.chords = chordsOf(line, chords);
    before = Math.max(before, line.end);
  }
  return lines;
}

function startOf(line) {
  return line.start ?? line.words[0]?.syllables[0]?.start ?? null;
}

function plan(line, following) {
  const start = startOf(line);
  const syllables = line.words.flatMap((word) => word.syllables);
  const wordTimes = syllables.some((syllable) => known(syllable.start));
  const next = following ? startOf(following) : Infinity;
  const last = syllables.at(-1);
  const end = line.end ?? last?.end ?? Math.min(next, (last?.start ?? start) + (wordTimes ? 2 : 6));
  const text = line.words
    .map((word) => word.syllables.map((syllable) => syllable.text).join(""))
    .join(" ");
  const planned = {
    start,
    end,
    text,
    singer: line.singer || "",
    wordTimes,
    rtl: RIGHT_TO_LEFT.test(text),
  };
  planned.words = wordTimes
    ? timeWords(line.words, start, end)
    : line.words.map((word) =>
        word.syllables.map(({ text: part }) => ({ text: part, start, end })),
      );
  return planned;
}

// A syllable lasts until its own end, else until the next one begins; untimed ones share the gap.
function timeWords(words, lineStart, lineEnd) {
  const timed = words.map((word) => word.syllables.map((syllable) => ({ ...syllable })));
  const all = timed.flat();
  let from = lineStart;
  all.forEach((syllable, index) => {
    if (!known(syllable.start)) {
      const later = all.slice(index).findIndex((other) => known(other.start));
      const until = later < 0 ? lineEnd : all[index + later].start;
      const waiting = later < 0 ? all.length - index : later;
      syllable.start = from;
      syllable.end = from + (until - from) / waiting;
    }
    syllable.end ??= known(all[index + 1]?.start) ? all[index + 1].start : lineEnd;
    from = syllable.end;
  });
  return timed;
}

// The chord that sounds when the line begins stands over its first word, later ones where they come.
function chordsOf(line, chords) {
  const found = new Map();
  const flat = line.words.map((word) => word[0]?.start ?? line.start);
  for (const chord of chords) {
    if (chord.end <= line.start || chord.start >= line.end || chord.name === "N") continue;
    if (chord.start <= line.start) found.set(0, [chord.name]);
    else if (line.wordTimes) {
      const word = Math.max(
        0,
        flat.findLastIndex((start) => start <= chord.start + 0.15),
      );
      found.set(word, [...(found.get(word) || []), chord.name]);
    } else found.set(0, [...(found.get(0) || []), chord.name]);
  }
  return found;
}

// The first line that is not over; it stays for half of the gap after it, 0.4 s at most.
export function topAt(lines, time) {
  let index = 0;
  while (index < lines.length - 1) {
    const gap = Math.max(0, lines[index + 1].start - lines[index].end);
    if (time < lines[index].end + Math.min(0.4, gap / 2) && time < lines[index + 1].end) break;
    index += 1;
  }
  return index;
}
