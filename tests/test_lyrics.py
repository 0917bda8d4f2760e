"""Lyrics as they are read: every format, every encoding, and what is no lyrics at all."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from karaoke.errors import LyricsError, NoInputError, PermissionDeniedError
from karaoke.lyrics import (
    Lyrics,
    Syllable,
    Timeline,
    lyrics_from_tags,
    lyrics_from_text,
    parse_lyrics,
    read_lyrics,
)
from karaoke.lyrics.languages import language_code


def parse(text: str) -> Lyrics:
    return parse_lyrics(text.encode())


def times(lyrics: Lyrics) -> list[tuple[str, float | None, float | None]]:
    """Give text, start and end of lines."""
    rounded = [
        [None if t is None else round(t, 4) for t in (line.start_seconds, line.end_seconds)]
        for line in lyrics.lines
    ]
    return [(line.text, *r) for line, r in zip(lyrics.lines, rounded, strict=True)]


def parts(lyrics: Lyrics, number: int = 0) -> list[tuple[str, float | None, float | None]]:
    """Give text, start and end of the syllables of a line."""
    return [
        (s.text, *(None if t is None else round(t, 4) for t in (s.start_seconds, s.end_seconds)))
        for s in lyrics.lines[number].syllables
    ]


def test_lrc() -> None:
    lyrics = parse(
        "[ti: A Title ]\n[ar:Singer]\n[al:Album]\n[by:me]\n[la:English]\n[length:3:20]\n"
        "[00:12.00]First line\n[00:15.5]Second\n[00:17]\n[01:02:50]Third\n"
    )
    assert times(lyrics) == [("First line", 12, None), ("Second", 15.5, 17), ("Third", 62.5, None)]
    assert (lyrics.title, lyrics.artist, lyrics.album) == ("A Title", "Singer", "Album")
    assert lyrics.language == "en" and lyrics.metadata == {"creator": "me", "length": "3:20"}
    assert lyrics.timing == "lines" and lyrics.format == "lrc" and lyrics.encoding == "utf-8"
    assert lyrics.warnings == ("read as minutes:seconds:hundredths (line 10)",)


def test_lrc_repeats_and_offset() -> None:
    lyrics = parse("[offset:+500]\n[00:21.10][00:45.10]Chorus\n[00:30.00]Verse\n[00:00.20]Early\n")
    expected = [("Early", 0, None), ("Chorus", 20.6, None), ("Verse", 29.5, None)]
    assert times(lyrics) == [*expected, ("Chorus", 44.6, None)]
    assert lyrics.warnings == ("times before the song were set to its start (line 4)",)
    assert times(parse("[offset:-250]\n[00:01.00]a"))[0][1] == 1.25


@pytest.mark.parametrize(
    "row",
    [
        "[00:01.00]<00:01.00>Hel<00:01.20>lo <00:01.50>world<00:02.00>",  # the A2 player's
        "[00:01.00] <00:01.00> Hel<00:01.20>lo <00:01.50> world <00:02.00>",
        "[00:01.00]Hel<00:01.20>lo <00:01.50>world<00:02.00>",
        "[00:01.00]Hel[00:01.20]lo [00:01.50]world[00:02.00]",
        "<00:01.00>Hel<00:01.20>lo <00:01.50>world<00:02.00>",
    ],
)
def test_enhanced_lrc(row: str) -> None:
    lyrics = parse(row)
    assert lyrics.lines[0].text == "Hello world" and len(lyrics.lines[0].words) == 2
    assert parts(lyrics) == [("Hel", 1, 1.2), ("lo", 1.2, 1.5), ("world", 1.5, 2)]
    assert lyrics.timing == "syllables" and lyrics.format == "elrc" and not lyrics.warnings


def test_enhanced_lrc_of_a_repeated_line() -> None:
    lyrics = parse("[00:01.00][00:11.00]<00:01.00>a <00:01.50>b<00:02.00>")
    assert parts(lyrics, 1) == [("a", 11, 11.5), ("b", 11.5, 12)] and lyrics.timing == "words"


def test_times_that_go_backwards_are_repaired() -> None:
    lyrics = parse("[00:01.00]<00:02.00>a <00:01.50>b\n[00:09.00]c\n[00:05.00]d\n[00:06.00]e\n")
    assert [line.text for line in lyrics.lines] == ["a b", "d", "e", "c"]
    assert parts(lyrics) == [("a", 2, 2), ("b", 2, None)]
    assert lyrics.warnings == (
        "times that go backwards were repaired (line 1)",
        "lines out of order were sorted by their times (lines 3 and 4)",
    )


def test_lines_without_a_time_stay_where_they_are() -> None:
    lyrics = parse("[00:05.00]a\nb\n[Chorus]\n[00:09.00]c\n")
    assert times(lyrics) == [("a", 5, None), ("b", None, None), ("c", 9, None)]
    assert len(lyrics.warnings) == 2 and "(line 2)" in lyrics.warnings[0]


ULTRASTAR = """#TITLE:Song
#ARTIST:Band
#LANGUAGE:German
#MP3:song.mp3
#VIDEO:clip.mp4
#BPM:300,0
#GAP:1000
: 0 5 0 Hel
* 5 5 2 lo\x20
: 10 5 4 love
: 15 5 -1 ~
- 22
R 30 5 0 rap
F 35 5 7  free
G 40 10 0 -ly
E
: 99 9 9 ignored
"""


def test_ultrastar() -> None:
    lyrics = parse(ULTRASTAR)
    assert [line.text for line in lyrics.lines] == ["Hello love", "rap free-ly"]
    # 300 counts of four: a beat is 50 ms.
    assert parts(lyrics) == [("Hel", 1, 1.25), ("lo", 1.25, 1.5), ("love", 1.5, 1.75),
                             ("", 1.75, 2)]  # fmt: skip
    syllables = list(lyrics.syllables())
    assert [s.pitch for s in syllables] == [60, 62, 64, 59, None, None, None]
    kinds = ["normal", "golden", "normal", "normal", "rap", "freestyle", "golden-rap"]
    assert [s.kind for s in syllables] == kinds
    assert lyrics.metadata == {"mp3": "song.mp3", "video": "clip.mp4"}
    assert (lyrics.title, lyrics.artist, lyrics.language) == ("Song", "Band", "de")
    assert lyrics.format == "ultrastar" and lyrics.timing == "syllables" and not lyrics.warnings


def test_ultrastar_duets() -> None:
    body = "P1\n: 0 2 0 a\n- 2\n: 20 2 0 c\nP2\n: 10 2 0 b\nP3\n: 30 2 0 d\nE\n"
    heads = {
        "#BPM:300\n#P1:Ann\n#DUETSINGERP1:no\n#DUETSINGERP2:Bob\n": ["Ann", "Bob", "Ann & Bob"],
        "#BPM:300\n": ["P1", "P2", "P1 & P2"],
        "#VERSION:1.0.0\n#BPM:300\n#P1:Ann\n#P2:Bob\n#P3:Cy\n": ["Ann", "Bob", "Cy"],
    }
    for head, (one, two, three) in heads.items():
        lyrics = parse(head + body.replace("P2", "P 2"))
        singers = [(line.text, line.singer) for line in lyrics.lines]
        assert singers == [("a", one), ("b", two), ("c", one), ("d", three)]
        assert not lyrics.warnings


def test_ultrastar_relative_mode_and_tempo_changes() -> None:
    relative = "#BPM:300\n#RELATIVE:yes\n: 4 2 0 a\n- 8 10\n: 2 2 0 b\n- 6\n: 1 1 0 c\nE"
    assert times(parse(relative)) == [("a", 0.2, 0.3), ("b", 0.6, 0.7), ("c", 0.85, 0.9)]
    changing = "#BPM:300\n: 0 2 0 a\n- 5\nB 10 150\n: 12 2 0 b\nE"
    assert times(parse(changing)) == [("a", 0, 0.1), ("b", 0.7, 0.9)]
    assert times(parse("#VERSION:2.0.0\n#BPM:1200\n: 4 2 0 a")) == [("a", 0.2, 0.3)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("#TITLE:x\n: 0 1 0 a\n", "line 1, column 1: expected #BPM"),
        ("#TITLE:x\n#BPM:fast\n: 0 1 0 a\n", "line 2, column 1: expected #BPM"),
        ("#BPM:0\n: 0 1 0 a\n", "line 1, column 1: expected #BPM"),
        ("#BPM:300\n\nla la la\n", "line 3, column 1: expected a note"),
        ("[ti:x]\n[00:aa.00]x\n[00:01.00]\n", "line 2, column 1: expected a time"),
        ("[offset:soon]\n[00:01.00]\n", "line 1, column 9: expected milliseconds"),
        ("WEBVTT\n\n00:x --> 3\nx\n", "line 3, column 1: expected two times"),
        ("[Events]\nDialogue: 0,0:00\n", "line 2, column 1: expected 10 values"),
        ("[Chorus]\n\n(2x)\n", "expected words that are sung"),
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
    ],
)
def test_errors_name_the_place(text: str, place: str) -> None:
    with pytest.raises(LyricsError) as caught:
        parse_lyrics(text.encode(), '"song.txt"')
    assert place in str(caught.value) and '"song.txt"' in str(caught.value)
    assert caught.value.exit_code == 65 and caught.value.code == "lyrics" and caught.value.hint


def test_srt() -> None:
    lyrics = parse(
        "1\r\n00:00:01,500 --> 00:00:03,000\r\n<i>Two</i> <font color=red>rows</font>\r\n"
        "{\\an8}of <3 it\r\n\r\n"
        "2\r\n00:00:04.000 --> 00:00:03.000 X1:0\r\n7\r\n3\r\n01:00:05,1 --> 01:00:06,25\r\nlast"
    )
    expected = [("Two rows of <3 it", 1.5, 3), ("7", 4, None), ("last", 3605.1, 3606.25)]
    assert times(lyrics) == expected and lyrics.format == "srt"
    assert lyrics.warnings == ("times that go backwards were repaired (line 7)",)


def test_vtt() -> None:
    lyrics = parse(
        "WEBVTT - x\n\nNOTE\nnothing --> here\n\nSTYLE\n::cue {}\n\nid\n"
        "00:01.000 --> 00:04.000 line:0\n"
        "<v.loud Ann>Hel<00:01.500><c.x>lo </c><00:02.000>w&amp;d</v>\n<v Bob>b <i>c</i>\n\n"
        "01:00:00.000 --> 01:00:01.000\n<ruby>\u6f22<rt>kan</rt></ruby>"
    )
    assert [(x.text, x.singer) for x in lyrics.lines] == [
        ("Hello w&d", "Ann"), ("b c", "Bob"), ("\u6f22", "")]  # fmt: skip
    assert parts(lyrics) == [("Hel", 1, 1.5), ("lo", 1.5, 2), ("w&d", 2, 2)]
    assert times(lyrics)[2][1:] == (3600, 3601) and lyrics.format == "vtt"


ASS_HEAD = (
    "[Script Info]\nTitle: T\n\n[V4+ Styles]\nFormat: Name\nStyle: Default\n\n[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)


def ass(*events: str) -> Lyrics:
    return parse(ASS_HEAD + "".join(f"{event}\n" for event in events))


def test_ass() -> None:
    lyrics = ass(
        r"Dialogue: 0,0:00:01.00,0:00:04.00,Default,Ann,0,0,0,,{\k20\c&HFF&}Hel{\kf30}lo{\ko10}"
        r" {\K40\t(0,1,\fs3)}wo, r{\k10\k20}ld",
        r"Dialogue: 0,0:00:00.50,0:00:01.00,Default,,0,0,0,,{\p1}m 0 0{\p0}a{note}\Nb\h\{c\}{",
        r"Comment: 0,0:00:00.50,0:00:01.00,Default,,0,0,0,,nobody sings this",
    )
    assert [(x.text, x.singer) for x in lyrics.lines] == [
        ("a b {c}{", ""),
        ("Hello wo, rld", "Ann"),
    ]
    assert parts(lyrics, 1) == [
        ("Hel", 1, 1.2), ("lo", 1.2, 1.5), ("wo,", 1.6, None), ("r", None, 2), ("ld", 2.1, 2.3),
    ]  # fmt: skip
    assert lyrics.title == "T" and times(lyrics)[1][1:] == (1, 4) and not lyrics.warnings


def test_ass_styles_and_templates() -> None:
    lyrics = ass(
        "Comment: 0,0:00:01.00,0:00:02.00,He,,0,0,0,karaoke,{\\k50}real",
        "Dialogue: 0,0:00:01.00,0:00:02.00,He,,0,0,0,fx,{\\pos(1,2)}r",
        "Dialogue: 0,0:00:03.00,0:00:04.00,She,,0,0,0,,too",
    )
    assert [(x.text, x.singer) for x in lyrics.lines] == [("real", "He"), ("too", "She")]
    old = parse("[Events]\nFormat: Marked, Start, End, Style, Name, Text\n"
                "Dialogue: Marked=0,0:00:01.00,0:00:02.00,D,,a, b\n")  # fmt: skip
    assert times(old) == [("a, b", 1, 2)]


def test_plain_text() -> None:
    lyrics = parse(
        "[Verse 1: Ann]\nRow one\nRow two (2x)\n\nChorus:\nLa la x3\n(repeat)\n\n\nThe end of 2x4\n"
    )
    assert [(line.text, line.starts_stanza) for line in lyrics.lines] == [
        ("Row one", False), ("Row two", False), ("La la", True), ("The end of 2x4", True),
    ]  # fmt: skip
    assert lyrics.text == "Row one\nRow two\n\nLa la\n\nThe end of 2x4"
    assert lyrics.timing == "none" and lyrics.format == "plain"
    assert [w[w.rindex("(") :] for w in lyrics.warnings] == [
        "(lines 1 and 5)",
        "(lines 3, 6 and 7)",
    ]


JAPANESE = "[00:01.00]\u3042\u306a\u305f\u306e\u6b4c\u3092\u8074\u304f\n"
GERMAN = "[00:01.00]Gr\u00fc\u00dfe, l\u00e9s \u00e9t\u00e9s\n"


@pytest.mark.parametrize(
    ("data", "encoding", "guessed"),
    [
        (GERMAN.encode(), "utf-8", False),
        (GERMAN.encode("utf-8-sig"), "utf-8", False),
        (GERMAN.encode("utf-16"), "utf-16-le", False),
        (b"\xfe\xff" + GERMAN.encode("utf-16-be"), "utf-16-be", False),
        (GERMAN.encode("utf-32"), "utf-32-le", False),
        (GERMAN.encode("utf-16-le"), "utf-16-le", True),
        (GERMAN.encode("utf-16-be"), "utf-16-be", True),
        (GERMAN.encode("cp1252"), "cp1252", True),
        (JAPANESE.encode("shift-jis"), "cp932", True),
        (JAPANESE.encode("utf-16-le"), "utf-16-le", True),
        (JAPANESE.encode(), "utf-8", False),
    ],
)
def test_encodings(data: bytes, encoding: str, guessed: bool) -> None:
    for line_end in (b"\n", b"\r\n", b"\r"):
        wide = {"utf-16-le": "utf-16-le", "utf-16-be": "utf-16-be", "utf-32-le": "utf-32-le"}
        narrow = wide.get(encoding, "ascii")
        lyrics = parse_lyrics(data.replace("\n".encode(narrow), line_end.decode().encode(narrow)))
        expected = JAPANESE if "\u6b4c" in data.decode(encoding) else GERMAN
        assert times(lyrics) == [(expected.strip()[10:], 1, None)]
        assert lyrics.encoding == encoding
        assert bool(lyrics.warnings) == guessed == any("guess" in w for w in lyrics.warnings)


def test_the_encoding_that_a_header_states() -> None:
    data = "#ENCODING:CP1250\n#BPM:300\n: 0 1 0 \u010d\u00e1p\n".encode("cp1250")
    lyrics = parse_lyrics(data)
    assert lyrics.text == "\u010d\u00e1p" and lyrics.encoding == "cp1250" and not lyrics.warnings


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "named wrongly.mp3"
    path.write_bytes(ULTRASTAR.encode())
    assert read_lyrics(path).format == "ultrastar"
    for missing in (tmp_path / "none.lrc", tmp_path):
        with pytest.raises(NoInputError, match="Check the name"):
            read_lyrics(missing)
    path.write_bytes(b"\0")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads everything")
    with pytest.raises(PermissionDeniedError):
        read_lyrics(path)


def test_tags() -> None:
    fields = {"lyrics": ("some words\nmore",), "title": ("T",), "artist": ("A", "B")}
    lyrics = lyrics_from_tags(fields, "eng")
    assert lyrics is not None and lyrics.timing == "none" and lyrics.language == "en"
    assert (lyrics.title, lyrics.artist) == ("T", "A")
    timed = "[00:01.000]some<00:01.500>thing\r\n[00:02.000]more"
    lyrics = lyrics_from_tags({**fields, "syncedlyrics": (timed,)})
    assert lyrics is not None and parts(lyrics) == [("some", 1, 1.5), ("thing", 1.5, None)]
    assert lyrics == lyrics_from_text(timed).__class__(lyrics.lines, title="T", artist="A")
    assert (
        lyrics_from_tags({"lyrics": ("[Instrumental]",)}) is None and lyrics_from_tags({}) is None
    )


def test_languages() -> None:
    for written in ("en", "eng", "English", "EN-gb", " english "):
        assert language_code(written) == "en"
    assert language_code("Klingon") == "Klingon" and language_code("") == ""


def test_the_model_refuses_nonsense() -> None:
    for text in ("a b", "a\n", "\0", "\ufeff"):
        with pytest.raises(ValueError, match="spaces"):
            Syllable(text)
    for start, end in ((-1.0, None), (float("nan"), None), (2.0, 1.0), (0.0, float("inf"))):
        with pytest.raises(ValueError, match=r"time|before"):
            Syllable("a", start, end)


seconds = st.floats(-1e5, 1e5)
timelines = st.builds(
    Timeline, st.floats(0, 1e4), st.floats(0.25, 4), st.floats(0, 60), st.floats(-60, 60)
)


@given(timelines, seconds, seconds)
def test_timeline(timeline: Timeline, one: float, other: float) -> None:
    assert timeline.to_song(timeline.to_output(one)) == pytest.approx(one, abs=1e-6)
    assert timeline.to_output(timeline.to_song(one)) == pytest.approx(one, abs=1e-6)
    first, second = sorted((one, other))
    assert timeline.to_output(first) <= timeline.to_output(second)
    apart = (second - first) / timeline.tempo
    assert timeline.to_output(second) - timeline.to_output(first) == pytest.approx(apart, abs=1e-6)
    late = timeline.offset_seconds / timeline.tempo
    assert timeline.to_output(one) - timeline.of_sound.to_output(one) == pytest.approx(
        late, abs=1e-6
    )


def test_timeline_refuses_nonsense() -> None:
    for tempo in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not a clock"):
            Timeline(tempo=tempo)


FRAGMENTS = [
    "[00:12.34]", "[00:12:34]", "<00:13.00>", "[-00:01.00]", "[", "]", "<", ">", "{", "}", "\\k",
    "{\\k10}", "\\N", "[99999:99.99]", "[ti:", "[offset:-99999999]", "\0", "\r", "\n", "\r\n",
    "1", "00:00:01,000 --> 00:00:00,500", "-->", "WEBVTT\n", "#BPM:300\n", "#GAP:-5\n", ": 1 2 3 a",
    "* -9 -9 -9 ~", "- 3 4", "- ", "P1\n", "E\n", "B 3 9", "#RELATIVE:yes\n", "[Events]\n", "~",
    "Dialogue: 0,0:00:01.00,0:00:00.00,a,b,0,0,0,,x", "word", " ", "\u00fc", "\u6f22", "(2x)",
    "[Chorus]", "\ufeff", "\u2028", "\x85", "999999999", "<v Ann>", "<c>", "&amp;", "#VERSION:9\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join), st.sampled_from(
    ["utf-8", "utf-16", "utf-16-le", "cp932"]))  # fmt: skip
@example("#BPM:300\n\ufeff", "utf-8")
@settings(max_examples=300, deadline=None)
def test_nothing_but_lyrics_errors(text: str, encoding: str) -> None:
    try:
        lyrics = parse_lyrics(text.encode(encoding, "replace"))
    except LyricsError as error:
        assert "expected" in error.message and error.hint
        return
    assert lyrics.lines and all(line.words and line.text for line in lyrics.lines)
    starts = [line.start_seconds for line in lyrics.lines if line.start_seconds is not None]
    assert starts == sorted(starts)
    for line in lyrics.lines:
        inner = [t for s in line.syllables for t in (s.start_seconds,) if t is not None]
        assert inner == sorted(inner)
        assert line.end_seconds is None or not inner or inner[-1] <= line.end_seconds


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes(data: bytes) -> None:
    with suppress(LyricsError):
        assert parse_lyrics(data).lines


SIZE = 10_000_000


def rows(row: str, width: int = 105, fill: str = "a", head: str = "") -> bytes:
    """Repeat a row that is filled up to a width until there are 10 MB."""
    return (head + f"{row:{fill}<{width - 1}}\n" * (SIZE // width)).encode()


DIALOGUE = "Dialogue: 0,0:00:01.00,0:00:02.00,,,0,0,0,,"
CUE = "00:00:01,000 --> 00:00:02,000"
HUGE = {
    "a line": b"a " * (SIZE // 2),
    "blanks": b"\n" * SIZE,
    "nuls": bytes(SIZE),
    "stamps": b"[00:01.00]" * (SIZE // 10),
    "rows of stamps": (b"[00:01.00]" * 9000 + b"a\n") * (SIZE // 90_000),
    "cp1252": rows("\xfc").decode().encode("cp1252"),
    "plain": rows("a b c d "),
    "empty lrc": rows("[00:01.00]", fill=" "),
    "untimed lrc": rows("[1", head="[00:01.00]a\n"),
    "lrc": rows("[00:01.00]<00:02.00>a<00:01.00>"),
    "brackets": rows("[", 100_000, "[", head="[00:01.00]a\n"),
    "angles": rows("<", 100_000, "<", head=f"WEBVTT\n\n{CUE}\n".replace(",", ".")),
    "braces": rows(DIALOGUE, 100_000, "{"),
    "backslashes": rows(DIALOGUE, 100_000, "\\"),
    "inner spaces": rows("chorus(", 100_000, " "),
    "ultrastar": rows(": 1 2 3 a ", head="#BPM:300\n"),
    "no notes": rows(": 1 2 - ", head="#BPM:300\n"),
    "srt": rows(f"{CUE}\na\n\n", 420),
    "arrows": rows("-->", head=f"{CUE}\n"),
    "ass": rows(DIALOGUE),
}


@pytest.mark.parametrize("name", HUGE)
def test_ten_megabytes_are_refused_or_read_at_once(name: str) -> None:
    begun = time.process_time()
    try:
        assert parse_lyrics(HUGE[name], "huge").lines
    except LyricsError as error:
        assert "huge" in error.message
    # On an idle processor it is less than 1.
    assert time.process_time() - begun < 3


def test_more_is_refused() -> None:
    with pytest.raises(LyricsError, match="at most 20 MB"):
        parse_lyrics(b"a\n" * 10_000_001)
