"""Commands that name what cannot be: names that collide, odd templates, lists and defaults."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from safetensors.numpy import load_file, save_file

from karaoke.separation.headers import read_header
from tests.faults.bench import Bench, Done, fault

FLAT = "{parent}-{track}-{stem}.{ext}"


def entries(done: Done) -> list[dict[str, object]]:
    """Parse the objects that a command printed."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def codes(done: Done) -> list[int]:
    """List the exit codes that the objects name, 0 for what went well."""
    return [int(entry.get("error", {}).get("exit", 0)) for entry in entries(done)]  # type: ignore


def home(bench: Bench, config: str = "", **variables: str) -> dict[str, str]:
    """Make an environment with a config file and variables."""
    path = bench.folder / "config.toml"
    path.write_text(config, encoding="utf-8")
    return {**os.environ, "KARAOKE_CONFIG": str(path), **variables}


@fault(
    "names",
    (("a/s.wav", "b/s.wav"), "{folder}"),
    (("s.wav", "s.flac"), "{source_ext}"),
    (("S.wav", "s.flac"), "{source_ext}"),
    (("s.wav", "s.wave"), "{source_ext}"),
    (("\u00e9.wav", "e\u0301.wav"), "Rename"),
)
def that_collide_fail_alone(bench: Bench, variant: tuple[tuple[str, str], str]) -> None:
    names, way_out = variant
    for name in (*names, "other.wav"):
        bench.song(name, **({"format": "WAV"} if name.endswith("wave") else {}))
    done = bench.split(*names, "other.wav", "--json")
    assert done.returncode == 3 and codes(done) == [73, 73, 0], done.stdout
    assert len(bench.files()) == 3
    for entry, rival in zip(entries(done), reversed(names), strict=False):
        error = entry["error"]
        assert f'"{rival}"' in error["message"] and way_out in error["hint"], error
    dry = bench.split(*names, "other.wav", "-n", bench.model, "--dry-run", "--json", "--overwrite")
    assert dry.returncode == 3 and codes(dry) == [73, 73, 0]
    alone = bench.split(*names)
    assert alone.returncode == 73 and alone.stderr.count("would write the same files") == 2


@fault("names")
def in_one_folder_do_not_stop_the_others(bench: Bench) -> None:
    for number in range(4):
        bench.song(f"songs/{number}.wav", seconds=0.1)
    bench.song("songs/2.flac", seconds=0.1)
    done = bench.split("songs", "--json")
    assert done.returncode == 3 and codes(done) == [0, 0, 73, 73, 0], done.stdout
    again = bench.split("songs", "--json", "--skip-existing", "--name",
                        "{track}.{source_ext}/{stem}.{ext}")  # fmt: skip
    assert again.returncode == 0, again.stdout
    assert [Path(line).parent.name for line in map(first_path, entries(again))] == [
        *("0.wav", "1.wav", "2.flac", "2.wav", "3.wav"),
    ]


def first_path(entry: dict[str, object]) -> str:
    """Give the path of the first stem of a song."""
    return str(next(iter(entry["outputs"].values()))["path"])  # type: ignore[attr-defined]


@fault(
    "manifest",
    FLAT,
    "{stem}/{parent}/{track}.{ext}",
    "{parent}/{track}-{stem}.{ext}",
    "{folder}/{track}.{source_ext}/{stem}.{ext}",
    "{parent}/{track}/{stem}.{ext}",
)
def of_every_song_its_own(bench: Bench, template: str) -> None:
    for folder in ("x", "y"):
        bench.song(f"songs/{folder}/a.wav", seconds=0.1)
    split = ("songs", "-r", "--name", template, "--json")
    assert bench.split(*split).returncode == 0
    again = bench.split(*split, "--skip-existing")
    assert [entry["status"] for entry in entries(again)] == ["skipped"] * 2, again.stdout
    done = bench.split(bench.out, "-r", "--json", "-o", "elsewhere")
    assert done.returncode == 66 and "no songs" in done.stdout, done.stdout


@fault("manifest", ("--format", "flac"), ("--stems", "vocals"), ("--bit-depth", "16"))
def knows_what_was_written_before(bench: Bench, options: tuple[str, str]) -> None:
    source = bench.song(seconds=0.2)
    more = [options, ("--stems", "instrumental") if "--stems" in options else ("--quiet",)]
    if "--bit-depth" in options:
        more = [("--name", "{track}-{stem}.{ext}"), ("--name", "{track}-16-{stem}.{ext}")]
    for chosen in more:
        assert bench.split(source, *chosen, "-q").returncode == 0
    for chosen in more:
        again = bench.split(source, *chosen, "--skip-existing", "--json")
        assert [entry["status"] for entry in entries(again)] == ["skipped"], (chosen, again.stdout)
    assert bench.split(bench.out, "-r", "-o", "elsewhere").returncode == 66


@fault("manifest")
def of_other_weights_makes_a_song_undone(bench: Bench) -> None:
    model = bench.folder / "run" / "best.safetensors"
    model.parent.mkdir()
    shutil.copy(bench.model, model)
    source = bench.song()
    split = ("split", source, "-n", model, "-o", bench.out)
    assert bench.karaoke(*split).returncode == 0
    assert "is done already" in bench.karaoke(*split, "--skip-existing").stderr
    moved = bench.folder / "moved.safetensors"
    shutil.copy(model, moved)
    same = bench.karaoke("split", source, "-n", moved, "-o", bench.out, "--skip-existing")
    assert same.returncode == 0 and "is done already" in same.stderr
    status = model.stat()
    weights = {name: 1.01 * values for name, values in load_file(model).items()}
    header = json.dumps({"format": 1, **read_header(model).__dict__})
    save_file(weights, model, metadata={"karaoke": header})
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert model.stat().st_size - status.st_size in range(-8, 9)
    done = bench.karaoke(*split, "--skip-existing")
    assert done.returncode == 73 and "not what this command would write" in done.stderr
    bench.finished.clear()
    assert bench.karaoke(*split, "--skip-existing", "--overwrite").returncode == 0


@fault("manifest", ("--quality", "fast"), ("--overlap", "0.1"), ("--bit-depth", "16"))
def of_other_settings_makes_a_song_undone(bench: Bench, options: tuple[str, str]) -> None:
    source = bench.song(seconds=0.2)
    assert bench.split(source, "-q").returncode == 0
    done = bench.split(source, "-q", "--skip-existing", *options)
    assert done.returncode == 73, done.stderr


@fault(
    "manifest", b"", b"{", b"[]", b"3", b'{"format": 2, "outputs": 3, "earlier": 7}', b"\xff\xfe"
)
def that_is_damaged_is_no_manifest(bench: Bench, content: bytes) -> None:
    source = bench.song(seconds=0.2)
    assert bench.split(source, "-q").returncode == 0
    (bench.out / "song" / ".song.karaoke.json").write_bytes(content)
    assert bench.split(source, "-q", "--skip-existing").returncode == 73
    bench.finished.clear()
    assert bench.split(source, "-q", "--overwrite").returncode == 0
    assert bench.split(source, "-q", "--skip-existing").returncode == 0


@fault(
    "template",
    *("{track:d}", "{track:{x}}", "{track.__class__}", "{track!r}", "{0}", "{}", "{track[0]}"),
    *("{track.__init__.__globals__}", "{track", "track}", "{Track}", "../{track}", "/{track}"),
    *("{track}/../../x", "{track:>99999999999}", "{track}" + "x" * 300),
)
def that_names_nothing_is_a_usage_error(bench: Bench, template: str) -> None:
    done = bench.split(bench.song(), "--name", template + "{stem}")
    bench.refused(done, 2, "--name")
    for leaked in ("<class", "<function", "object at", "bug"):
        assert leaked not in done.stderr, done.stderr


@fault("list", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "NUL", "CRLF")
def in_any_encoding_is_read(bench: Bench, encoding: str) -> None:
    names = ["s\u00f6ng.wav", "b c.wav"]
    for name in (*names, "unlisted.wav"):
        bench.song(name, seconds=0.1)
    ends = {"NUL": "\0", "CRLF": "\r\n\r\n"}.get(encoding, "\n")
    text = "".join(name + ends for name in names)
    coded = text.encode(encoding if encoding.startswith("utf") else "utf-8")
    for mark in (b"", b"\xff\xfe" if encoding == "utf-16-le" else b""):
        bench.put("list.txt", mark + coded)
        for arguments in (["@list.txt"], ["--from-file", "list.txt"]):
            done = bench.split(*arguments, "--json", "--dry-run")
            assert done.returncode == 0, done.stdout
            assert [entry["song"] for entry in entries(done)] == names, done.stdout


@fault("list", b".\n", b"song.wav\n..\n", b" . \r\n", b"\xff\xfe.\0\n\0", bytes(5000) + b"x" * 5000)
def that_is_none_is_refused(bench: Bench, content: bytes) -> None:
    bench.song()
    bench.put("list", content)
    bench.refused(bench.split("@list"), 2, '"list"')


@fault("list")
def with_a_folder_and_blank_lines(bench: Bench) -> None:
    bench.song("music/a.wav", seconds=0.1)
    bench.put("list", b"\n  \nmusic\n\nmissing.wav\nhttp://example.org/x.mp3\n")
    done = bench.split("@list", "--json")
    assert done.returncode == 3 and codes(done) == [0, 66, 66], done.stdout
    assert entries(done)[2]["song"] == "http://example.org/x.mp3"


@fault("address", "https://example.org/a.mp3", "http://x.org//b?c=d//e", "file:///tmp/song.mp3")
def is_told_as_it_was_written(bench: Bench, address: str) -> None:
    done = bench.split(address)
    bench.refused(done, 66, f'"{address}": URLs are not supported')
    assert entries(bench.split(address, "--json"))[0]["song"] == address
    bench.refused(bench.split(address, "-o", "-", "--stems", "vocals"), 66, "URLs are")


@fault("missing song", "--skip-existing", "--overwrite", "--quiet")
def whose_stems_exist_is_missing_all_the_same(bench: Bench, option: str) -> None:
    source = bench.song()
    assert bench.split(source, "-q").returncode == 0
    bench.inputs.clear()
    source.unlink()
    done = bench.split(source, option)
    assert done.returncode == 66 and "no such file" in done.stderr, done.stderr


@fault(
    "default",
    ("KARAOKE_OVERLAP", "wide"),
    ("KARAOKE_OVERLAP", "2"),
    ("KARAOKE_FORMAT", "wma"),
    ("KARAOKE_BIT_DEPTH", "12"),
    ("KARAOKE_QUALITY", "superb"),
    ("KARAOKE_STEMS", "drums"),
    ("KARAOKE_NAME", "{artist}{stem}{track}"),
    ("KARAOKE_DEVICE", "toaster"),
    ("KARAOKE_OUT", "/dev/null/x"),
)
def that_is_wrong_says_where_it_comes_from(bench: Bench, variant: tuple[str, str]) -> None:
    variable, value = variant
    option = variable.removeprefix("KARAOKE_").lower()
    source = bench.song()
    split = ("split", source, "-n", bench.model)
    done = bench.karaoke(*split, env=home(bench, **{variable: value}))
    assert f"is set by {variable}." in done.stderr and done.returncode in (2, 73), done.stderr
    config = home(bench, f"[split]\n{option} = '{value}'\n")
    done = bench.karaoke(*split, "--json", env=config)
    hint = entries(done)[0]["error"]["hint"]  # type: ignore[index]
    assert f'is set by "{config["KARAOKE_CONFIG"]}".' in hint, done.stdout


@fault("default")
def that_a_model_has_says_so_too(bench: Bench) -> None:
    done = bench.karaoke("split", bench.song(), env=home(bench, KARAOKE_MODEL="nonesuch"))
    bench.refused(done, 69, "--model is set by KARAOKE_MODEL.")
    done = bench.karaoke("split", "song.wav", "-n", "nothing", env=home(bench))
    bench.refused(done, 69)
    assert "is set by" not in done.stderr


@fault(
    "json",
    (["split", "missing.wav"], 66),
    (["split", "song.wav", "--name", "{x}"], 2),
    (["split", "song.wav", "-n", "nonesuch"], 69),
    (["split", "song.wav", "--overlap", "2"], 2),
    (["split", "song.wav", "--jobs", "none"], 2),
    (["split", "song.wav", "--fromat", "wav"], 2),
    (["split", "@missing"], 66),
    (["split", "music"], 66),
    (["split"], 2),
)
def in_the_config_file_is_seen_by_every_error(bench: Bench, variant: tuple[list[str], int]) -> None:
    arguments, code = variant
    bench.song()
    (bench.folder / "music").mkdir()
    done = bench.karaoke(*arguments, env=home(bench, "[split]\njson = true\n"))
    assert (done.returncode, done.stderr) == (code, ""), (done.stdout, done.stderr)
    assert codes(done) == [code]


@fault(
    "json",
    (["split", "evaluate", "--json"], 66),
    (["splt", "song.wav", "--json"], 2),
    (["--json", "split", "song.wav"], 2),
    (["--config", "nothing.toml", "split", "song.wav", "--json"], 66),
    (["--nonsense", "split", "song.wav", "--json"], 2),
    (["split", "--json", "--nonsense"], 2),
    (["models", "info", "nonesuch", "--json"], 69),
    (["models", "--json", "info", "nonesuch"], 69),
    (["models", "nonesuch", "--json"], 2),
    (["models", "info", "--json"], 2),
    (["models", "pull", "nonesuch", "--json"], 69),
    (["models", "import", "x.pth", "--json"], 2),
    (["doctor", "--nonsense", "--json"], 2),
)
def on_the_command_line_is_for_errors_too(bench: Bench, variant: tuple[list[str], int]) -> None:
    arguments, code = variant
    (bench.folder / "evaluate").mkdir()
    done = bench.karaoke(*arguments, env=home(bench))
    assert (done.returncode, done.stderr) == (code, ""), (done.stdout, done.stderr)
    assert codes(done) == [code]


@fault("json")
def of_evaluate_is_a_file(bench: Bench) -> None:
    bench.refused(bench.karaoke("evaluate", "missing", "--json", "figures.json"), 66)


@fault("command", "song.mp3", "missing.flac", "-r", "./folder", "@list", "http://x.org/a")
def that_is_a_song_is_told_how_to_split_it(bench: Bench, word: str) -> None:
    done = bench.karaoke(word)
    bench.refused(done, 2)
    if word != "-r":
        assert f"karaoke split {word}" in done.stderr, done.stderr
