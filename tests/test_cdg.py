"""CD+G of ``karaoke make``, decoded by ffmpeg and measured."""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.errors import WriteError
from karaoke.lyrics import Timeline, read_lyrics
from karaoke.making import disc
from karaoke.making.cdg import BORDER_PRESET, Encoder, opening, packet, steps
from karaoke.making.font import Font
from karaoke.making.screens import draw
from karaoke.making.styles import STYLES, Style
from tests.test_films import a_song, words_at

Run = Callable[..., subprocess.CompletedProcess[str]]
Pictures = NDArray[np.uint8]
WIDE, HIGH, FPS = 300, 216, 25
#: Of four bits a part, so that no file has to round them.
BACK, STYLE = "#112233", replace(STYLES["plain"], sung="#ffcc44")
#: Half of the way from one of four shades to the next, and what colours were rounded by.
TOLERANCE = 255 / 6 + 9
#: Changes nothing, but says how long the last picture stays.
LAST = packet(BORDER_PRESET, [0])


@pytest.fixture
def seed() -> int:
    """Draw another song each time; the seed is printed where a test fails."""
    return int(np.random.SeedSequence().generate_state(1)[0])


def decode(path: Path) -> Pictures:
    """Decode pictures ``(T, 216, 300, 3)``, each what the packets up to its time have drawn."""
    raw = subprocess.run(
        [find_ffmpeg(), "-v", "error", "-f", "cdg", "-i", path, "-vf", f"fps={FPS}:round=up",
         "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    # At the end ffmpeg guesses how long the last picture stays.
    count = path.stat().st_size * FPS // (24 * 300)
    return np.frombuffer(raw, np.uint8).reshape(-1, HIGH, WIDE, 3)[:count]


def drawn(lyrics: Path, folder: Path, seconds: float, style: Style = STYLE) -> Pictures:
    """Have libass alone draw the words in their real colours, in the places they have on discs."""
    places = disc.marked(style)
    look = replace(places, unsung=style.unsung, sung=style.sung, outline=BACK,
                   singers=style.singers)  # fmt: skip
    script = draw(read_lyrics(lyrics), Timeline(), size=(WIDE, HIGH), font=Font(), style=look,
                  matrix="None")  # fmt: skip
    (folder / "words.ass").write_text(script, encoding="utf-8")
    command = [find_ffmpeg(), "-nostdin", "-v", "error", "-f", "lavfi", "-i",
               f"color=c=0x{BACK[1:]}:s={WIDE}x{HIGH}:r={FPS}:d={seconds}", "-vf",
               f"format=rgb24,ass=words.ass:fontsdir={Font().path.parent}",
               "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]  # fmt: skip
    raw = subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, HIGH, WIDE, 3)


def make_disc(run_karaoke: Run, folder: Path, *arguments: object) -> tuple[Path, bytes]:
    """Make a song for discs; give its CD+G file, unpacked, and the zip's MP3."""
    done = run_karaoke("make", *arguments, "-o", folder / "made", "--to", "cdg", "--json",
                       "--overwrite", "--background", BACK)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = json.loads(done.stdout)["outputs"]
    assert outputs.keys() == {"cdg"}
    with zipfile.ZipFile(outputs["cdg"]["path"]) as archive:
        sound, picture = archive.infolist()
        assert sound.compress_type == picture.compress_type == zipfile.ZIP_STORED
        assert sound.filename == picture.filename.removesuffix("cdg") + "mp3"
        assert re.fullmatch(r"[ !#-)+-.0-9;=@-\[\]-{}~]+", sound.filename), "no mark of DOS"
        path = folder / "decoded.cdg"
        path.write_bytes(archive.read(picture))
        return path, archive.read(sound)


def random_lines(
    folder: Path, rng: np.random.Generator, seconds: float
) -> tuple[Path, list[float]]:
    """Write lyrics of lines with words at times; give them and the starts of the lines."""
    text, at, starts = "", float(rng.uniform(2.5, 3.0)), []
    while at < seconds - 1.5:
        gaps = rng.uniform(0.2, 0.5, int(rng.integers(2, 5)))
        words = [round(float(t), 2) for t in at + np.concatenate([[0], np.cumsum(gaps)])]
        text += words_at(words[:-1], words[-1]).replace(
            "MMMM", "".join(rng.choice(list("abcdgw"), 4))
        )
        starts.append(words[0])
        at = words[-1] + float(rng.uniform(0.0, 0.6))
    path = folder / "words.lrc"
    path.write_text(text)
    return path, starts


def test_any_picture_comes_out_as_it_went_in(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    colours = [tuple(17 * int(part) for part in rng.integers(0, 16, 3)) for _ in range(16)]
    packets: list[bytes] = []
    encoder = Encoder(packets.append, opening(colours), 3)  # type: ignore[arg-type]
    picture, shown = np.zeros((HIGH, WIDE), np.uint8), []
    for number in range(150):
        if number % 50 == 0:
            top, left = int(rng.integers(0, HIGH - 40)), int(rng.integers(0, WIDE - 60))
            picture = picture.copy() if number < 100 else np.zeros_like(picture)
            picture[top : top + 40, left : left + 60] = rng.integers(0, 16, (40, 60))
        encoder.show(picture)
        shown.append(picture)
    assert len(packets) == 150 * 12 - 6
    assert {len(packet) for packet in packets} == {24}
    path = tmp_path / "random.cdg"
    path.write_bytes(b"".join([*packets, LAST]))
    decoded = decode(path)
    for number in (49, 99, 148):
        wanted = np.array(colours, np.uint8)[shown[number]]
        assert np.array_equal(decoded[number], wanted), (seed, number)


def test_a_tile_takes_as_few_packets_as_its_colours_allow(seed: int) -> None:
    rng = np.random.default_rng(seed)
    unsung = rng.integers(0, 4, (12, 6)).astype(np.uint8)
    blank = np.zeros_like(unsung)
    lit = np.where(unsung, unsung | 4, 0).astype(np.uint8)
    lit[:, 3:] = unsung[:, 3:]
    for before, after, most in ((blank, unsung, 2), (unsung, lit, 1), (lit, blank, 1)):
        made = steps(before, after, 0, 0)
        assert len(made) <= most and np.array_equal(made[-1].after, after), seed
    anything = rng.integers(0, 16, (12, 6)).astype(np.uint8)
    assert len(steps(lit, anything, 17, 49)) <= 4


@pytest.mark.parametrize(("tempo", "offset"), [(1.0, 0.0), (0.8, 0.2)])
def test_words_light_up_when_they_are_sung(
    run_karaoke: Run, tmp_path: Path, seed: int, tempo: float, offset: float
) -> None:
    rng = np.random.default_rng(seed)
    gaps = rng.uniform(0.25, 0.8, 4)
    starts = [round(float(at), 2) for at in 2.2 + np.concatenate([[0], np.cumsum(gaps[:3])])]
    lyrics = tmp_path / "words.lrc"
    lyrics.write_text(words_at(starts, round(starts[-1] + 0.5, 2)).replace("MMMM", "MM"))
    path, _ = make_disc(run_karaoke, tmp_path, *a_song(tmp_path, 6), "--lyrics", lyrics,
                        "--tempo", tempo, "--offset", offset)  # fmt: skip
    shown = decode(path).astype(int)
    white = (shown > 230).all(axis=3)
    yellow = (shown[..., 0] > 230) & (shown[..., 2] < 100)
    first = int((min(starts) + offset) / tempo * FPS) - 5
    letters = np.flatnonzero(white[first].any(axis=0))
    words = np.split(letters, np.flatnonzero(np.diff(letters) > 6) + 1)
    assert len(words) == len(starts), seed
    late = []
    for columns, start in zip(words, starts, strict=True):
        stem = columns[: max(len(columns) // 12, 2)]
        lit = yellow[:, :, stem].sum(axis=(1, 2)) > white[:, :, stem].sum(axis=(1, 2))
        late.append(int(np.argmax(lit)) - (start + offset) / tempo * FPS)
    assert max(map(abs, late)) <= 4 and abs(np.median(late)) < 1.501, (seed, late)


def test_what_stands_still_is_what_libass_drew(run_karaoke: Run, tmp_path: Path, seed: int) -> None:
    lyrics, starts = random_lines(tmp_path, np.random.default_rng(seed), 8)
    path, sound = make_disc(run_karaoke, tmp_path, *a_song(tmp_path, 8), "--lyrics", lyrics)
    shown, wanted = decode(path).astype(int), drawn(lyrics, tmp_path, 8).astype(int)
    difference = np.abs(shown - wanted[: len(shown)]).max(axis=3)
    wrong = (difference > TOLERANCE).sum(axis=(1, 2))
    still = [n for n in range(50, len(shown)) if np.array_equal(wanted[n], wanted[n - 50])]
    assert not wrong[still].any(), (seed, wrong[still])
    quiet = wrong[50:] == 0
    assert quiet.mean() > 0.3, "hardly ever is all of it there"
    # Each row of the first page is there a second before it is sung.
    yellow = (shown[..., 0] > 230) & (shown[..., 2] < 100)
    for top in range(48, 192, 36):
        row = slice(top, top + 24)
        sung = np.flatnonzero(yellow[:, row].any(axis=(1, 2)))
        if len(sung):
            assert (difference[sung[0] - FPS, row] <= TOLERANCE).all(), (seed, top)
            assert (shown[sung[0] - FPS, row] > 230).all(axis=2).sum() > 50, (seed, top)
    assert yellow[round(starts[0] * FPS) + 3].any()
    mp3 = tmp_path / "sound.mp3"
    mp3.write_bytes(sound)
    said = subprocess.run([find_ffmpeg(), "-hide_banner", "-i", mp3], capture_output=True,
                          text=True, check=False).stderr  # fmt: skip
    length = re.search(r"Duration: 00:00:(\d+\.\d+)", said)
    assert length and abs(float(length[1]) - path.stat().st_size / 7200) < 0.1


def test_a_line_without_times_of_words_lights_up_at_once(
    run_karaoke: Run, tmp_path: Path, seed: int
) -> None:
    start = round(float(np.random.default_rng(seed).uniform(1.5, 2.5)), 2)
    lyrics = tmp_path / "words.lrc"
    lyrics.write_text(f"[00:{start:05.2f}]one line of it\n[00:04.00]\n")
    path, _ = make_disc(run_karaoke, tmp_path, *a_song(tmp_path, 5), "--lyrics", lyrics)
    shown = decode(path).astype(int)
    yellow = ((shown[..., 0] > 230) & (shown[..., 2] < 100)).sum(axis=(1, 2))
    begun = int(np.argmax(yellow > 0)) / FPS - start
    full = int(np.argmax(yellow >= 0.95 * yellow.max())) / FPS - start
    assert -0.2 <= begun <= full <= 0.2, (seed, begun, full)


@pytest.mark.parametrize("text", [r"{\p1}m 0 0 l 9 9", r"a\Nb\hc", r"{\fs99}x", "%{}"])
def test_words_are_never_commands(run_karaoke: Run, tmp_path: Path, text: str) -> None:
    shapes = []
    for name, line in (("odd", text), ("plain", re.sub(r"[\\{}]", "|", text))):
        lyrics = tmp_path / f"{name}.srt"
        lyrics.write_text(f"1\n00:00:01,000 --> 00:00:01,500\n{line}\n")
        path, _ = make_disc(run_karaoke, tmp_path, *a_song(tmp_path, 1.5), "--lyrics", lyrics)
        ink = np.flatnonzero((decode(path)[22] > 200).all(axis=2).any(axis=1))
        shapes.append((ink[0], ink[-1]))
    (top, bottom), (plain_top, plain_bottom) = shapes
    assert max(abs(top - plain_top), abs(bottom - plain_bottom)) <= 6, "a break, or a shape"


def test_singers_have_colours_of_their_own(run_karaoke: Run, tmp_path: Path) -> None:
    lyrics = tmp_path / "duet.txt"
    lyrics.write_text("#TITLE:T\n#ARTIST:A\n#MP3:x\n#BPM:300\n#GAP:1000\n#P1:One\n#P2:Two\n"
                      "P1\n: 0 4 0 MMMM\nP2\n: 10 4 0 MMMM\nE\n")  # fmt: skip
    path, _ = make_disc(run_karaoke, tmp_path, *a_song(tmp_path, 3), "--lyrics", lyrics)
    colours = {tuple(colour) for colour in decode(path)[::5].reshape(-1, 3)[::3].tolist()}
    assert {(255, 255, 255), (17, 34, 51), (255, 204, 68), (85, 204, 255)} <= colours


def test_what_does_not_read_back_is_not_published(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lyrics, _ = random_lines(tmp_path, rng, 6)
    style, font, path = disc.marked(STYLE), Font(), tmp_path / "x.cdg"
    words = draw(read_lyrics(lyrics), Timeline(), size=(WIDE, HIGH), font=font, style=style,
                 matrix="None")  # fmt: skip
    packets: list[bytes] = []
    colours = disc.table(STYLE, BACK)
    encoder = Encoder(packets.append, opening(colours), 3)
    for picture in disc.pictures(words, font, 6):
        encoder.show(picture)
    path.write_bytes(b"".join([*packets, LAST]))
    checksums = encoder.checksums[: len(packets) // 12]
    disc.compare(path, checksums, colours, lambda: None)
    drawing = [
        n
        for n, packet in enumerate(packets)
        if packet[:2] == b"\x09\x06" and packet[4] != packet[5]
    ]
    one = 24 * int(rng.choice(drawing)) + 8
    damaged = bytearray(path.read_bytes())
    damaged[one : one + 12] = bytes(byte ^ 63 for byte in damaged[one : one + 12])
    path.write_bytes(damaged)
    with pytest.raises(WriteError, match="did not read back"):
        disc.compare(path, checksums, colours, lambda: None)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Café del Mar: 1/2", "Cafe del Mar_ 1_2"),
        ("CON", "_CON"),
        ("日本", "song"),
        ("x" * 99, "x" * 60),
    ],
)
def test_names_are_plain(title: str, name: str) -> None:
    assert disc.plain_name(title) == name
