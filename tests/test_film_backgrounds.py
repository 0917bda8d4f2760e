"""Songs that are films: their own pictures stay, in time with the sound that is made for them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.making.footage import look_at, rate_of

Run = Callable[..., subprocess.CompletedProcess[str]]
RATE = 48_000
#: On which pictures are looked at, whatever their own rate.
GRID = 200


def run_ffmpeg(*arguments: object) -> bytes:
    """Run ffmpeg, which has to succeed, and return what it writes to standard output."""
    done = subprocess.run([find_ffmpeg(), "-v", "error", "-y", *map(str, arguments)],
                          capture_output=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def a_film(
    path: Path,
    rng: np.random.Generator,
    *codecs: object,
    late: float = 0.0,
    early: float = 0.0,
    irregular: bool = False,
    channels: int = 2,
) -> NDArray[np.float64]:
    """Write a film of 5 s in which a flash and a click come together; return their times."""
    times = np.sort(rng.choice(np.arange(15, 110, 12), 4, replace=False)) / 25.0
    sound = 1e-4 * rng.standard_normal((5 * RATE, channels))
    for time in times:
        sound[round(time * RATE) : round(time * RATE) + 480] += 0.5 * rng.standard_normal((480, 1))
    clicks = path.with_suffix(".clicks.wav")
    soundfile.write(clicks, sound[round(late * RATE) :], RATE)
    lit = "+".join(f"between(t,{time - 0.01:.3f},{time + 0.19:.3f})" for time in times)
    drawn = f"color=c=0x203050:s=128x96:r=25:d=5,drawbox=c=white:t=fill:enable='{lit}'"
    if irregular:
        drawn += ",select='eq(mod(n,2),0)+eq(mod(n,3),0)'"  # pictures of 40 and 80 ms
    if early:
        drawn += f",trim=start={early}"
    run_ffmpeg("-f", "lavfi", "-i", drawn, "-itsoffset", late, "-i", clicks, "-fps_mode",
               "vfr" if irregular else "passthrough", *codecs, path)  # fmt: skip
    return times


def flashes(film: Path) -> NDArray[np.float64]:
    """Find when the pictures of a film turn white, on the clock of the file."""
    raw = run_ffmpeg("-i", film, "-map", "0:V:0", "-vf",
                     f"fps={GRID}:start_time=0:round=up,crop=16:16:8:8,scale=1:1,format=gray",
                     "-f", "rawvideo", "-")  # fmt: skip
    white = np.frombuffer(raw, np.uint8).astype(int) > 150
    return np.flatnonzero(np.diff(white.astype(int)) == 1) / GRID


def clicks(film: Path, stream: int = 0) -> NDArray[np.float64]:
    """Find when the clicks of a film begin, on the clock of the file."""
    raw = run_ffmpeg("-i", film, "-map", f"0:a:{stream}", "-af", "aresample=async=1:first_pts=0",
                     "-ac", 1, "-ar", RATE, "-f", "f32le", "-")  # fmt: skip
    level = np.abs(np.frombuffer(raw, np.float32))
    loud = np.flatnonzero(level > 0.3 * level.max())
    return loud[np.concatenate([[True], np.diff(loud) > RATE // 10])] / RATE


def with_stems(film: Path, folder: Path) -> list[object]:
    """Write the stems of a film that nobody sings in; give the arguments that name them."""
    folder.mkdir()
    run_ffmpeg("-i", film, "-map", "0:a:0", "-c:a", "pcm_f32le", folder / "instrumental.wav")
    band, rate = soundfile.read(folder / "instrumental.wav", always_2d=True)
    soundfile.write(folder / "vocals.wav", np.zeros_like(band), rate, subtype="FLOAT")
    return [film, "--from", folder]


H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", 25)
KINDS = {
    "mp4": (H264, {}),
    "late.mp4": (H264, {"late": 0.35}),
    "early.mkv": (H264, {"early": 0.2}),
    "mkv": ((*H264, "-c:a", "flac"), {}),
    "webm": (("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"), {}),
    "irregular.mkv": (H264, {"irregular": True}),
}


WISHES = ((), ("--key", "2", "--tempo", "0.9"), ("--excerpt", "0.3-4.9"), ("--fps", "25"))


@pytest.mark.parametrize("kind", KINDS)
def test_sound_and_picture_stay_together(
    run_karaoke: Run,
    tmp_path: Path,
    rng: np.random.Generator,
    kind: str,
) -> None:
    codecs, options = KINDS[kind]
    # Each kind with other wishes each time: all of them together take minutes.
    wishes = WISHES[int(rng.integers(len(WISHES)))]
    print(wishes)
    film = tmp_path / f"film.{kind}"
    times = a_film(film, rng, *codecs, **options)  # type: ignore[arg-type]
    seen, heard = flashes(film), clicks(film)
    assert np.abs(heard - times).max() < 0.01, "the film itself"
    done = run_karaoke("make", *with_stems(film, tmp_path / "stems"), *wishes, "--to", "mp4,mkv",
                       "-o", tmp_path / "made", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    tempo = 0.9 if "--tempo" in wishes else 1.0
    start = 0.3 if "--excerpt" in wishes else 0.0
    for container in ("mp4", "mkv"):
        made = Path(report["outputs"][container]["path"])
        sound = clicks(made)
        # What moves the tempo smears such a click, and gives it an echo before.
        near = 0.005 if tempo == 1 else 0.025
        assert np.abs(sound - (heard - start) / tempo).max() <= near, (container, sound, heard)
        picture = flashes(made)
        # A picture that begins between two of the new ones is shown at the next of them.
        grid = 0.041 if wishes else 0.0101
        assert np.abs(picture - (seen - start) / tempo).max() <= grid, (container, picture, seen)


def test_pictures_are_copied_where_nothing_is_drawn_on_them(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator
) -> None:
    film = tmp_path / "film.mp4"
    a_film(film, rng, *H264)
    song = with_stems(film, tmp_path / "stems")

    def pictures(path: Path) -> str:
        return run_ffmpeg("-i", path, "-map", "0:v", "-f", "md5", "-").decode()

    done = run_karaoke("make", *song, "-o", tmp_path / "made", "--json")
    report = json.loads(done.stdout)
    assert report["outputs"].keys() == {"karaoke", "mp4"}, "a film becomes a film"
    made = Path(report["outputs"]["mp4"]["path"])
    assert pictures(made) == pictures(film)
    lyrics = tmp_path / "words.srt"
    lyrics.write_text("1\n00:00:01,000 --> 00:00:02,000\nla la la\n")
    done = run_karaoke("make", *song, "-o", tmp_path / "sung", "--to", "mp4", "--json",
                       "--lyrics", lyrics)  # fmt: skip
    made = Path(json.loads(done.stdout)["outputs"]["mp4"]["path"])
    assert pictures(made) != pictures(film)
    look = look_at(made)
    assert look is not None and look.size == (128, 96) and look.fps == 25 and look.codec == "h264"
    done = run_karaoke("make", *song, "-o", tmp_path / "plain", "--background", "none")
    assert [Path(line).suffix for line in done.stdout.splitlines()] == [".m4a"]


def test_an_mkv_holds_the_song_and_the_stems(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator
) -> None:
    rate, seconds = 44_100, 4
    band = (0.2 * rng.standard_normal((seconds * rate, 2))).clip(-0.9, 0.9)
    voice = 0.1 * rng.standard_normal((seconds * rate, 2))
    stems = tmp_path / "stems"
    stems.mkdir()
    whole = {"song": band + voice, "stems/vocals": voice, "stems/instrumental": band}
    for name, samples in whole.items():
        soundfile.write(tmp_path / f"{name}.wav", np.round(samples * 2**15) / 2**15, rate,
                        subtype="FLOAT")  # fmt: skip
    (tmp_path / "song.lrc").write_text("[la:en]\n[00:01.00]<00:01.00>la <00:02.00>la\n")
    names = ["karaoke", "original", "instrumental", "vocals"]
    done = run_karaoke("make", tmp_path / "song.wav", "--from", stems, "--to", "mkv", "--guide",
                       "-6", "--tracks", ",".join(names), "--size", "160x90", "--json",
                       "-o", tmp_path / "made")  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    film, gain = Path(report["outputs"]["mkv"]["path"]), report["gain"]
    said = subprocess.run([find_ffmpeg(), "-hide_banner", "-i", film], capture_output=True,
                          text=True, check=False).stderr  # fmt: skip
    assert re.findall(r"title +: (\w+)", said)[-4:] == [name.title() for name in names]
    assert re.findall(r"#0:\d\((\w+)\): Audio", said) == ["eng", "eng", "zxx", "eng"]
    assert said.count("Audio: flac") == 4
    assert [bool(d) for d in re.findall(r"Audio: [^\n]*?(\(default\)|$)", said, re.M)] == [
        True, False, False, False,
    ]  # fmt: skip
    truth = {
        "karaoke": band + 10 ** (-6 / 20) * voice,
        "original": band + voice,
        "instrumental": band,
        "vocals": voice,
    }
    for number, name in enumerate(names):
        raw = run_ffmpeg("-i", film, "-map", f"0:a:{number}", "-f", "f32le", "-")
        sound = np.frombuffer(raw, np.float32).reshape(-1, 2)
        assert sound.shape == truth[name].shape
        assert np.abs(sound - gain * truth[name]).max() < 1.01 * 2**-15, name


def test_a_film_in_surround_sound(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator
) -> None:
    film = tmp_path / "film.mkv"
    a_film(film, rng, *H264, "-c:a", "flac", channels=6)
    song = with_stems(film, tmp_path / "stems")
    done = run_karaoke("make", *song, "-o", tmp_path / "made", "--to", "mp4,mkv", "--json")
    assert done.returncode == 0, done.stderr
    for output in json.loads(done.stdout)["outputs"].values():
        said = subprocess.run([find_ffmpeg(), "-hide_banner", "-i", output["path"]],
                              capture_output=True, text=True, check=False).stderr  # fmt: skip
        assert "5.1" in said
        assert np.abs(clicks(Path(output["path"])) - clicks(film)).max() < 0.005


def test_rates_are_read_where_they_make_sense() -> None:
    assert rate_of("h264, yuv420p, 640x360, 29.97 fps, 29.97 tbr, 90k tbn") == 29.97
    assert rate_of("vp8, yuv420p, 640x360, 1k fps, 30 tbr, 1k tbn") == 30
    assert rate_of("h264, 12.50 fps, 50 tbr") == 25
    assert rate_of("h264, 90k tbr") == 25
