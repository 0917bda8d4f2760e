"""Films of ``karaoke make``, measured on their decoded pictures and sounds."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.lyrics import Line, Lyrics, Syllable, Timeline, Word, read_lyrics
from karaoke.making.canvas import harmless
from karaoke.making.font import Font
from karaoke.making.layout import Row, place, wrap
from karaoke.making.screens import draw
from karaoke.making.styles import STYLES

Run = Callable[..., subprocess.CompletedProcess[str]]
RATE = 44_100
WIDE, HIGH = 480, 270
#: Of a syllable that is sung, and of one that is not: yellow has hardly any blue.
SUNG_BLUE, UNSUNG_BLUE = 110, 200


def pictures(film: Path, fps: float) -> NDArray[np.uint8]:
    """Decode the pictures of a film ``(T, H, W, 3)`` by ffmpeg."""
    raw = subprocess.run(
        [find_ffmpeg(), "-v", "error", "-i", film, "-f", "rawvideo", "-pix_fmt", "rgb24",
         "-fps_mode", "passthrough", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    return np.frombuffer(raw, np.uint8).reshape(-1, HIGH, WIDE, 3)


def a_song(folder: Path, seconds: float) -> list[object]:
    """Write a song of noise and its stems; give the arguments that name them."""
    noise = 0.05 * np.random.default_rng(0).standard_normal((round(seconds * RATE), 2))
    for name in ("song", "stems/vocals", "stems/instrumental"):
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise, RATE, subtype="FLOAT")
    return [folder / "song.wav", "--from", folder / "stems"]


def film_of(run_karaoke: Run, folder: Path, *arguments: object) -> Path:
    """Make a small film, and give its path."""
    done = run_karaoke("make", *arguments, "-o", folder / "made", "--to", "mp4", "--json",
                       "--overwrite", "--size", f"{WIDE}x{HIGH}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(json.loads(done.stdout)["outputs"]["mp4"]["path"])


def words_at(starts: list[float], end: float) -> str:
    """Write enhanced LRC of one line whose words begin at times."""

    def tag(seconds: float) -> str:
        return f"{int(seconds // 60):02d}:{seconds % 60:05.2f}"

    words = "".join(f"<{tag(start)}>MMMM " for start in starts)
    return f"[{tag(starts[0])}]{words.rstrip()}<{tag(end)}>\n"


@pytest.mark.parametrize(
    ("fps", "tempo", "offset"), [(25, 1.0, 0.0), (50, 0.8, 0.3), (29.97, 1.25, -0.2)]
)
def test_words_light_up_when_they_are_sung(
    run_karaoke: Run,
    tmp_path: Path,
    rng: np.random.Generator,
    fps: float,
    tempo: float,
    offset: float,
) -> None:
    gaps = rng.uniform(0.3, 0.9, 4)
    starts = [round(float(at), 2) for at in 2.0 + np.concatenate([[0], np.cumsum(gaps[:3])])]
    lyrics = tmp_path / "words.lrc"
    lyrics.write_text(words_at(starts, round(starts[-1] + 0.6, 2)))
    film = film_of(run_karaoke, tmp_path, *a_song(tmp_path, 6), "--lyrics", lyrics, "--fps", fps,
                   "--tempo", tempo, "--offset", offset)  # fmt: skip
    shown = pictures(film, fps)
    bright = shown[..., 0] > 180
    blue = shown[..., 2]
    # Columns with letters, in gaps of four: the words.
    letters = bright[round(len(bright) * 0.3) :].any(axis=(0, 1))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], letters.astype(int), [0]])))
    pieces = list(zip(edges[::2], edges[1::2], strict=True))
    widest = sorted(np.diff([stop for pair in pieces for stop in pair])[1::2])[-3:]
    words, begin = [], pieces[0][0]
    for (_, stop), (following, _) in zip(pieces, [*pieces[1:], (10**6, 0)], strict=True):
        if following - stop >= min(widest) or following == 10**6:
            words.append((begin, stop))
            begin = following
    assert len(words) == len(starts)
    for (left, right), start in zip(words, starts, strict=True):
        first = left + (right - left) // 12
        part, seen = blue[:, :, left:first], bright[:, :, left:first]
        lit = [(picture < SUNG_BLUE)[mask].mean() > 0.5 if mask.any() else False
               for picture, mask in zip(part, seen, strict=True)]  # fmt: skip
        due = (start + offset) / tempo
        at = int(np.argmax(lit)) / fps
        # Colour runs through a word: its first twelfth is full a little after it begins.
        assert -1 / fps <= at - due <= 2 / fps + 0.09 / tempo, (start, at, due)


def test_sound_and_picture_begin_together(run_karaoke: Run, tmp_path: Path) -> None:
    lyrics = tmp_path / "words.lrc"
    lyrics.write_text(words_at([1.0, 1.5], 2.0))
    song = a_song(tmp_path, 3)
    film = film_of(run_karaoke, tmp_path, *song, "--lyrics", lyrics)
    done = run_karaoke("make", *song, "--lyrics", lyrics, "-o", tmp_path / "b", "--json", "-q",
                       "--size", "160x90")  # fmt: skip
    report = json.loads(done.stdout)
    assert report["lyrics"] == {
        "format": "elrc", "lines": 1, "syllables": 2, "timing": "words",
        "aligned": None, "doubtful_lines": [],
    }  # fmt: skip
    assert report["outputs"].keys() == {"karaoke", "mp4"}
    done = run_karaoke("make", *song, "--lyrics", lyrics, "-o", tmp_path / "c", "-t", "0.5",
                       "--to", "elrc,srt,ass,kar,lrc", "--excerpt", "0.5-")  # fmt: skip
    made = [Path(line) for line in done.stdout.splitlines()]
    assert {path.suffix for path in made} == {".m4a", ".elrc", ".srt", ".ass", ".kar", ".lrc"}
    again = read_lyrics(next(path for path in made if path.suffix == ".elrc"))
    assert [s.start_seconds for s in again.syllables()] == [1.0, 2.0], "half as fast, cut"
    said = subprocess.run([find_ffmpeg(), "-hide_banner", "-i", film], capture_output=True,
                          text=True, check=False).stderr  # fmt: skip
    assert "Video: h264" in said and "Audio: aac" in said and "yuv420p" in said
    assert "start: 0.000000" in said
    duration = re.search(r"Duration: 00:00:(\d+\.\d+)", said)
    assert duration and float(duration[1]) == pytest.approx(3, abs=0.06)
    assert len(pictures(film, 25)) == pytest.approx(75, abs=1)


@pytest.mark.parametrize("colour", ["#ffffff", "#000000", "#7f7f7f"])
def test_words_stay_inside_and_stand_out(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator, colour: str
) -> None:
    text = " ".join("".join(rng.choice(list("abcdemwil"), rng.integers(1, 14))) for _ in range(12))
    lyrics = tmp_path / "words.srt"
    lyrics.write_text(f"1\n00:00:00,500 --> 00:00:02,000\n{text}\n")
    film = film_of(run_karaoke, tmp_path, *a_song(tmp_path, 2.2), "--lyrics", lyrics,
                   "--background", colour)  # fmt: skip
    picture = pictures(film, 25)[6].astype(int)
    back = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)])
    # The dark outline or the letters differ from whatever is behind them.
    ink = np.abs(picture - back).max(axis=2) > 60
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    assert len(rows), "nothing was drawn"
    assert columns[0] >= 0.03 * WIDE and columns[-1] < 0.97 * WIDE
    assert rows[0] >= 0.03 * HIGH and rows[-1] < 0.97 * HIGH
    white, dark = (picture > 225).all(axis=2), (picture < 60).all(axis=2)
    assert white.any() and dark.any()


@pytest.mark.parametrize(
    "text", [r"a{\p1}m 0 0 l 100 0 100 100{\p0}", r"a\Nb\hc", r"{\fs200}x", "%{}"]
)
def test_words_are_never_commands(run_karaoke: Run, tmp_path: Path, text: str) -> None:
    shapes = []
    song = a_song(tmp_path, 1.5)
    # What the same letters look like where none of them can be a command.
    for name, line in (("odd", text), ("plain", re.sub(r"[\\{}]", "|", text))):
        lyrics = tmp_path / f"{name}.srt"
        lyrics.write_text(f"1\n00:00:00,300 --> 00:00:01,000\n{line}\n")
        film = film_of(run_karaoke, tmp_path / name, *song, "--lyrics", lyrics)
        picture = pictures(film, 25)[3]
        ink = np.flatnonzero((picture.min(axis=2) > 160).any(axis=1))
        shapes.append((ink[0], ink[-1]))
    (top, bottom), (plain_top, plain_bottom) = shapes
    assert max(abs(top - plain_top), abs(bottom - plain_bottom)) <= 10, "a break, or a shape"


def test_what_the_font_lacks_is_named(run_karaoke: Run, tmp_path: Path) -> None:
    lyrics = tmp_path / "words.srt"
    lyrics.write_text(
        "1\n00:00:00,300 --> 00:00:01,000\n\u65e5\u672c\u8a9e abc\n", encoding="utf-8"
    )
    done = run_karaoke("make", *a_song(tmp_path, 1.5), "--lyrics", lyrics, "-o", tmp_path / "made")
    assert done.returncode == 2
    assert "\u65e5 \u672c \u8a9e" in done.stderr and "--font" in done.stderr
    assert not (tmp_path / "made").exists()


def test_words_are_found_beside_the_song_and_in_its_tags(
    run_karaoke: Run, tmp_path: Path, transcode: Callable[..., Path]
) -> None:
    song = a_song(tmp_path, 2)
    (tmp_path / "song.lrc").write_text(words_at([0.5, 1.0], 1.5))
    done = run_karaoke("make", *song, "-o", tmp_path / "a", "--size", "160x90")
    assert [Path(line).suffix for line in done.stdout.splitlines()] == [".m4a", ".mp4"], done.stderr
    done = run_karaoke("make", *song, "-o", tmp_path / "b", "--no-lyrics")
    assert [Path(line).suffix for line in done.stdout.splitlines()] == [".m4a"]
    (tmp_path / "song.lrc").write_text("words\nwithout times\n")
    done = run_karaoke("make", *song, "-o", tmp_path / "c", "--align", "none")
    assert "no film" in done.stderr and done.returncode == 0
    done = run_karaoke("make", *song, "-o", tmp_path / "d", "--to", "mp4", "--align", "none")
    assert done.returncode == 2 and "no times" in done.stderr and done.stderr.count("\n") == 1
    (tmp_path / "song.lrc").unlink()
    tagged = transcode(tmp_path / "song.wav", "tagged.flac", "-metadata",
                       "LYRICS=[00:00.50]first line\n[00:01.20]second line")  # fmt: skip
    done = run_karaoke("make", tagged, *song[1:], "-o", tmp_path / "e", "--size", "160x90")
    assert [Path(line).suffix for line in done.stdout.splitlines()] == [".m4a", ".mp4"], done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "0x0"], "--size 0x0"),
        (["--size", "99999x99999"], "not a size"),
        (["--fps", "0"], "--fps 0"),
        (["--style", "loud"], "--style loud"),
        (["--background", "nowhere.png"], "neither a colour nor a file"),
        (["--font", __file__], "not a font"),
        (["--to", "gif"], "--to: unknown gif"),
        (["--to", "mp4", "--no-lyrics"], "no words"),
        (["--to", "lrc", "--no-lyrics"], "needs words"),
        (["--tracks", "karaoke,bass"], "unknown bass"),
        (["--tracks", "vocals,vocals"], "twice"),
        (["--background", "original"], "no moving pictures"),
        (["--offset", "1e9"], "within an hour"),
    ],
)
def test_mistakes_are_one_clear_line(
    run_karaoke: Run, tmp_path: Path, arguments: list[str], words: str
) -> None:
    done = run_karaoke("make", *a_song(tmp_path, 1), *arguments, "-o", tmp_path / "made")
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "made").exists()


def test_a_background_that_is_no_picture_is_refused(run_karaoke: Run, tmp_path: Path) -> None:
    (tmp_path / "words.lrc").write_text(words_at([0.3], 0.8))
    (tmp_path / "back.png").write_bytes(b"no picture at all")
    done = run_karaoke("make", *a_song(tmp_path, 1), "--lyrics", tmp_path / "words.lrc",
                       "--background", tmp_path / "back.png", "-o", tmp_path / "made")  # fmt: skip
    assert done.returncode == 2 and "not a picture" in done.stderr
    assert not list(tmp_path.glob("made/**/*.m*"))


LINES = st.lists(
    st.tuples(
        st.floats(0, 3),
        st.lists(st.text("abc mWi", min_size=1, max_size=30), min_size=1, max_size=8),
        st.floats(0.05, 0.8),
    ),
    min_size=1,
    max_size=12,
)


def lyrics_of(lines: list[tuple[float, list[str], float]]) -> Lyrics:
    """Make lyrics of rests, words and how long each is sung."""
    at, made = 0.5, []
    for rest, words, each in lines:
        at += rest
        begin, sung = at, []
        for word in words:
            text = word.replace(" ", "") or "a"
            sung.append(Word((Syllable(text, at, at + each),)))
            at += each
        made.append(Line(tuple(sung), begin, at))
    return Lyrics(tuple(made))


@settings(max_examples=60, deadline=None)
@given(lines=LINES, rows=st.sampled_from([2, 4]))
def test_no_row_meets_another_and_all_can_be_read(
    lines: list[tuple[float, list[str], float]], rows: int
) -> None:
    from karaoke.making.layout import rows_of

    font, size, width = Font(), 30.0, 400.0
    laid = rows_of(lyrics_of(lines), Timeline(), font, STYLES["plain"], size, width)
    shown = place(laid, rows)
    for one in shown:
        assert font.width(one.row.text.rstrip(), size) <= width * 1.001
        assert one.since <= one.row.start + 1e-6 and one.until >= one.row.end - 1e-6
    for number, one in enumerate(shown):
        for other in shown[number + 1 :]:
            if other.slot == one.slot:
                assert other.since >= one.until - 1e-6 or other.since >= one.row.end - 1e-6
    together = [piece for row in laid for piece in row.pieces]
    assert [start for _, start, _ in together] == sorted(start for _, start, _ in together)
    words = [w for line in lyrics_of(lines).lines for w in line.text.split()]
    assert "".join("".join(words)) == "".join(row.text.replace(" ", "") for row in laid)


def test_long_words_are_broken_and_lines_evenly() -> None:
    font = Font()
    pieces = [
        (word + " ", float(n), n + 1.0) for n, word in enumerate(["one", "two", "three", "four"])
    ]
    width = font.width("one two three four ", 40) * 0.6
    rows = list(wrap(pieces, font, 40, width))
    assert ["".join(p[0] for p in row).strip() for row in rows] == ["one two", "three four"]
    (long,) = [[("m" * 100, 0.0, 1.0)]]
    parts = list(wrap(long, font, 40, 300))
    assert len(parts) > 3 and sum(len(part) for part in parts) == 100


def test_the_script_of_a_film(tmp_path: Path) -> None:
    lyrics = lyrics_of([(6.0, ["one", "two"], 0.5), (0.2, ["three"], 0.5), (8.0, ["four"], 1.0)])
    script = draw(lyrics, Timeline(), size=(1280, 720), font=Font(), style=STYLES["plain"],
                  title="A {\\b1}Title", artist="Somebody")  # fmt: skip
    events = [line.split(",", 9) for line in script.splitlines() if line.startswith("Dialogue")]
    kinds = [event[3] for event in events]
    assert kinds.count("Card") == 2 and kinds.count("Dots") == 2 and kinds.count("Singer0") == 3
    assert "\\{" in script and harmless("a\\Nb") == "a\\\u2060Nb"
    assert Row((("a", 0.0, 1.0),), 0.0, 1.0).text == "a"
