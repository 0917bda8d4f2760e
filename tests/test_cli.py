"""The command line, as a process: outputs, streams, exit codes, nothing half-written."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.cells import cell_len

import karaoke.store.catalogue
from karaoke import __version__
from karaoke.audio import FORMATS, load_audio
from karaoke.audio.blocks import Block
from karaoke.cli.progress import shortened

Run = Callable[..., subprocess.CompletedProcess[str]]
Noise = Callable[..., Block]
MANIFEST = [".karaoke", ".json"]


def files_below(folder: Path) -> list[str]:
    """List the files below a folder, hidden ones too; but for manifests, which belong there."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffixes[-2:] != MANIFEST)
    return sorted(str(p.relative_to(folder)) for p in files)


def is_one_line(text: str) -> bool:
    """Tell whether a text is one line that speaks for karaoke."""
    return text.startswith("karaoke: ") and text.count("\n") == 1


def test_split_writes_two_stems_that_add_up(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    done = run_karaoke("split", song, "-n", tiny_model, "--bit-depth", 32, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    paths = [tmp_path / line for line in done.stdout.splitlines()]
    assert files_below(tmp_path) == [
        "separated/song/instrumental.wav",
        "separated/song/vocals.wav",
    ]
    assert [path.name for path in paths] == ["vocals.wav", "instrumental.wav"]
    mixture, rate = load_audio(song)
    (vocals, vocals_rate), (instrumental, _) = map(load_audio, paths)
    assert vocals_rate == rate
    assert vocals.shape == instrumental.shape == mixture.shape
    assert np.abs(vocals + instrumental - mixture).max() < 1e-6
    assert "x real time" in done.stderr and "model" in done.stderr
    assert "Traceback" not in done.stderr


def test_24_bit_stems_add_up(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    done = run_karaoke("split", song, "-n", tiny_model, "-o", tmp_path, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    vocals, instrumental = (load_audio(line)[0] for line in done.stdout.splitlines())
    assert np.abs(vocals + instrumental - load_audio(song)[0]).max() < 10 ** (-90 / 20)


@pytest.mark.parametrize("extension", FORMATS)
def test_formats(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path, extension: str
) -> None:
    done = run_karaoke("split", song, "-n", tiny_model, "-o", tmp_path, "--format", extension)
    assert done.returncode == 0, done.stderr
    assert files_below(tmp_path) == [f"song/instrumental.{extension}", f"song/vocals.{extension}"]
    audio, rate = load_audio(tmp_path / f"song/vocals.{extension}")
    assert audio.shape[1] / rate == pytest.approx(27.77, abs=0.05)


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (None, 66, "no such file"),
        (b"", 65, "the file is empty"),
        (b"these are the words of a song\n", 65, "looks like text"),
    ],
)
def test_bad_inputs_are_one_clear_line(
    run_karaoke: Run, tiny_model: Path, tmp_path: Path, content: bytes | None, code: int, words: str
) -> None:
    if content is not None:
        (tmp_path / "song.mp3").write_bytes(content)
    before = files_below(tmp_path)
    done = run_karaoke("split", "song.mp3", "-n", tiny_model, "-q", cwd=tmp_path)
    assert done.returncode == code
    assert is_one_line(done.stderr), done.stderr
    assert words in done.stderr and '"song.mp3"' in done.stderr
    assert done.stdout == ""
    assert files_below(tmp_path) == before
    assert not (tmp_path / "separated").exists()


def test_existing_output_is_kept_unless_told(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    vocals = tmp_path / "song" / "vocals.wav"
    vocals.parent.mkdir()
    vocals.write_bytes(b"precious")
    done = run_karaoke("split", song, "-n", tiny_model, "-o", tmp_path, "-q")
    assert done.returncode == 73
    assert is_one_line(done.stderr) and "--overwrite" in done.stderr
    assert vocals.read_bytes() == b"precious"
    assert files_below(tmp_path) == ["song/vocals.wav"]
    done = run_karaoke("split", song, "-n", tiny_model, "-o", tmp_path, "-q", "--overwrite")
    assert done.returncode == 0
    assert soundfile.info(vocals).frames > 0


def test_output_folder_that_is_a_file(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file")
    done = run_karaoke("split", song, "-n", tiny_model, "-o", tmp_path / "out", "-q")
    assert done.returncode == 73
    assert is_one_line(done.stderr)
    folder = tmp_path / "stems" / "song" / "instrumental.wav"
    folder.mkdir(parents=True)
    (folder.parent / "vocals.wav").write_text("old")
    arguments = ("-n", tiny_model, "-o", tmp_path / "stems", "-q", "--overwrite")
    done = run_karaoke("split", song, *arguments)
    assert done.returncode == 73
    assert is_one_line(done.stderr) and "in the way" in done.stderr
    assert (folder.parent / "vocals.wav").read_text() == "old"


def test_a_reader_that_goes_away_costs_no_song(
    program: Path, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    command = [program, "split", str(song), "-n", str(tiny_model)]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=120) == 0, process.stderr
    assert len(files_below(tmp_path)) == 2
    assert process.stderr is not None
    process.stderr.close()


def test_closed_streams(song: Path, tiny_model: Path, tmp_path: Path) -> None:
    command = f'"{sys.executable}" -m karaoke split "$1" -n "$2" -o "$3"'
    for closed in (">&-", ">&- 2>&-"):
        line = ["sh", "-c", f"{command} --overwrite {closed}", "sh", song, tiny_model, tmp_path]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    line = ["sh", "-c", f"{command} 2>&-", "sh", tmp_path / "nothing", tiny_model, tmp_path]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (66, "")


def test_full_standard_output(program: Path, song: Path, tiny_model: Path, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [program, "split", song, "-n", tiny_model, "-o", tmp_path],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 74
    assert "standard output" in done.stderr and "Traceback" not in done.stderr


def test_high_rates_are_converted_where_the_format_demands_it(
    run_karaoke: Run, noise: Noise, tiny_model: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "hi.wav", noise(2, 20_000).T, 96000)
    done = run_karaoke("split", "hi.wav", "--format", "mp3", "-n", tiny_model, cwd=tmp_path)
    assert done.returncode == 0
    assert "mp3 cannot hold 96000 Hz; written at 48000 Hz" in done.stderr


def test_one_bad_song_does_not_stop_the_others(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp3").write_text("no song")
    arguments = ("bad.mp3", song, "missing.mp3", "-n", tiny_model)
    done = run_karaoke("split", *arguments, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        "separated/song/vocals.wav",
        "separated/song/instrumental.wav",
    ]
    assert "2 of 3 songs failed" in done.stderr
    assert "[not-audio]" in done.stderr and "[no-input]" in done.stderr
    assert not (tmp_path / "separated/bad").exists()


def test_a_song_in_the_place_of_a_command(run_karaoke: Run, song: Path) -> None:
    done = run_karaoke(song)
    assert done.returncode == 2
    assert f"To split it: karaoke split {song}" in done.stderr


def test_songs_with_the_same_name_are_refused_before_any_work(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    arguments = (song, tmp_path / "SONG.wav", "-n", tiny_model)
    done = run_karaoke("split", *arguments, "-o", tmp_path)
    assert done.returncode == 73
    assert "would write the same files" in done.stderr
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--fromat", "wav"], 2, "No such option"),
        (["--jobs", "none"], 2, "See karaoke split --help"),
        (["--overlap"], 2, "requires an argument"),
        (["--format", "wma"], 2, "Choose one of wav"),
        (["--bit-depth", "12"], 2, "Choose 16, 24 or 32f"),
        (["--format", "mp3", "--bit-depth", "16"], 2, "mp3 has no bit depth of 16"),
        (["--format", "mp3", "--bitrate", "fast"], 2, "from 8k to 510k"),
        (["--bitrate", "192k"], 2, "wav has no bit rate"),
        (["--stems", "drums"], 2, "Stems: vocals, instrumental"),
        (["--name", "{artist}.{ext}"], 2, "unknown {artist}"),
        (["--device", "toaster"], 2, "unknown device"),
        (["--overlap", "1"], 2, "overlap 1.0 is not in"),
        (["--overlap", "nan", "--dry-run"], 2, "is not in"),
        (["--quality", "superb"], 2, "Choose fast or default"),
        ([""], 2, "names no song"),
        (["-o", "-"], 2, "one stem only, not 1 and 2"),
        (["--model", "nonesuch"], 69, "Models at hand"),
        (["--model", "n" * 300], 69, "Models at hand"),
    ],
)
def test_bad_options(
    run_karaoke: Run,
    song: Path,
    tiny_model: Path,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    done = run_karaoke("split", song, "-o", tmp_path / "x", "-n", tiny_model, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert is_one_line(done.stderr) and words in done.stderr
    assert files_below(tmp_path) == []
    done = run_karaoke("split", song, "-n", tiny_model, "--json", *arguments)
    assert (done.returncode, done.stderr) == (code, "")
    assert json.loads(done.stdout)["error"]["exit"] == code


def test_names_that_are_no_words(
    run_karaoke: Run, noise: Noise, tiny_model: Path, tmp_path: Path
) -> None:
    names = [b"..wav", b"\xff\xfe.wav", "naïve 🎤.wav".encode(), b"a\nb.wav"]
    for name in names:
        soundfile.write(tmp_path / "x.wav", noise(1, 2000).T, 44100)
        (tmp_path / "x.wav").rename(tmp_path / os.fsdecode(name))
    command = [sys.executable, "-m", "karaoke", "split", *names, "-n", os.fsencode(tiny_model)]
    done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folders = sorted(os.listdir(os.fsencode(tmp_path / "separated")))
    assert folders == sorted([b"..wav", b"\xff\xfe", "naïve 🎤".encode(), b"a\nb"])
    assert b"separated/\xff\xfe/vocals.wav" in done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_leaves_nothing_behind(
    noise: Noise, tiny_model: Path, tmp_path: Path, number: int, code: int
) -> None:
    long_song = np.tile(noise(2, 441_000), 30)
    soundfile.write(tmp_path / "long.wav", long_song.T, 44100)
    command = [sys.executable, "-m", "karaoke", "split", "long.wav", "-n", str(tiny_model)]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run under nohup ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    folder = tmp_path / "separated" / "long"
    deadline = time.monotonic() + 60
    while not folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == code, stderr
    assert stdout == ""
    assert "Traceback" not in stderr
    assert files_below(tmp_path) == ["long.wav"]


def shown_on_a_terminal(command: list[object], **environment: str) -> bytes:
    """Run a command with its standard error on a terminal and give what is shown there."""
    parent, child = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "120", **environment}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=child, env=variables)
    os.close(child)
    shown = b""
    with suppress(OSError):  # a terminal ends with an error, not with an end of file
        while piece := os.read(parent, 4096):
            shown += piece
    os.close(parent)
    assert process.wait(timeout=60) == 0
    return shown


def test_a_terminal_shows_a_bar(
    program: Path, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    command = [program, "split", song, "-n", tiny_model, "-o", tmp_path]
    colour = re.compile(rb"\x1b\[[0-9;]*3[0-9][0-9;]*m")
    shown = shown_on_a_terminal(command)
    assert b"song.mp3" in shown and "━".encode() in shown and b" %" in shown
    assert colour.search(shown)
    plain = shown_on_a_terminal([*command, "--overwrite"], NO_COLOR="1")
    assert "━".encode() in plain and not colour.search(plain)


def break_the_catalogue() -> None:
    """Put a bug into karaoke."""
    karaoke.store.catalogue.find_model = None  # type: ignore[assignment]


def test_unexpected_errors_are_one_line_too(run_karaoke: Run, song: Path, tmp_path: Path) -> None:
    arguments = ("split", song, "-o", tmp_path / "x")
    done = run_karaoke(*arguments, before=break_the_catalogue)
    assert done.returncode == 70
    assert is_one_line(done.stderr) and "--debug" in done.stderr
    done = run_karaoke(*arguments, "--debug", before=break_the_catalogue)
    assert "Traceback" in done.stderr


def test_version_and_help(run_karaoke: Run) -> None:
    assert run_karaoke("--version").stdout.strip() == f"karaoke {__version__}"
    shown = run_karaoke("split", "--help", env={**os.environ, "COLUMNS": "100"}).stdout
    for option in ("--out", "--model", "--device", "--format", "--overlap", "--overwrite"):
        assert option in shown
    assert len(shown.splitlines()) <= 52, "one screen"
    assert run_karaoke().returncode == 2
    assert run_karaoke("split").returncode == 2


@pytest.mark.parametrize(
    "command",
    [
        *("", "split", "make", "analyse", "serve", "train", "evaluate", "doctor", "models"),
        *("models pull", "models import"),
    ],
)
@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_every_help_fits_its_terminal(run_karaoke: Run, command: str, columns: str) -> None:
    done = run_karaoke(*command.split(), "--help", env={**os.environ, "COLUMNS": columns})
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= int(columns)
    for odd in ("<bool>", "...}", "[[", "...]...", "<str>", "default: None", "default: inf"):
        assert odd not in done.stdout
    assert f"Usage: karaoke {command}".strip() in done.stdout


def test_names_are_shown_without_control_characters(run_karaoke: Run, tmp_path: Path) -> None:
    name = "\x1b]0;title\x07\x1b[31mred.mp3"
    done = run_karaoke("split", name, cwd=tmp_path)
    assert done.returncode == 66 and is_one_line(done.stderr)
    assert "\x1b" not in done.stderr and "\\x1b[31mred.mp3" in done.stderr


def test_long_names_leave_room_for_the_bar() -> None:
    name = "A very long name of a song, live in Hamburg.mp3"
    assert shortened(name, 17) == "A very l…burg.mp3"
    assert shortened(name, 80) == name
    for width in range(3, 30):
        assert cell_len(shortened("\u97f3\u697d" * 20 + ".mp3", width)) <= width
