"""Planning: songs found in folders and lists, outputs named, collisions refused."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karaoke.errors import NoInputError, OutputExistsError, UsageError
from karaoke.planning import (
    LONGEST_NAME,
    Song,
    check_template,
    find_songs,
    name_output,
    plan,
    read_list,
)

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
                   template="{track}-{stem}.{ext}")  # fmt: skip
    touch(tmp_path / "song.mp3", *job.outputs.values(), *flat.outputs.values())
    assert len(find_songs([tmp_path], recursive=True)) == 5
    for done in (job, flat):
        outputs = {stem: {"path": path.name} for stem, path in done.outputs.items()}
        done.manifest.write_text(json.dumps({"outputs": outputs}), encoding="utf-8")
    assert [s.path.name for s in find_songs([tmp_path], recursive=True)] == ["song.mp3"]
    flat.manifest.write_text("{broken", encoding="utf-8")
    assert len(find_songs([tmp_path], recursive=True)) == 3


def test_lists_are_lines_or_zero_terminated() -> None:
    assert read_list(b"a.mp3\nb c.mp3\r\n\n") == [Path("a.mp3"), Path("b c.mp3")]
    assert read_list(b"a\nb.mp3\0c.mp3\0") == [Path("a\nb.mp3"), Path("c.mp3")]
    assert read_list(b"\xef\xbb\xbfa.mp3\r\n") == [Path("a.mp3")], "as Windows' editors write it"
    assert read_list(b"\xff.mp3") == [Path("\udcff.mp3")]


def test_names_mirror_the_folders(tmp_path: Path) -> None:
    songs = [Song(Path("m/x/a.mp3"), PurePath("x")), Song(Path("b.mp3"))]
    jobs = plan(songs, tmp_path, STEMS, "flac")
    assert jobs[0].outputs["vocals"] == tmp_path / "x" / "a" / "vocals.flac"
    assert jobs[1].outputs["instrumental"] == tmp_path / "b" / "instrumental.flac"
    assert jobs[1].manifest == tmp_path / "b" / ".b.karaoke.json"
    (job,) = plan(songs[:1], tmp_path, ["vocals"], "wav", model="/x/open-v9.safetensors",
                  template="{model}/{parent} - {track} ({stem}).{ext}")  # fmt: skip
    assert job.outputs["vocals"] == tmp_path / "open-v9" / "x - a (vocals).wav"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{track}.{ext}", "Add {stem}"),
        ("{stem}.{ext}", "Add {track}"),
        ("{artist}/{track}/{stem}", "unknown {artist}"),
        ("{track}/{stem", "--name"),
        ("/etc/{track}{stem}", "below the output folder"),
        ("{parent}/../{track}{stem}", "below the output folder"),
        ("{track}{stem}/", "below the output folder"),
    ],
)
def test_templates_that_cannot_name_stems_are_refused(template: str, says: str) -> None:
    with pytest.raises(UsageError, match=r".*") as caught:
        check_template(template, STEMS)
    assert says in str(caught.value)


@given(track=st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=300))
def test_names_fit_file_systems(track: str) -> None:
    try:
        os.fsencode(track)
    except UnicodeEncodeError:
        return
    song = Song(Path(f"{track}.mp3"))
    path = name_output("{parent}/{track}/{track}-{stem}.{ext}", song, "instrumental", "flac", "m")
    assert len(path.parts) == 2 or not track.strip(".")
    for part in path.parts:
        assert 0 < len(os.fsencode(part)) <= LONGEST_NAME
    assert path.name.endswith("-instrumental.flac")


def test_outputs_that_meet_are_refused(tmp_path: Path) -> None:
    for one, other in (("a/s.mp3", "b/s.wav"), ("a/S.mp3", "b/s.mp3"), ("é.mp3", "e\u0301.mp3")):
        with pytest.raises(OutputExistsError, match="same files"):
            plan([Song(Path(one)), Song(Path(other))], tmp_path, STEMS, "wav")
    song = tmp_path / "vocals" / "vocals.wav"
    touch(song)
    with pytest.raises(OutputExistsError, match="is one of the songs"):
        plan([Song(song)], tmp_path, STEMS, "wav")
