"""Planning: songs found in folders and lists, outputs named, collisions refused."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karaoke.errors import NoInputError, UsageError
from karaoke.files import checksum
from karaoke.jobs.manifest import SplitSettings, make_manifest
from karaoke.jobs.naming import (
    DEFAULT_TEMPLATE,
    LONGEST_NAME,
    Song,
    check_template,
    name_manifest,
    name_output,
)
from karaoke.jobs.planning import Job, find_songs, list_entries, plan

STEMS = ("vocals", "instrumental")


def touch(*paths: Path) -> None:
    """Make empty files and their folders."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_folders_give_sounds_in_the_order_of_names(tmp_path: Path) -> None:
    touch(*(tmp_path / n for n in ("b.MP3", "a.wav", "notes.txt", ".hidden.mp3", "in/c.Flac")))
    touch(tmp_path / ".git" / "x.wav", tmp_path / "in" / "deep" / "d.mkv")
    assert [s.path.name for s in find_songs([tmp_path])] == ["a.wav", "b.MP3"]
    found = find_songs([tmp_path], recursive=True)
    assert [s.path.name for s in found] == ["a.wav", "b.MP3", "c.Flac", "d.mkv"]
    assert [s.parent for s in found][2:] == [PurePath("in"), PurePath("in/deep")]
    both = find_songs([tmp_path / "b.MP3", tmp_path], recursive=False)
    assert [s.path.name for s in both] == ["b.MP3", "a.wav"], "once, in the order of naming"
    assert find_songs([Path("no such.xyz")]) == [Song(Path("no such.xyz"))]
    touch(tmp_path / "none" / "readme.md")
    with pytest.raises(NoInputError, match="no songs"):
        find_songs([tmp_path / "none"])


def test_what_was_written_by_karaoke_is_no_song(tmp_path: Path) -> None:
    (job,) = plan([Song(tmp_path / "song.mp3")], tmp_path / "separated", STEMS, "wav")
    (flat,) = plan([Song(tmp_path / "song.mp3")], tmp_path, STEMS, "wav",
                   template="{title}-{stem}.{ext}")  # fmt: skip
    touch(tmp_path / "song.mp3", *job.outputs.values(), *flat.outputs.values())
    assert len(find_songs([tmp_path], recursive=True)) == 5
    for done in (job, flat):
        outputs = {stem: {"path": path.name} for stem, path in done.outputs.items()}
        done.manifest.write_text(json.dumps({"outputs": outputs}), encoding="utf-8")
    assert [s.path.name for s in find_songs([tmp_path], recursive=True)] == ["song.mp3"]
    flat.manifest.write_text("{broken", encoding="utf-8")
    assert len(find_songs([tmp_path], recursive=True)) == 3


def test_lists_are_lines_or_zero_terminated() -> None:
    assert list_entries(b"a.mp3\nb c.mp3\r\n\n") == ["a.mp3", "b c.mp3"]
    assert list_entries(b"a\nb.mp3\0c.mp3\0") == ["a\nb.mp3", "c.mp3"]
    assert list_entries(b"\xef\xbb\xbfa.mp3\r\n") == ["a.mp3"], "as Windows' editors write it"
    assert list_entries(b"\xff.mp3") == ["\udcff.mp3"]


def test_names_mirror_the_folders(tmp_path: Path) -> None:
    songs = [Song(Path("m/x/a.mp3"), PurePath("x")), Song(Path("b.mp3"))]
    jobs = plan(songs, tmp_path, STEMS, "flac")
    assert jobs[0].outputs["vocals"] == tmp_path / "x" / "a" / "vocals.flac"
    assert jobs[1].outputs["instrumental"] == tmp_path / "b" / "instrumental.flac"
    assert jobs[1].manifest == tmp_path / "b" / ".b.karaoke.json"
    (job,) = plan(songs[:1], tmp_path, ["vocals"], "wav", model="/x/open-v9.safetensors",
                  template="{model}/{parent} - {title} ({stem}).{ext}")  # fmt: skip
    assert job.outputs["vocals"] == tmp_path / "open-v9" / "x - a (vocals).wav"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{title}.{ext}", "Add {stem}"),
        ("{stem}.{ext}", "Add {title}"),
        ("{artist}/{title}/{stem}", "unknown {artist}"),
        ("{title}/{stem", "--name"),
        ("/etc/{title}{stem}", "below the output folder"),
        ("{parent}/../{title}{stem}", "below the output folder"),
        ("{title}{stem}/", "below the output folder"),
    ],
)
def test_templates_that_cannot_name_stems_are_refused(template: str, says: str) -> None:
    with pytest.raises(UsageError, match=r".*") as caught:
        check_template(template, STEMS)
    assert says in str(caught.value)


@given(title=st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=300))
def test_names_fit_file_systems(title: str) -> None:
    try:
        os.fsencode(title)
    except UnicodeEncodeError:
        return
    song = Song(Path(f"{title}.mp3"))
    path = name_output("{parent}/{title}/{title}-{stem}.{ext}", song, "instrumental", "flac", "m")
    assert len(path.parts) == 2 or not title.strip(".")
    for part in path.parts:
        assert 0 < len(os.fsencode(part)) <= LONGEST_NAME
    assert path.name.endswith("-instrumental.flac")


@pytest.mark.parametrize(
    "template",
    ["{title:d}", "{title:{x}}", "{title:{stem}}", "{title.__class__}", "{title!r}", "{title[0]}",
     "{0}", "{}", "{:}", "{!r}", "{title", "title}", "{{title}", "{title!}", "{title!rr}",
     "{ title }", "{TITLE}", "{title:>500}", "{{title}}"],
)  # fmt: skip
def test_whatever_is_no_plain_variable_is_a_usage_error(template: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_template(template + "{stem}", STEMS)
    assert "__class__" not in template or "<class" not in str(caught.value)
    assert "\n" not in str(caught.value)


PIECES = [
    *("{", "}", "{{", "}}", "{title}", "{stem}", "{parent}", "{folder}", "{source_ext}", "{model}"),
    *("/", "..", ".", "!r", ":d", "[0]", "x", " ", "\\", "C:", "CON", "\0", "~"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=7).map("".join), st.booleans())
def test_any_template_is_refused_or_stays_below_the_folder(template: str, windows: bool) -> None:
    song = Song(Path("../a/../..", "...", "s.mp3"), PurePath("...", "y"))
    try:
        check_template(template, STEMS, windows=windows)
    except UsageError:
        return
    for path in (
        *(name_output(template, song, stem, "wav", "..", windows=windows) for stem in STEMS),
        name_manifest(template, song, "wav", "..", windows=windows),
    ):
        assert path.parts and not path.is_absolute()
        assert not {"..", "."} & set(path.parts)
        assert not any("\0" in part or "/" in part for part in path.parts)
        if windows:
            there = PureWindowsPath(*path.parts)
            assert there.parts == path.parts and not there.drive and not there.root


@pytest.mark.parametrize(
    "template",
    ["..\\{title}{stem}", "{title}\\..\\{stem}", "C:\\{title}{stem}", "C:{title}{stem}",
     "\\\\server\\share\\{title}{stem}", "\\{title}{stem}", "\\\\?\\C:\\{title}{stem}",
     "CON/{title}{stem}", "nul.{title}{stem}", "{title}/aux.txt/{stem}", "{title}./{stem}",
     "{title} /{stem}", "{title}:{stem}", "{title}{stem}?", "{title}*{stem}", "<{title}>{stem}",
     "{title}|{stem}", '"{title}{stem}"', "{title}{stem}.", "com1/{title}{stem}",
     "{title}{stem}\\"],
)  # fmt: skip
def test_templates_that_windows_takes_otherwise(template: str) -> None:
    with pytest.raises(UsageError):
        check_template(template, STEMS, windows=True)


def test_names_that_windows_takes_otherwise() -> None:
    for title, expected in {
        "CON": "_CON", "aux.live": "_aux.live", "Lpt1 ": "Lpt1_", "nul": "_nul",
        "console": "console",
        "what?": "what_", "a:b": "a_b", "AC/DC": "AC_DC", "end.": "end_", 'say "x"': "say _x_",
        "com\u00b9": "_com\u00b9", "a<b>|*c": "a_b___c", "tab\there": "tab_here",
    }.items():  # fmt: skip
        song = Named(title)
        path = name_output("{title}/{stem}.{ext}", song, "vocals", "wav", "m", windows=True)
        assert PureWindowsPath(*path.parts).parts == (expected, "vocals.wav")
        elsewhere = name_output("{title}/{stem}.{ext}", song, "vocals", "wav", "m", windows=False)
        assert elsewhere.parts[0] == title.replace("/", "_")
    both = "{parent}\\{title}/{stem}.{ext}"
    path = name_output(both, Song(Path("a.mp3"), PurePath("x")), "vocals", "wav", "m", windows=True)
    assert path.parts == ("x", "a", "vocals.wav")
    check_template(both, STEMS, windows=True)


class Named(Song):
    """A song of a name that no file here can have."""

    def __init__(self, title: str) -> None:
        super().__init__(Path("x.mp3"))
        object.__setattr__(self, "_title", title)

    @property
    def title(self) -> str:
        return str(vars(self)["_title"])


def test_outputs_that_meet_fail_alone(tmp_path: Path) -> None:
    for one, other, way_out in (
        ("a/s.mp3", "b/s.wav", "{folder}"),
        ("s.mp3", "s.flac", "{source_ext}"),
        ("a/S.mp3", "a/s.mp3", "Rename"),
        ("é.mp3", "e\u0301.mp3", "Rename"),
    ):
        jobs = plan([Song(Path(name)) for name in (one, "x.mp3", other)], tmp_path, STEMS, "wav")
        assert [job.error is None for job in jobs] == [False, True, False]
        for job, rival in ((jobs[0], other), (jobs[2], one)):
            assert job.error is not None and job.error.exit_code == 73
            assert f'"{job.source}": would write the same files as "{rival}"' in job.error.message
            assert way_out in job.error.hint
    many = plan([Song(Path(f"{n}/s.mp3")) for n in range(9)], tmp_path, STEMS, "wav")
    assert 'as "1/s.mp3", "2/s.mp3", "3/s.mp3" and 5 more' in str(many[0].error)
    song = tmp_path / "vocals" / "vocals.wav"
    touch(song)
    for job in plan([Song(song), Song(Path("y.mp3"))], tmp_path, STEMS, "wav"):
        assert (job.error is not None) == (job.source == song)
    assert "is one of the songs" in str(plan([Song(song)], tmp_path, STEMS, "wav")[0].error)


def test_a_file_where_another_songs_folder_has_to_be(tmp_path: Path) -> None:
    songs = [Song(Path("a")), Song(Path("vocals"), PurePath("a"))]
    jobs = plan(songs, tmp_path, ["vocals"], "wav", template="{parent}/{title}")
    assert jobs[0].error is None and "same files" in str(jobs[1].error)


def test_variables_tell_songs_of_one_name_apart(tmp_path: Path) -> None:
    songs = [Song(Path(name)) for name in ("/m/a/s.wav", "/m/b/s.wav", "/m/a/s.flac", "../s.wav")]
    template = "{folder}/{title}.{source_ext}/{stem}.{ext}"
    jobs = plan(songs, tmp_path, STEMS, "wav", template=template)
    assert [job.error for job in jobs] == [None] * 4
    assert [str(job.outputs["vocals"].relative_to(tmp_path)) for job in jobs] == [
        "m/a/s.wav/vocals.wav",
        "m/b/s.wav/vocals.wav",
        "m/a/s.flac/vocals.wav",
        "_/s.wav/vocals.wav",
    ]
    (job,) = plan(songs[:1], tmp_path, STEMS, "wav", template="{folder}-{title}-{stem}.{ext}")
    assert job.outputs["vocals"].name == "m-a-s-vocals.wav"


@pytest.mark.parametrize(
    "template",
    ["{parent}-{title}-{stem}.{ext}", "{stem}/{parent}/{title}.{ext}", "{parent}/{title}-{stem}",
     "{stem}/{title} of {parent}.{ext}", "{parent}{title}/{stem}.{ext}", DEFAULT_TEMPLATE,
     "{stem}-{source_ext}-{parent}-{title}", "{parent}.{title}.{stem}"],
)  # fmt: skip
def test_manifests_do_not_meet_where_outputs_do_not(template: str, tmp_path: Path) -> None:
    songs = [Song(Path(f"{p}/{t}.wav"), PurePath(p)) for p in ("x", "y", "x/y") for t in ("a", "b")]
    long = [Song(Path(f"{'l' * 240}{n}.wav"), PurePath("z")) for n in "12"]
    jobs = plan([*songs, *long], tmp_path, STEMS, "wav", template=template)
    assert [job.error for job in jobs] == [None] * 8
    assert len({job.manifest for job in jobs}) == 8
    for job in jobs:
        for path in job.outputs.values():
            assert path.is_relative_to(job.manifest.parent)
        assert len(os.fsencode(job.manifest.name)) <= LONGEST_NAME


@pytest.mark.parametrize(
    "template",
    [
        DEFAULT_TEMPLATE,
        "{stem}/{title}.{ext}",
        "{title}-{stem}.{ext}",
        "{stem}/{parent}-{title}.{ext}",
    ],
)
def test_stems_are_no_songs_wherever_they_lie(template: str, tmp_path: Path) -> None:
    songs = [Song(Path(f"{p}/a\udcff.wav"), PurePath(p)) for p in ("x", "y")]
    jobs = plan(songs, tmp_path, STEMS, "wav", template=template)
    if any(job.error for job in jobs):
        jobs = jobs[:1]
    for job in jobs:
        touch(*job.outputs.values(), job.manifest)
        job.manifest.write_text(json.dumps(manifest_of(job)), encoding="utf-8")
    with pytest.raises(NoInputError):
        find_songs([tmp_path], recursive=True)
    for job in jobs:
        for path in job.outputs.values():
            with pytest.raises(NoInputError):
                find_songs([path.parent])


def manifest_of(job: Job) -> dict[str, object]:
    """Describe the outputs of a job, which lie there."""
    source = {"path": "x", "size_bytes": 1, "modified_ns": 1}
    sizes = {stem: path.stat().st_size for stem, path in job.outputs.items()}
    checksums = {stem: checksum(path) for stem, path in job.outputs.items()}
    return make_manifest(job, SplitSettings("m", "wav", 24, ""), sizes, checksums, source)


def test_lists_of_windows() -> None:
    text = "a.mp3\r\n\r\nm\u00fc\u4e2d/b c.mp3\r\n"
    names = ["a.mp3", "m\u00fc\u4e2d/b c.mp3"]
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        assert list_entries(text.encode(encoding)) == names, encoding
    for mark, encoding in ((b"\xfe\xff", "utf-16-be"), (b"\xff\xfe", "utf-16-le")):
        for start in (mark, b""):
            assert list_entries(start + text.encode(encoding)) == names, (start, encoding)
    assert list_entries(b"a\0b\0c\0") == ["a", "b", "c"]
    assert list_entries("a\0b".encode("utf-16")) == ["a", "b"]
    assert list_entries(b" \n\t\n") == []


@pytest.mark.parametrize("entry", [b".", b"..", b" . ", b".\r", "\ufeff.".encode("utf-16-le")])
def test_lists_name_songs(entry: bytes) -> None:
    with pytest.raises(UsageError, match="not a song"):
        list_entries(entry + (b"\n\0" if b"\0" in entry else b"\na.mp3\n"), "songs.txt")
    with pytest.raises(UsageError, match="not a list"):
        list_entries(b"x" * 5000, "song.mp3")


def test_addresses_are_told_as_they_were_written() -> None:
    for text in ("https://example.org/a.mp3?x=1", "HTTP://example.org", "file:///home/a.mp3"):
        (song,) = find_songs([Path(text)])
        (job,) = plan([song], Path("out"), STEMS, "wav")
        assert song.named == job.label == text
        assert f'"{text}": URLs are not supported' in str(job.error)
    assert find_songs([Path("c:x"), Path("a/b:/c")]) == [Song(Path("c:x")), Song(Path("a/b:/c"))]


def test_all_that_is_split_when_named_is_found_in_folders(tmp_path: Path) -> None:
    names = ["a.flv", "b.vob", "c.M2TS", "d.dsf", "e.voc", "f.8svx", "g.mxf", "h.wtv"]
    for name in (*names, "cover.jpg", "notes.txt", "list.m3u8", ".hidden.flv"):
        (tmp_path / name).touch()
    assert [song.path.name for song in find_songs([tmp_path])] == names
