"""Lyrics as they are written: read back, by our readers and by others, they are the same."""

from __future__ import annotations

import io
import re
import subprocess
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import log2
from pathlib import Path

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke.audio.ffmpeg import built_with, find_ffmpeg
from karaoke.errors import LyricsError
from karaoke.lyrics import (
    Line,
    Lyrics,
    Syllable,
    Timeline,
    Word,
    parse_lyrics,
    write_ass,
    write_enhanced_lrc,
    write_kar,
    write_lrc,
    write_plain,
    write_srt,
    write_ultrastar,
)
from karaoke.lyrics.model import UNFIT
from karaoke.lyrics.placing import fill_lines, fill_syllables, place
from karaoke.lyrics.reading import GUARD

PRESENT = Timeline()
#: Words that look like codes of one of the formats.
NASTY = [
    "{\\p1}", "\\N", "\\h", "{", "}", "\\{", "\\k50", "{\\k50}", "<i>", "</b>", "<3", "-->", "~",
    "[00:12.34]", "<00:12.34>", "[ti:x]", "#BPM:3", "#", "E", "P1", "-", ":", "7", "(2x)", "x2",
    "[Chorus]", "WEBVTT", "Dialogue:", "1,2", "&amp;", "\\", "%{}", "'\"", "/", "@T",
    "~~", "\u6b4c", "\U0001f3a4",
]  # fmt: skip
texts = st.one_of(
    st.text("abcdefghijk", min_size=1, max_size=5),
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=4).filter(
        lambda text: not UNFIT.search(text)
    ),
)
short = st.floats(0.03, 1.5)
pauses = st.one_of(st.just(0.0), st.floats(0.03, 2))


@st.composite
def lines(draw: st.DrawFn, start: float, singer: str, timed: bool) -> Line:
    """Draw a line whose syllables all have times, or none."""
    now = start + draw(pauses)
    words = []
    for _ in range(draw(st.integers(1, 3))):
        syllables = []
        for number in range(draw(st.integers(1, 3))):
            text = draw(texts)
            if timed and number and draw(st.integers(0, 5)) == 0:
                text = ""
            end = now + draw(short)
            pitch = draw(st.one_of(st.none(), st.integers(30, 90)))
            kind = draw(st.sampled_from(["normal", "golden", "rap", "golden-rap", "freestyle"]))
            spoken = kind not in ("normal", "golden")
            if timed:
                syllables.append(Syllable(text, now, end, None if spoken else pitch, kind))
            else:
                syllables.append(Syllable(text))
            now = end + draw(pauses)
        words.append(Word(tuple(syllables)))
    last = words[-1].end_seconds or now
    ends = draw(st.one_of(st.none(), st.floats(0.03, 3)))
    known = None if ends is None and not timed else last + (ends or 0.0)
    return Line(tuple(words), start, known, singer)


@st.composite
def songs(draw: st.DrawFn) -> Lyrics:
    """Draw lyrics, of one singer or of two that may sing at the same time."""
    singers = draw(st.sampled_from([("",), ("Ann",), ("Ann", "Bob & Co: x")]))
    kept: list[Line] = []
    free = dict.fromkeys(singers, draw(pauses))
    timed = draw(st.booleans())
    now = 0.0
    for _ in range(draw(st.integers(1, 4))):
        singer = draw(st.sampled_from(singers))
        start = max(free[singer], now) + draw(short)
        line = draw(lines(start, singer, timed or draw(st.booleans())))
        inner = [t for s in line.syllables for t in (s.end_seconds,) if t is not None]
        free[singer] = max([start + 0.1, line.end_seconds or 0.0, *inner])
        now = start
        kept.append(line)
    facts = st.sampled_from(["", "A title", "[x]: y", "#1, two"])
    return Lyrics(
        tuple(kept), draw(facts), draw(facts), draw(facts), draw(st.sampled_from(["", "de"]))
    )


timelines = st.builds(Timeline, st.just(0.0), st.floats(0.5, 2), st.floats(0, 10), st.floats(0, 10))
LRC_SECONDS, SRT_SECONDS = 0.01, 0.001
modest = settings(max_examples=40, deadline=None)


def words_in(line: Line) -> list[str]:
    """List the words, without notes on which they are held."""
    return [word.text for word in line.words]


def near(found: float | None, wanted: float | None, timeline: Timeline, grid: float) -> bool:
    """Tell whether a time was rounded to a grid at most."""
    assert found is not None and wanted is not None
    return abs(found - timeline.to_output(wanted)) <= grid / 2 + 1e-6


def sung(line: Line) -> list[tuple[str, float | None, float | None]]:
    """List syllables with what they are held on."""
    parts: list[tuple[str, float | None, float | None]] = []
    for s in line.syllables:
        if s.text:
            parts.append((s.text, s.start_seconds, s.end_seconds))
        else:
            parts[-1] = (*parts[-1][:2], s.end_seconds)
    return parts


def check_lines(found: Lyrics, song: Lyrics, timeline: Timeline, grid: float) -> None:
    """Check words and starts of lines."""
    assert [words_in(line) for line in found.lines] == [words_in(line) for line in song.lines]
    for line, wanted in zip(found.lines, song.lines, strict=True):
        assert near(line.start_seconds, wanted.start_seconds, timeline, grid)


@given(songs(), timelines)
@modest
def test_lrc(song: Lyrics, timeline: Timeline) -> None:
    for write in (write_lrc, write_enhanced_lrc):
        found = parse_lyrics(write(song, timeline))
        check_lines(found, song, timeline, LRC_SECONDS)
        assert (found.title, found.artist, found.album, found.language) == (
            song.title, song.artist, song.album, song.language)  # fmt: skip
        following = [*(line.start_seconds for line in song.lines[1:]), None]
        for line, wanted, after in zip(found.lines, song.lines, following, strict=True):
            overlapped = after is not None and after <= (wanted.end_seconds or 0)
            if overlapped and wanted.timing != "lines":
                continue  # its last syllable says when it ends
            if line.end_seconds is not None:
                assert near(line.end_seconds, wanted.end_seconds, timeline, LRC_SECONDS)
            elif wanted.end_seconds is not None:  # the next line begins before, or at once
                assert after is not None and after < wanted.end_seconds + 0.02 * timeline.tempo
        assert not found.warnings
    assert {s.start_seconds for s in parse_lyrics(write_lrc(song, timeline)).syllables()} == {None}


@given(songs(), timelines)
@modest
def test_enhanced_lrc_has_syllables(song: Lyrics, timeline: Timeline) -> None:
    found = parse_lyrics(write_enhanced_lrc(song, timeline))
    for line, wanted in zip(found.lines, song.lines, strict=True):
        if wanted.timing == "lines":
            assert line.timing == "lines"
            continue
        parts = [part for part in sung(line)]
        assert [part[0] for part in parts] == [part[0] for part in sung(wanted)]
        for (_, start, end), (_, begins, ends) in zip(parts, sung(wanted), strict=True):
            assert near(start, begins, timeline, LRC_SECONDS)
            assert near(end, ends, timeline, LRC_SECONDS)


@given(songs(), timelines)
@modest
def test_srt(song: Lyrics, timeline: Timeline) -> None:
    found = parse_lyrics(write_srt(song, timeline))
    check_lines(found, song, timeline, SRT_SECONDS)
    for line, wanted in zip(found.lines, fill_lines(song.lines), strict=True):
        assert near(line.end_seconds, wanted.end_seconds, timeline, SRT_SECONDS)
    assert not found.warnings and found.format == "srt"


@given(songs(), timelines)
@modest
def test_ass(song: Lyrics, timeline: Timeline) -> None:
    found = parse_lyrics(write_ass(song, timeline))
    check_lines(found, song, timeline, LRC_SECONDS)
    assert [line.singer for line in found.lines] == [line.singer for line in song.lines]
    assert found.title == song.title and found.format == "ass" and not found.warnings
    for line, wanted in zip(found.lines, fill_lines(song.lines), strict=True):
        assert near(line.end_seconds, wanted.end_seconds, timeline, LRC_SECONDS)
        assert line.timing == wanted.timing or "" in [s.text for s in wanted.syllables]
        if wanted.timing == "lines":
            continue
        assert [part[0] for part in sung(line)] == [part[0] for part in sung(wanted)]
        for (_, start, end), (_, begins, ends) in zip(sung(line), sung(wanted), strict=True):
            assert near(start, begins, timeline, LRC_SECONDS)
            assert near(end, ends, timeline, LRC_SECONDS)


@given(st.lists(st.one_of(st.sampled_from(NASTY), st.text("{}\\Nnhkp1~<", min_size=1)), min_size=1))
@modest
def test_no_code_of_a_lyric_takes_effect_in_ass(words: list[str]) -> None:
    line = Line(tuple(Word((Syllable(word),)) for word in words), 1.0, 2.0)
    text = write_ass(Lyrics((line,)), PRESENT).decode().splitlines()[-1].split(",", 9)[9]
    # As libass has it: a backslash before a brace makes it a character; a code is a backslash
    # and a letter it knows. As others have it, a block may begin at any brace: no code in it.
    assert not re.search(r"(?<!\\)[{}]", text)
    assert not re.search(r"\\[^{}\u2060]", text) and not text.endswith("\\")
    shown = text.replace("\\{", "{").replace("\\}", "}").replace(GUARD, "")
    assert shown == " ".join(words)


def test_libass_shows_codes_of_a_lyric_as_text(tmp_path: Path) -> None:
    if "ass" not in built_with(find_ffmpeg(), "filters"):
        pytest.skip("ffmpeg was built without libass")
    shown = []
    # The first would be moved to the top, the second would be a drawing, the third nothing.
    for text in ("{\\an8}M", "{\\p1}MMMMM", "{M}", "(M)"):
        line = Line((Word((Syllable(text),)),), 0.0, 5.0)
        (tmp_path / "x.ass").write_bytes(write_ass(Lyrics((line,)), PRESENT))
        command = [find_ffmpeg(), "-nostdin", "-v", "error", "-f", "lavfi"]
        command += ["-i", "color=black:s=320x180:d=1:r=5", "-vf", "ass=x.ass", "-frames:v", "1"]
        command += ["-f", "rawvideo", "-pix_fmt", "gray", "-"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        half = len(done.stdout) // 2
        assert max(done.stdout[:half]) < 40 and max(done.stdout[half:]) > 100
        shown.append(sum(value > 60 for value in done.stdout))
    moved, drawing, braces, brackets = shown
    assert moved > 1.5 * brackets and drawing > 1.5 * moved and 0.6 < braces / brackets < 1.7


@dataclass
class Note:
    """A note of UltraStar, in seconds."""

    kind: str
    start: float
    end: float
    pitch: int
    text: str


def parse_by_the_specification(data: bytes) -> tuple[dict[str, str], dict[int, list[list[Note]]]]:
    """Read headers, and phrases by voice, as the grammar of version 1 has them; nothing else."""
    assert not data.startswith(b"\xef\xbb\xbf") and b"\r" not in data
    rows = data.decode("utf-8").split("\n")
    assert rows[-2:] == ["E", ""]
    headers: dict[str, str] = {}
    while rows[0].startswith("#"):
        key, colon, value = rows.pop(0)[1:].partition(":")
        assert colon and value and key.isupper() and key not in headers
        headers[key] = value
    assert next(iter(headers)) == "VERSION" and re.fullmatch(r"1\.\d+\.\d+", headers["VERSION"])
    assert {"BPM", "MP3", "TITLE", "ARTIST"} <= set(headers) and headers["AUDIO"] == headers["MP3"]
    assert re.fullmatch(r"\d+(?:[.,]\d+)?", headers["BPM"])
    assert re.fullmatch(r"\d+(?:[.,]\d+)?", headers.get("GAP", "0"))
    gap, beat = float(headers.get("GAP", 0)) / 1000, 15 / float(headers["BPM"])
    voice, voices, ended = 1, {1: [[]]}, {1: 0}
    for row in rows[:-2]:
        if found := re.fullmatch(r"P(\d)", row):
            voice = int(found[1])
            assert f"P{voice}" in headers
            voices.setdefault(voice, [[]])
            ended.setdefault(voice, 0)
        elif found := re.fullmatch(r"- (\d+)", row):
            assert voices[voice][-1] and int(found[1]) >= ended[voice]
            voices[voice].append([])
        else:
            found = re.fullmatch(r"([:*FRG]) (\d+) (\d+) (-?\d+) ([^\0-\x1f]+)", row)
            assert found, row
            kind, start, length, pitch, text = found.groups()
            assert int(start) >= ended[voice] and int(length) > 0
            ended[voice] = int(start) + int(length)
            times = (gap + int(start) * beat, gap + ended[voice] * beat)
            voices[voice][-1].append(Note(kind, *times, int(pitch), text))
    return headers, voices


@given(songs(), timelines, st.floats(40, 300))
@modest
def test_ultrastar(song: Lyrics, timeline: Timeline, tempo: float) -> None:
    # Two syllables within one beat of the grid have to be moved apart.
    timeline = replace(timeline, tempo=min(1.0, timeline.tempo))
    data = write_ultrastar(song, timeline, beats_per_minute=tempo)
    headers, voices = parse_by_the_specification(data)
    grid = 15 / float(headers["BPM"])
    times_tempo = float(headers["BPM"]) / tempo
    assert grid <= 0.02 and times_tempo == pytest.approx(2 ** round(log2(times_tempo)), rel=1e-4)
    filled = [fill_syllables(line) for line in fill_lines(song.lines)]
    names = list(dict.fromkeys(line.singer for line in filled))
    found = parse_lyrics(data)
    assert found.format == "ultrastar" and not found.warnings
    assert found.title == song.title or (not song.title and found.title == "Unknown title")
    assert found.language == song.language
    for voice, name in enumerate(names, 1):
        wanted = [line for line in filled if line.singer == name]
        read = [line for line in found.lines if line.singer == name]
        assert name == "" or headers[f"P{voice}"] == name
        for line, notes, ours in zip(wanted, voices[voice], read, strict=True):
            said = "".join(note.text for note in notes if set(note.text.strip()) != {"~"})
            held = "".join(" " for note in notes if note.text == "~ ")
            assert said.replace(GUARD, "").count(" ") + len(held) == len(line.words) - 1
            assert words_in(ours) == words_in(line)
            timed = line.timing != "lines" and song.lines[0].timing != "lines"
            for note, syllable, mine in zip(notes, line.syllables, ours.syllables, strict=True):
                assert mine.text == syllable.text
                if timed:
                    assert near(note.start, syllable.start_seconds, timeline, grid)
                    assert near(mine.start_seconds, syllable.start_seconds, timeline, grid)
                    assert near(note.end, syllable.end_seconds, timeline, 3 * grid)
                if syllable.pitch is not None:
                    assert note.pitch == syllable.pitch - 60 and mine.pitch == syllable.pitch
                    assert mine.kind == syllable.kind and note.kind in ":*"
                else:
                    assert mine.pitch is None and note.kind in "FRG"


def test_ultrastar_headers() -> None:
    song = Lyrics(
        (Line((Word((Syllable("a", 2.0, 2.5, 60),)),), 1.5, 3.0),),
        "T\n#EVIL:x", "A", language="de", metadata={"year": "1999", "bpm": "1", "creator": "me"},
    )  # fmt: skip
    files = {"vocals": "v.opus", "cover": "c.jpg", "unknown": "x"}
    data = write_ultrastar(song, PRESENT, audio="s.opus", files=files)
    assert data.decode().splitlines() == [
        "#VERSION:1.1.0", "#TITLE:T #EVIL:x", "#ARTIST:A", "#LANGUAGE:German", "#YEAR:1999",
        "#CREATOR:me", "#MP3:s.opus", "#AUDIO:s.opus", "#VOCALS:v.opus", "#COVER:c.jpg",
        "#BPM:750", "#GAP:2000", ": 0 25 0 a", "E",
    ]  # fmt: skip
    assert (song.lines[0].syllables[0].pitch, write_plain(song)) == (60, b"a\n")


def test_ultrastar_syllables_at_one_time_stay_apart() -> None:
    syllables = tuple(Syllable(text, 1.0, 1.0) for text in "abc")
    song = Lyrics((Line((Word(syllables),), 1.0, 1.0), Line((Word(syllables),), 1.0, 1.0)))
    _, voices = parse_by_the_specification(write_ultrastar(song, PRESENT))
    starts = [note.start for phrase in voices[1] for note in phrase]
    assert starts == sorted(set(starts)) and len(starts) == 6


@given(songs(), timelines)
@modest
def test_kar(song: Lyrics, timeline: Timeline) -> None:
    data = write_kar(song, timeline)
    latin = mido.MidiFile(file=io.BytesIO(data), charset="latin-1")
    text = "".join(m.text for t in latin.tracks for m in t if m.type in ("text", "lyrics"))
    try:  # Latin-1 where it suffices, else UTF-8
        midi = mido.MidiFile(file=io.BytesIO(data), charset="utf-8")
    except UnicodeDecodeError:
        midi = latin
    assert midi.type == 1 and len(midi.tracks) == 4 and text
    seconds_per_tick = 0.5 / midi.ticks_per_beat
    filled = [fill_syllables(line) for line in fill_lines(song.lines)]
    assert [m.name for t in midi.tracks for m in t if m.type == "track_name"] == [
        "Soft karaoke", "Words", "Melody"]  # fmt: skip
    now, said = 0, ""
    begun: list[float] = []
    for message in midi.tracks[2]:
        now += message.time
        if message.type == "text" and not message.text.startswith("@"):
            said += "\n" + message.text[1:] if message.text[0] in "\\/" else message.text
            begun += [now * seconds_per_tick] * (message.text[0] in "\\/")
    assert said[1:].split("\n") == [line.text for line in filled]
    latest = 0.0
    for start, line in zip(begun, filled, strict=True):
        # There is one stream of words: a line follows those before it.
        wanted_start = max(latest, line.syllables[0].start_seconds or 0.0)
        assert near(start, wanted_start, timeline, 0.001)
        latest = max([latest, *(s.start_seconds or 0 for s in line.syllables if s.text)])
    assert next(m.text for m in midi.tracks[1] if m.type == "text") == "@KMIDI KARAOKE FILE"
    notes: list[tuple[float, int]] = []
    now = 0
    for message in midi.tracks[3]:
        now += message.time
        if message.type == "note_on":
            notes.append((now * seconds_per_tick, message.note))
    wanted = [s for line in filled for s in line.syllables if s.pitch is not None]
    wanted.sort(key=lambda s: (round(timeline.to_output(s.start_seconds or 0) * 1000),))
    assert sorted(note for _, note in notes) == sorted(s.pitch or 0 for s in wanted)
    for (start, _), syllable in zip(notes, wanted, strict=True):
        assert near(start, syllable.start_seconds, timeline, 0.001)


def song_of(*starts: float) -> Lyrics:
    """Make a line a second long at each time."""
    words = {start: (Word((Syllable(f"at{start:g}", start, start + 1),)),) for start in starts}
    return Lyrics(tuple(Line(w, start, start + 1) for start, w in words.items()))


WRITERS: list[Callable[[Lyrics, Timeline], bytes]] = [
    write_lrc, write_enhanced_lrc, write_srt, write_ass, write_ultrastar]  # fmt: skip


@pytest.mark.parametrize("write", WRITERS)
def test_one_clock_for_all(write: Callable[[Lyrics, Timeline], bytes]) -> None:
    timeline = Timeline(10.0, tempo=0.5, lead_in_seconds=3.0, offset_seconds=1.0, end_seconds=20.0)
    found = parse_lyrics(write(song_of(1, 8.5, 12, 18.5, 19, 30), timeline))
    # What begins before the excerpt begins while the count-in is played; what is over is left out.
    assert [line.text for line in found.lines] == ["at8.5", "at12", "at18.5"]
    starts = [line.start_seconds for line in found.lines]
    assert starts == pytest.approx([2.0, 9.0, 22.0], abs=0.01)
    assert "at8.5" in place(song_of(8.5), replace(timeline, lead_in_seconds=0.0))[0].text
    assert place(song_of(8.5), replace(timeline, lead_in_seconds=0.0))[0].start_seconds == 0.0


@pytest.mark.parametrize("write", [*WRITERS, write_kar])
def test_what_has_no_times_is_refused(write: Callable[[Lyrics, Timeline], bytes]) -> None:
    with pytest.raises(LyricsError, match="no times"):
        write(parse_lyrics(b"only\nwords"), PRESENT)


def test_unknown_times_are_filled_in() -> None:
    lyrics = parse_lyrics(b"[00:10.00]one\ntwo\n[00:20.00]ab cdef\n[00:26.00]\n")
    filled = fill_lines(lyrics.lines)
    assert [(x.start_seconds, x.end_seconds) for x in filled] == [(10, 15), (15, 20), (20, 26)]
    times = [(s.start_seconds, s.end_seconds) for s in fill_syllables(filled[2]).syllables]
    assert times == [(20, 22), (22, 26)]
    (late,) = fill_lines(parse_lyrics(b"[00:10.00]one").lines)
    assert late.end_seconds == 18


@given(songs())
@modest
def test_filling_keeps_what_is_known(song: Lyrics) -> None:
    ends = [line.start_seconds or 0 for line in song.lines]
    for line, wanted in zip(fill_lines(song.lines), song.lines, strict=True):
        assert line.start_seconds == wanted.start_seconds
        if wanted.end_seconds is None:
            later = ends[bisect_right(ends, line.start_seconds or 0) :]
            assert line.end_seconds == min([*later, (line.start_seconds or 0) + 8])
        for found, known in zip(fill_syllables(line).syllables, wanted.syllables, strict=True):
            assert known.start_seconds in (None, found.start_seconds)
            assert known.end_seconds in (None, found.end_seconds)
            assert line.start_seconds <= found.start_seconds <= found.end_seconds  # type: ignore[operator]
            assert found.end_seconds <= line.end_seconds + 1e-9  # type: ignore[operator]
