"""Styles of the user's own."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion

from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.errors import UsageError
from karaoke.lyrics import Timeline, parse_lyrics
from karaoke.making.font import Font
from karaoke.making.screens import draw
from karaoke.making.styles import STYLES, Style, mixed, read_style
from tests.test_films import a_song, film_of, pictures, words_at

Run = Callable[..., subprocess.CompletedProcess[str]]
README = Path(__file__).parents[1] / "README.md"


def test_a_style_of_ones_own_is_seen(run_karaoke: Run, tmp_path: Path) -> None:
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    red, blue = np.random.default_rng(seed).integers(180, 256, 2)
    (tmp_path / "mine.toml").write_text(
        f'sung = "#{red:02x}0000"\nunsung = "#0000{blue:02x}"\n'
        "rows = 1\nsize = 0.2\nmiddle = 0.25\n"
    )
    lyrics = tmp_path / "words.lrc"
    lyrics.write_text(words_at([1.0, 1.5], 2.0))
    film = film_of(run_karaoke, tmp_path, *a_song(tmp_path, 2.5), "--lyrics", lyrics,
                   "--style", tmp_path / "mine.toml", "--background", "#00ff00")  # fmt: skip
    before, after = (pictures(film, 25)[n].astype(int) for n in (20, 52))
    for picture, part, other in ((before, 2, 0), (after, 0, 2)):
        ink = (picture[..., part] > 120) & (picture[..., other] < 80) & (picture[..., 1] < 80)
        rows = np.flatnonzero(ink.any(axis=1))
        assert ink.sum() > 500, seed
        assert rows[0] > 0.1 * 270 and rows[-1] < 0.4 * 270, seed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour_sung = 1", "colour_sung: unknown"),
        ("marign = 0.1", "Did you mean margin?"),
        ("rows = 2.5", "not a whole number"),
        ("rows = 0", "rows 0: not from 1 to 12"),
        ("rows = true", "not a whole number"),
        ('sung = "yellow"', "'yellow': not a colour"),
        ("singers = []", "singers: none"),
        ("singers = [1]", "not a list of texts"),
        ('sweep = "up"', "Choose fill, word, line"),
        ('like = "me"', "like 'me': unknown"),
        ("size = nan", "size nan: not from"),
        ("rows = ", "not a style"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        read_style(path)
    assert words in f"{raised.value} {raised.value.hint}" and "mine.toml" in str(raised.value)


def test_readme_names_all_keys(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (example,) = (block for block in blocks if "unsung" in block)
    (tmp_path / "mine.toml").write_text(example)
    style, font = read_style(tmp_path / "mine.toml")
    assert style.rows == 3 and style.sweep == "word" and font == tmp_path / "MyFont.ttf"
    hidden = {"fade_seconds", "line_seconds"}
    assert set(re.findall(r"^(\w+) =", example, re.M)) == {
        *({entry.name for entry in fields(Style)} - hidden), "font", "like"
    }  # fmt: skip


def test_a_duet_shows_who_is_next() -> None:
    song = parse_lyrics(
        b"#TITLE:T\n#ARTIST:A\n#MP3:x\n#BPM:300\n#P1:One\n#P2:Two\n"
        b"P1\n: 0 4 0 a\nP2\n: 9 4 0 b\nE\n"
    )
    looks = {}
    for name in ("plain", "duet"):
        script = draw(song, Timeline(), size=(640, 360), font=Font(), style=STYLES[name])
        rows = re.findall(r"^Style: Singer(\d),[^,]*,[^,]*,[^,]*,([^,]*),", script, re.M)
        looks[name] = dict(rows)
    assert len(set(looks["plain"].values())) == 1
    assert len(set(looks["duet"].values())) == len(looks["duet"]) == 4


def luminance(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Give the relative luminance of WCAG, of pixels ``(..., 3)``."""
    share = picture / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("style", ["plain", "big", "light", "duet", "film"])
def test_letters_stand_out_on_whatever_is_behind_them(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator, style: str
) -> None:
    wide, high = 1280, 720
    for name in ("song", "vocals", "instrumental"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros((57_330, 2)), 44_100)
    words = ["".join(rng.choice(list("ABEHMWgmwx"), 6)) for _ in range(2)]
    (tmp_path / "song.lrc").write_text(
        f"[00:00.60]<00:00.60>{words[0]} <00:00.80>{words[1]}<00:01.00>\n"
    )
    noise = rng.integers(0, 256, (high // 8, wide // 8, 3)).repeat(8, 0).repeat(8, 1)
    head = f"P6 {wide} {high} 255\n".encode()
    (tmp_path / "noise.ppm").write_bytes(head + noise.astype(np.uint8).tobytes())

    def shown(background: object) -> list[NDArray[np.uint8]]:
        """Show the words before they are sung, and after."""
        done = run_karaoke("make", tmp_path / "song.wav", "--from", tmp_path, "--to", "mp4",
                           "-o", tmp_path / "made", "--overwrite", "--size", f"{wide}x{high}",
                           "--style", style, "--background", background, "--fps", 10,
                           "--json")  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        raw = subprocess.run(
            [find_ffmpeg(), "-v", "error", "-i", json.loads(done.stdout)["outputs"]["mp4"]["path"],
             "-vf", "select='eq(n,4)+eq(n,11)'", "-fps_mode", "passthrough", "-f", "rawvideo",
             "-pix_fmt", "rgb24", "-"],
            capture_output=True, check=True,
        ).stdout  # fmt: skip
        return list(np.frombuffer(raw, np.uint8).reshape(2, high, wide, 3))

    chosen = STYLES[style]
    colours = mixed(chosen.unsung, chosen.singers[0], chosen.tint), chosen.sung
    there = []
    for picture, colour in zip(shown("#00b000"), colours, strict=True):
        ink = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)])
        letters = np.abs(picture.astype(int) - ink).max(axis=2) < 50
        assert letters.sum() > 3000, (style, colour)
        around = binary_dilation(letters, iterations=4) & ~binary_dilation(letters, iterations=2)
        there.append((binary_erosion(letters), around))
    for background in ("#ffffff", "#000000", tmp_path / "noise.ppm"):
        for picture, (letters, around) in zip(shown(background), there, strict=True):
            levels = luminance(picture)
            one, other = np.median(levels[letters]) + 0.05, levels[around] + 0.05
            contrast = np.maximum(one / other, other / one)
            print(style, background, np.percentile(contrast, [5, 50]).round(1))
            assert np.percentile(contrast, 5) >= 4.5, (style, background)
