"""Judge ``karaoke make`` by its finished files, as ffmpeg decodes them.

    python tests/benchmarks/making.py
    python tests/benchmarks/making.py --rows guide,key,tempo --seed 7

Songs, words, keys and tempi are drawn from a seed, which is printed. Each row of the table says
what was measured, what is asked of it, and what it is now. Stems are given, so that nothing is
separated but for ``cost``; it takes a few minutes. The root of the checkout has to be on
``PYTHONPATH``, as the songs are those of the tests.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from finished import (
    Sound,
    decibels,
    decoded,
    displacement,
    flux,
    lit_at,
    loudness_of,
    octave_gains,
    over_pitch,
    stereo,
    sung_song,
)
from scipy.ndimage import uniform_filter1d
from speed import make_clip, measure

from karaoke.audio.ffmpeg import find_ffmpeg
from tests import songs, test_cdg, test_films, test_ultrastar_folder
from tests.singing import Rng, vowel
from tests.test_films import words_at
from tests.test_making import RATE, click_track, make, onsets, pitch_hz, with_stems

EXACT = ("--format", "wav", "--bit-depth", "32f")
COST_SECONDS = 180
#: Of a figure, which may lie on its limit.
ROUNDING = 1e-6
#: In a line of a film.
WORDS = 4


@dataclass(frozen=True)
class Figure:
    """What was measured: its limit, None where it is only told, and which side of it is right."""

    what: str
    now: float
    limit: float | None = None
    at_least: bool = False

    def line(self, row: str) -> str:
        """Write a line of the table."""
        asked, said = "-", "-"
        if self.limit is not None:
            asked = f"{'>=' if self.at_least else '<='} {self.limit:g}"
            over = self.now - self.limit
            right = max(over if not self.at_least else -over, 0) < ROUNDING
            said = "ok" if right else "short"
        return f"{row} | {self.what} | {asked} | {self.now:.4g} | {said}"


def karaoke(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "karaoke", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def guide(rng: Rng, folder: Path) -> Iterator[Figure]:
    """Find the level of the voice in the mix."""
    voice, band = sung_song(rng, 10)
    stems = with_stems(folder, voice, band)

    def made(*wishes: object) -> Sound:
        return make(karaoke, folder, *stems, *wishes)[0]

    level = round(float(rng.uniform(-30, 3)), 1)
    off = [gain - level for gain in octave_gains(made("-g", level, *EXACT), (voice, band))]
    yield Figure("worst octave, dB off", max(map(abs, off)), 0.1)
    moved = ("-k", int(rng.choice([-4, -2, 3, 5])), "-t", round(float(rng.uniform(0.8, 1.2)), 2))
    alone = made("-g", 0, "--band", "off", *moved, *EXACT), made(*moved, *EXACT)
    off = [gain - level for gain in octave_gains(made("-g", level, *moved, *EXACT), alone)]
    yield Figure(f"the same moved by {moved}", max(map(abs, off)), 0.1)
    for name, one, stem in zip(("voice", "band"), alone, (voice, band), strict=True):
        yield Figure(f"moved {name}, dB above its stem", decibels(one.std() / stem.std()))
    sources = np.stack([voice.ravel(), band.ravel()], axis=1).astype(np.float64)
    gains = np.linalg.lstsq(sources, made(*EXACT).ravel().astype(np.float64), rcond=None)[0]
    yield Figure("off: voice, dB", decibels(gains[0]), -80)
    whole = made("-g", 0, "--format", "wav", "--bit-depth", 24)
    yield Figure("0: residual, dBFS", decibels(np.abs(whole - voice - band).max()), -120)


def key(rng: Rng, folder: Path) -> Iterator[Figure]:
    """Find the pitch of tones, and compare a song with itself played in the new key."""
    times = np.arange(8 * RATE) / RATE
    silence = np.zeros((2, len(times)), np.float32)
    for wave, partials in (("sine", 1), ("sawtooth", RATE)):
        for stem, low, high, limit in (("voice", 150, 500, 2), ("band", 700, 1200, 3)):
            cents = []
            for semitones in rng.choice([*range(-12, 0), *range(1, 13)], 2, replace=False):
                hz = float(rng.uniform(low, high))
                count = min(partials, int(RATE / 2 / hz))
                tone = sum(np.sin(2 * np.pi * k * hz * times) / k for k in range(1, count + 1))
                stems = [stereo(0.2 * tone), silence][:: 1 if stem == "voice" else -1]
                made, _ = make(karaoke, folder, *with_stems(folder, *stems), "-g", 0, "-k",
                               semitones, "--format", "wav")  # fmt: skip
                cents.append(1200 * math.log2(pitch_hz(made[0]) / hz) - 100 * int(semitones))
            yield Figure(f"{wave}, {stem}, cents off", max(map(abs, cents)), limit)
    yield from played_there(rng, folder)
    yield from formants(rng, folder)


def played_there(rng: Rng, folder: Path) -> Iterator[Figure]:
    """Compare the band and the song with what was played in the new key."""
    seed, semitones = int(rng.integers(2**31)), int(rng.choice([-5, -3, -2, 2, 3, 4]))
    voice, band, _ = songs.a_song(np.random.default_rng(seed), beat=0.45)
    there = songs.a_song(np.random.default_rng(seed), semitones, beat=0.45)[:2]
    stems = with_stems(folder, voice, band)
    for name, guided, truth in (("band", "off", there[1]), ("song", "0", there[0] + there[1])):
        made, _ = make(karaoke, folder, *stems, "-k", semitones, "-g", guided, *EXACT)
        here, meant = over_pitch(made), over_pitch(truth)
        sharp = [level - uniform_filter1d(level, 200) for level in (here, meant)]
        cents, _ = displacement(*sharp, 60)
        yield Figure(f"{name} played in {semitones:+d}, cents off", abs(cents), 3)
        yield Figure(f"{name} played in {semitones:+d}, correlation of spectra",
                     float(np.corrcoef(here, meant)[0, 1]))  # fmt: skip


def formants(rng: Rng, folder: Path) -> Iterator[Figure]:
    """Tell how far the envelope of a low vowel moves."""
    for semitones in (int(rng.integers(3, 8)), -int(rng.integers(3, 8))):
        voice = stereo(0.1 * vowel(rng, float(rng.uniform(41, 47)), 8.0))
        stems = with_stems(folder, voice, 0 * voice)
        made, _ = make(karaoke, folder, *stems, "-k", semitones, "-g", 0, *EXACT)
        cents, alike = displacement(over_pitch(made, 100), over_pitch(voice, 100), 1000)
        moved = 100 * (2 ** (abs(cents) / 1200) - 1)
        yield Figure(
            f"envelope of a vowel at {semitones:+d}, % moved (alike {alike:.2f})", moved, 15
        )


def tempo(rng: Rng, folder: Path) -> Iterator[Figure]:
    """Find when clicks come."""
    for low, high in ((0.6, 0.95), (1.05, 1.6)):
        speed = round(float(rng.uniform(low, high)), 3)
        times = np.arange(round(rng.uniform(15, 16) * RATE)) / RATE
        starts = 0.5 + 0.4 * np.arange(35) + rng.uniform(0, 0.1, 35)
        clicks = click_track(times, starts)
        made, _ = make(karaoke, folder, *with_stems(folder, 0 * clicks, clicks), "-t", speed,
                       "--format", "wav")  # fmt: skip
        found = onsets(made[0], starts / speed)
        ratio = np.polyfit(starts / speed, found, 1)[0]
        yield Figure(f"clicks at {speed}, ratio off", abs(ratio - 1), 1e-4)
        yield Figure(
            f"clicks at {speed}, worst ms off", 1000 * abs(found - starts / speed).max(), 10
        )
        off = abs(made.shape[1] - len(times) / speed)
        yield Figure(f"length at {speed}, samples off", off, 1)


def transients(rng: Rng, folder: Path) -> Iterator[Figure]:
    """Tell how much of a band's attacks is left."""
    _, band = sung_song(rng, 40)
    stems = with_stems(folder, 0 * band, band)
    semitones, speed = (
        int(rng.choice([-4, -3, -2, 2, 3, 4])),
        round(float(rng.uniform(0.8, 0.95)), 2),
    )
    for wishes in (("-k", semitones), ("-t", speed), ("-k", -semitones, "-t", speed)):
        made, _ = make(karaoke, folder, *stems, *wishes, *EXACT)
        yield Figure(f"largest fluxes at {wishes}, %", 100 * flux(made) / flux(band), 60, True)


def loudness(rng: Rng, folder: Path) -> Iterator[Figure]:
    """Measure loudness and peaks of finished files, where they can be met and where they cannot."""
    stems = with_stems(folder, *sung_song(rng, 10))
    wanted, off = round(float(rng.uniform(-30, -22)), 1), []
    for format_ in ("flac", "m4a", "mp3", "opus"):
        wishes = ("-g", -6, "-k", int(rng.choice([-2, 0, 3])), "--format", format_)
        _, report = make(karaoke, folder, *stems, *wishes, "--loudness", wanted)
        found, peak = loudness_of(report["outputs"]["karaoke"]["path"])  # type: ignore[index]
        off.append(abs(found - wanted))
        _, report = make(karaoke, folder, *stems, *wishes, "--loudness", -5)
        _, peak = loudness_of(report["outputs"]["karaoke"]["path"])  # type: ignore[index]
        warned = " (it warns)" if report["warnings"] else ""
        yield Figure(f"{format_} as loud as can be, dBTP{warned}", peak, -1)
    yield Figure(f"all of these at {wanted}, LU off", max(off), 0.2)


def film_with_words(folder: Path, song: list[object], rng: Rng, *wishes: object
                    ) -> tuple[Path, list[float], float]:  # fmt: skip
    """Make a film of a line; give it and when its words begin in the song, and when it ends."""
    gaps = rng.uniform(0.3, 0.9, WORDS)
    starts = [round(float(at), 2) for at in 2.0 + np.concatenate([[0], np.cumsum(gaps)])]
    lyrics = folder / "words.lrc"
    lyrics.write_text(words_at(starts[:-1], starts[-1]).replace("MMMM", "MMM"))
    film = test_films.film_of(karaoke, folder, *song, "--lyrics", lyrics, *wishes)
    return film, starts[:-1], starts[-1]


def film(rng: Rng, folder: Path) -> Iterator[Figure]:
    """Tell when words light up, in all sweeps, at three rates, with wishes that move them."""
    noise = test_films.a_song(folder / "noise", 6.5)
    band = songs.a_song(rng, beat=0.5)[1][:, : 9 * RATE]
    beaten = with_stems(folder / "beaten", 0 * band, band)
    offset = round(float(rng.uniform(-0.4, 0.4)), 2)
    wishes = [("--tempo", 0.8), ("--offset", offset), ("--count-in", 8, "--offset", offset)]
    for number, sweep in enumerate(("word", "line", "fill")):
        style = folder / f"{sweep}.toml"
        style.write_text(f'sweep = "{sweep}"\n')
        late: list[tuple[float, float, float, float]] = []
        for other, fps in enumerate((25, 29.97, 50)):
            wish = wishes[(number + other) % 3]
            counted = "--count-in" in wish
            path, starts, end = film_with_words(folder, beaten if counted else noise, rng, *wish,
                                                "--fps", fps, "--style", style)  # fmt: skip
            lead = 0.0
            if counted:  # it lasts until the band begins
                band_late = test_ultrastar_folder.lag(decoded(path), band.T.astype(np.float64))
                lead = band_late / RATE
                if lead < 1:
                    raise RuntimeError("nothing counts in")
            speed, moved = (0.8, 0.0) if wish[0] == "--tempo" else (1.0, offset)
            due = [lead + (at + moved) / speed for at in (*starts, end)]
            begins = [due[0]] * len(starts) if sweep == "line" else due
            for at, (first, half, full), last in zip(begins, lit_at(path, fps, due), due[1:],
                                                     strict=False):  # fmt: skip
                late.append((first - at * fps, half - at * fps, full - last * fps, 1000 / fps))
        first, half, full, each = (np.array(column) for column in zip(*late, strict=True))
        if sweep != "fill":
            yield Figure(f"{sweep}: {len(half)} syllables, pictures off", abs(half).max(), 1)
            continue
        # The colour runs through the space behind a word, too, but for the last one of a line.
        ends = np.arange(len(full)) % WORDS == WORDS - 1
        for name, off, some, limit in (("first pixel", first, ends | True, 2),
                                       ("full, at ends of lines", full, ends, 1),
                                       ("full, before other words", full, ~ends, 1)):  # fmt: skip
            ms = (off * each)[some]
            what = f"fill: {name} ({ms.min():+.0f} to {ms.max():+.0f} ms), pictures off"
            yield Figure(what, abs(off[some]).max(), limit)


def tracks(rng: Rng, folder: Path) -> Iterator[Figure]:
    """Compare what can be chosen from in a film with the song and its stems."""
    voice, band = sung_song(rng, 8)
    stems = with_stems(folder, voice, band)
    soundfile.write(folder / "song.wav", (voice + band).T, RATE, subtype="PCM_24")
    (folder / "words.lrc").write_text(words_at([1.0, 1.5], 2.0))
    names = ("karaoke", "original", "instrumental", "vocals")
    done = karaoke("make", *stems, "--lyrics", folder / "words.lrc", "-o", folder / "made",
                   "--to", "mkv,mp4", "--tracks", ",".join(names), "--json",
                   "--size", "320x180")  # fmt: skip
    paths = {kind: Path(one["path"]) for kind, one in json.loads(done.stdout)["outputs"].items()}
    for number, truth in enumerate((band, voice + band, band, voice)):
        found = decoded(paths["mkv"], number).T
        wrong = (found != truth).sum() if found.shape == truth.shape else math.inf
        yield Figure(f"mkv: {names[number]}, samples that differ", float(wrong), 0)
    said = subprocess.run([find_ffmpeg(), "-hide_banner", "-i", paths["mkv"]], capture_output=True,
                          text=True, check=False).stderr  # fmt: skip
    streams = re.findall(r"Audio:([^\n]*)(?:\n +Metadata:\n +title +: ([^\n]*))?", said)
    heard = [("(default)" in facts, title.lower()) for facts, title in streams]
    wanted = [(name == names[0], name) for name in names]
    wrong = sum(default != one[0] or one[1] not in title
                for one, (default, title) in zip(wanted, heard, strict=True))  # fmt: skip
    yield Figure(
        f"mkv: titles or defaults that are wrong of {[title for _, title in heard]}", wrong, 0
    )
    lossy = {"mp4": decoded(paths["mp4"])}
    for format_ in ("m4a", "mp3", "opus"):
        _, report = make(karaoke, folder, *stems, "--format", format_)
        lossy[format_] = decoded(Path(report["outputs"]["karaoke"]["path"]))  # type: ignore[index]
    for name, sound in lossy.items():
        late = test_ultrastar_folder.lag(sound, band.T.astype(np.float64))
        yield Figure(f"{name}: samples late", abs(late), 0)


def cdg(rng: Rng, folder: Path) -> Iterator[Figure]:
    """Compare discs with what libass draws, and tell when words light up."""
    song = test_films.a_song(folder, 9)
    lyrics, _ = test_cdg.random_lines(folder, rng, 9)
    path, _ = test_cdg.make_disc(karaoke, folder, *song, "--lyrics", lyrics)
    shown, wanted = test_cdg.decode(path).astype(int), test_cdg.drawn(lyrics, folder, 9).astype(int)
    wrong = (np.abs(shown - wanted[: len(shown)]).max(axis=3) > test_cdg.TOLERANCE).sum(axis=(1, 2))
    still = [n for n in range(50, len(shown)) if np.array_equal(wanted[n], wanted[n - 50])]
    yield Figure(f"wrong pixels in {len(still)} idle pictures", float(wrong[still].sum()), 0)
    late: list[float] = []
    for speed, offset in ((1.0, 0.0), (0.8, 0.2), (1.1, -0.2)):
        gaps = rng.uniform(0.25, 0.8, 4)
        starts = [round(float(at), 2) for at in 2.2 + np.concatenate([[0], np.cumsum(gaps[:3])])]
        lyrics.write_text(words_at(starts, round(starts[-1] + 0.5, 2)).replace("MMMM", "MM"))
        path, _ = test_cdg.make_disc(karaoke, folder, *song, "--lyrics", lyrics, "-t", speed,
                                     "--offset", offset)  # fmt: skip
        shown = test_cdg.decode(path).astype(int)
        white: Sound = (shown > 230).all(axis=3)
        yellow: Sound = (shown[..., 0] > 230) & (shown[..., 2] < 100)
        due = [(at + offset) / speed * test_cdg.FPS for at in starts]
        letters = np.flatnonzero(white[int(due[0]) - 5].any(axis=0))
        words = np.split(letters, np.flatnonzero(np.diff(letters) > 6) + 1)
        for columns, at in zip(words, due, strict=True):
            stem = columns[: max(len(columns) // 12, 2)]
            lit = yellow[:, :, stem].sum(axis=(1, 2)) > white[:, :, stem].sum(axis=(1, 2))
            late.append(int(np.argmax(lit)) - at)
    yield Figure(f"{len(late)} words, pictures off at worst", max(map(abs, late)), 4)
    yield Figure("typically", abs(float(np.median(late))), 1)


def ultrastar(rng: Rng, folder: Path) -> Iterator[Figure]:
    """Tell when the notes of a game begin, and whether its sounds are in time."""
    sounds = test_ultrastar_folder.a_song(folder, int(rng.integers(2**31)), 9)
    at, lines = 0.6, []
    while at < 7:
        gaps = rng.uniform(0.15, 0.5, int(rng.integers(2, 6)))
        lines.append([round(float(t), 2) for t in at + np.concatenate([[0], np.cumsum(gaps)])])
        at = lines[-1][-1] + float(rng.uniform(0.02, 0.3))
    (folder / "song.lrc").write_text("".join(words_at(line[:-1], line[-1]) for line in lines))
    for speed, offset in ((1.0, 0.0), (0.9, 0.25)):
        headers, phrases = test_ultrastar_folder.make_folder(
            karaoke, folder, "-t", speed, "--offset", offset, "--overwrite"
        )
        found = np.array([note.start for phrase in phrases for note in phrase])
        due = np.array([(t + offset) / speed for line in lines for t in line[:-1]])
        off = 1000 * np.abs(found - due).max() if len(found) == len(due) else math.inf
        yield Figure(f"{len(due)} notes at {speed}, worst ms off", off, 10)
        if speed == 1:
            made = next((folder / "made" / "song").glob("*/"))
            names = {"song": "MP3", "vocals": "VOCALS", "instrumental": "INSTRUMENTAL"}
            for name, truth in sounds.items():
                sound = test_ultrastar_folder.decode(made / headers[names[name]])
                yield Figure(
                    f"{name}, samples late", abs(test_ultrastar_folder.lag(sound, truth)), 0
                )


def cost(rng: Rng, folder: Path) -> Iterator[Figure]:
    """Take a film of a song of three minutes, separation included, less its separation."""
    clip, text = folder / "clip.mp3", ""
    make_clip(clip, COST_SECONDS)
    for at, after in pairwise(np.arange(8, COST_SECONDS - 4, 4)):
        starts = [round(float(t), 2) for t in np.linspace(at, after - 0.5, int(rng.integers(4, 9)))]
        text += words_at(starts[:-1], starts[-1])
    (folder / "clip.lrc").write_text(text.replace("MMMM", "word"))
    program = [sys.executable, "-m", "karaoke"]
    split, _ = measure([*program, "split", str(clip), "-o", str(folder / "split"), "-q"])
    made, _ = measure([*program, "make", str(clip), "-o", str(folder / "made"), "-q", "--to", "mp4",
                       "--size", "720p"])  # fmt: skip
    more = made.cpu_seconds - split.cpu_seconds
    yield Figure(f"CPU seconds above those of split ({split.cpu_seconds:.0f})", more, 90)
    yield Figure("wall seconds above split's", made.wall_seconds - split.wall_seconds, 45)
    yield Figure("MB above split's", made.peak_rss_mb - split.peak_rss_mb, 250)


#: The first compares the memory of others with that of this program, while this is small.
ROWS: dict[str, Callable[[Rng, Path], Iterator[Figure]]] = {
    row.__name__: row
    for row in (cost, film, guide, key, tempo, transients, tracks, loudness, cdg, ultrastar)
}


def main() -> None:
    """Measure the rows that are chosen, and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", default=",".join(ROWS), help="of " + ", ".join(ROWS))
    parser.add_argument("--seed", type=int, default=np.random.SeedSequence().generate_state(1)[0])
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}\nrow | measured | asked | now | ok/short", flush=True)
    for name in chosen.rows.split(","):
        rng = np.random.default_rng([chosen.seed, list(ROWS).index(name)])
        with tempfile.TemporaryDirectory() as folder:
            try:
                for figure in ROWS[name](rng, Path(folder)):
                    print(figure.line(name), flush=True)
            except Exception as error:
                said = " ".join(str(error).split())[-300:]
                print(f"{name} | {type(error).__name__}: {said} | - | - | short", flush=True)


if __name__ == "__main__":
    main()
