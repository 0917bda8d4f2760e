"""Styles of the user's own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from karaoke.errors import UsageError
from karaoke.lyrics import Timeline, parse_lyrics
from karaoke.making.font import Font
from karaoke.making.screens import draw
from karaoke.making.styles import STYLES, Style, read_style
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
