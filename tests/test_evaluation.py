"""The measuring command on songs with known stems, and what it measures."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from matplotlib.image import imread
from rich.console import Console

from karaoke.audio import Block
from karaoke.cli.figures import tables
from karaoke.errors import UsageError
from karaoke.evaluation import baselines
from karaoke.evaluation.datasets import find_pieces
from karaoke.evaluation.memory import own_peak, peak_memory
from karaoke.evaluation.methods import BASELINES, Method, baseline_methods, model_method
from karaoke.evaluation.metrics import (
    GAIN_RANGE_DB,
    Shares,
    is_rest,
    is_singing,
    si_sdr_gain,
    windows,
)
from karaoke.evaluation.running import Journal, evaluate
from karaoke.evaluation.scoring import METRICS, PER_WINDOW, Figures, Scorer
from karaoke.evaluation.songs import Reference
from karaoke.evaluation.summary import (
    average,
    compare,
    groups_of,
    over_songs,
    real_time_factor,
    timed,
    to_json,
    window_medians,
)
from karaoke.separation.checkpoints import build_network, save_checkpoint
from karaoke.separation.headers import Header

RATE = 22050
#: For what is measured in windows: they are of seconds, and the work is of samples.
LOW_RATE = 8000
Run = Callable[..., subprocess.CompletedProcess[str]]


def test_windows_singing_and_rests() -> None:
    vocals = torch.randn(2, 1000)
    vocals[:, 300:400] *= 0.03
    vocals[:, 600:700] *= 0.0
    cut = list(windows(1050, 100))
    assert len(cut) == 10 and cut[-1] == slice(900, 1000)
    assert [is_singing(vocals, w) for w in cut] == [w.start not in (300, 600) for w in cut]
    assert [is_rest(vocals, w) for w in cut] == [w.start == 600 for w in cut]


def test_gain_over_the_mixture() -> None:
    target, other = torch.randn(2, 2, 5000)
    mixture = target + other
    assert si_sdr_gain(mixture, target, mixture) == 0
    assert si_sdr_gain(target + 0.1 * other, target, mixture) == pytest.approx(20, abs=0.5)


@pytest.fixture
def songs(tmp_path: Path, song: Path, noise: Callable[..., Block]) -> Path:
    """Make a folder with a stereo song of two stems and a mono one of four, of ten seconds."""
    voice, rate = soundfile.read(song.with_name("vocals.flac"), frames=round(10.2 * 2 * RATE))
    voice, rate = voice[::2], rate // 2
    assert rate == RATE
    root = tmp_path / "songs"
    for name, others in (("a", ["accompaniment"]), ("b", ["drums", "bass", "other"])):
        (root / name).mkdir(parents=True)
        vocals = voice if name == "a" else voice[:, :1]
        soundfile.write(root / name / "vocals.flac", vocals, rate)
        for seed, other in enumerate(others):
            music = 0.7 * noise(vocals.shape[1], len(vocals), seed) / len(others)
            soundfile.write(root / name / f"{other}.flac", music.T, rate)
    return root


@pytest.fixture
def four_stems(tmp_path: Path, tiny_header: Header) -> Path:
    """Path of a checkpoint of four stems with random weights."""
    header = Header(**{**vars(tiny_header), "stems": ("vocals", "drums", "bass", "other")})
    torch.manual_seed(1)
    save_checkpoint(tmp_path / "four.safetensors", build_network(header), header)
    return tmp_path / "four.safetensors"


def test_command(run_karaoke: Run, tiny_model: Path, four_stems: Path, songs: Path) -> None:
    out, table, picture = (songs.parent / f"out.{kind}" for kind in ("json", "csv", "png"))
    options = ("--model", tiny_model, "--model", four_stems, "--baseline", "all")
    files = ("--json", out, "--csv", table, "--plot", picture)
    done = run_karaoke("evaluate", songs, *options, *files)
    assert done.returncode == 0, done.stderr
    assert "= all songs" in done.stdout and "4000+" in done.stdout and "GNSDR" in done.stdout
    assert "16/16" in done.stderr
    again = run_karaoke("evaluate", songs, *options, "--json", out)
    assert again.stdout == done.stdout, "everything is known"
    facts = json.loads(out.read_text())
    rows = {(row["method"], row["song"]): row for row in facts["songs"]}
    assert facts["dataset"] == "songs" and {song for _, song in rows} == {"a", "b"}
    pair, four = {"vocals", "instrumental"}, {"vocals", "instrumental", "drums", "bass", "other"}
    for (method, song), row in rows.items():
        several = song == "b" and method in (str(four_stems), "mixture", *list(BASELINES)[-2:])
        assert set(row["stems"]) == (four if several else pair), "what both sides know"
        for figures in row["stems"].values():
            assert set(figures) == set(METRICS) and None not in figures.values()
        assert len(row["windows"]["vocals_gain_db"]) == 1
        assert len(row["kept"]) == len(row["leaked"]) == 8
        if method != "mixture":
            assert row["null_dbfs"] < -120
    check_baselines(rows)
    by_name = {one["method"]: one for one in facts["summary"]}
    assert by_name[str(tiny_model)]["size_bytes"] == tiny_model.stat().st_size
    assert by_name[str(tiny_model)]["parameters"] > 1000
    assert by_name["centre"]["parameters"] is None
    assert all(one["real_time_factor"] > 0 for one in facts["summary"])
    with table.open(newline="") as file:
        for line in csv.DictReader(file):
            figures = rows[line["method"], line["song"]]["stems"][line["stem"]]
            for metric in METRICS:
                assert float(line[metric]) == figures[metric]
    pixels = imread(picture)
    assert pixels.ndim == 3 and pixels.shape[0] > 1000 and pixels.std() > 0.05


def check_baselines(rows: dict[tuple[str, str], dict[str, dict[str, dict[str, float]]]]) -> None:
    """Check what is known of the methods that learn nothing."""
    nothing = rows["mixture", "a"]
    assert nothing["windows"]["vocals_gain_db"] == [0]
    assert nothing["stems"]["vocals"]["nsdr_db"] == pytest.approx(0, abs=1e-9)
    # The noise is loud enough in an octave to look a little like the voice.
    np.testing.assert_allclose([nothing["kept"][3], nothing["leaked"][3]], 1, atol=0.1)
    for song in "ab":
        figures = {method: rows[method, song]["stems"]["vocals"] for method in BASELINES}
        ratio, binary = figures["ideal-ratio-mask"], figures["ideal-binary-mask"]
        # A voice in white noise: every method helps, the truth most of all.
        for metric in ("sdr_db", "song_sdr_db", "si_sdr_db", "si_snr_db", "nsdr_db"):
            simple = [figures[name][metric] for name in ("centre", "HPSS", "REPET-SIM")]
            assert ratio[metric] > binary[metric] > max(simple) > figures["mixture"][metric]
        assert ratio["magnitude_mse"] < figures["mixture"]["magnitude_mse"]
        assert binary["mask_accuracy"] > 0.95 and binary["dice"] > 0.7


def test_a_second_run_does_what_is_missing(
    tiny_model: Path, four_stems: Path, tmp_path: Path, noise: Callable[..., Block]
) -> None:
    for seed, name in enumerate("ab"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for stem in ("vocals", "accompaniment"):
            audio = noise(1, LOW_RATE * 2, seed + len(stem))
            soundfile.write(tmp_path / "set" / name / f"{stem}.flac", audio.T, LOW_RATE)
    lines = tmp_path / "out.json.lines"
    model = tmp_path / "model.safetensors"
    model.write_bytes(tiny_model.read_bytes())
    name = str(model)

    def measure(*songs: str, resume: bool = True, as_mp3: bool = False) -> dict[str, float]:
        """Give the time that each method and song took, which differs every time."""
        _, tracks = find_pieces(tmp_path / "set", songs)
        methods = [model_method(name, device="cpu"), *baseline_methods(["mixture"])]
        journal = Journal(lines, resume=resume)
        results = evaluate(tracks, methods, journal, as_mp3=as_mp3)
        return {f"{one.method} {one.song}": one.elapsed_seconds for one in results}

    def differ(one: dict[str, float], two: dict[str, float]) -> set[str]:
        return {key for key in one if one[key] != two[key]}

    first = measure("a")
    both = measure()
    assert len(both) == 4 and not differ(first, both)
    text = lines.read_text(encoding="utf-8")
    lines.write_text(text[:-200], encoding="utf-8")
    cut = measure()
    assert differ(both, cut) == {"mixture b"}, "half a line is none"
    assert not differ(cut, measure()), "and what comes after it counts"
    model.write_bytes(four_stems.read_bytes())
    other = measure()
    assert differ(cut, other) == {f"{name} a", f"{name} b"}, "other weights, other figures"
    soundfile.write(tmp_path / "set" / "a" / "vocals.flac", noise(1, LOW_RATE * 3).T, LOW_RATE)
    changed = measure()
    assert differ(other, changed) == {f"{name} a", "mixture a"}, "another song"
    assert differ(measure("a", as_mp3=True), changed) == {f"{name} a", "mixture a"}
    assert differ(measure("b", resume=False), changed) == {f"{name} b", "mixture b"}
    assert len(lines.read_text(encoding="utf-8").split("\n")) == 3


def test_only_what_was_named_is_looked_at(run_karaoke: Run, songs: Path) -> None:
    for name in ("bad", "worse"):
        (songs / name).mkdir()
        (songs / name / "vocals.flac").write_bytes((songs / "a" / "vocals.flac").read_bytes())
    (songs / "worse" / "accompaniment.flac").write_bytes(b"<html>")
    baseline = ("--baseline", "mixture")
    done = run_karaoke("evaluate", songs, "a", *baseline)
    assert done.returncode == 0 and "left out" not in done.stderr, done.stderr
    done = run_karaoke("evaluate", songs, *baseline)
    assert done.returncode == 0 and "2 of 4 songs left out" in done.stderr, done.stderr
    for name, problem in (("bad", "no accompaniment"), ("worse", "not audio")):
        (line,) = [line for line in done.stderr.splitlines() if f"{name} is left out" in line]
        assert problem in line and line.startswith("warning: ")
    for name, code in (("bad", 66), ("worse", 65)):
        alone = run_karaoke("evaluate", songs, name, *baseline)
        assert alone.returncode == code and name in alone.stderr.splitlines()[-1]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_figure_and_no_name_is_cut(width: int) -> None:
    song, path = "how_to_kill_a_conversation_heartonmythumb", "/home/somebody/long/best.safetensors"
    results = [
        Figures(
            *(method, song, 200.0, 20.0),
            stems={stem: dict.fromkeys(METRICS, -15.25) for stem in ("vocals", "instrumental")},
            windows={**{name: [6.5] for name in PER_WINDOW}, "leak_db": [-70.55]},
            kept=[0.91] * 8,
            leaked=[0.12] * 8,
        )
        for method in ("[b]", path)
    ]
    methods = [Method(one.method, lambda song: {}, "1", 5_207_022, 10_600_000) for one in results]
    out = Console(width=width, file=io.StringIO(), emoji=False)
    for table in tables(results, methods, width):
        out.print(table)
    shown = out.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in shown and max(map(len, shown.splitlines())) <= width
    for text in (
        *METRICS.values(),
        "-15.25",
        "-70.55",
        "0.91",
        "8000+",
        "5,207,022",
        "[b]",
    ):
        assert text in shown, text
    cells = [line.strip("│").split("│") for line in shown.splitlines() if line.startswith("│")]
    for column, name in ((0, path), (1, song)):
        assert name in "".join(row[column].strip() for row in cells if len(row) > column)


def test_refusals(run_karaoke: Run, songs: Path) -> None:
    def refuse(code: int, said: str, *arguments: object) -> None:
        done = run_karaoke("evaluate", *arguments)
        assert done.returncode == code and said in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1

    refuse(66, "zenodo.org", songs / "a")
    refuse(66, "no such folder", songs / "nowhere")
    refuse(66, "no song", songs, "c")
    refuse(66, "no subset", songs, "--subset", "train")
    refuse(2, "ideal-ratio-mask", songs, "--baseline", "magic")
    refuse(2, ".svg", songs, "--baseline", "mixture", "--plot", songs / "out.txt")
    refuse(69, "no such model", songs, "--model", "nobody")
    refuse(74, "no such folder", songs, "--csv", songs / "nowhere" / "out.csv")


def test_a_picture_without_matplotlib(tmp_path: Path) -> None:
    hidden = tmp_path / "matplotlib"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('there is no matplotlib')\n")
    code = (
        f"import sys; sys.path.insert(0, {str(hidden.parent)!r})\n"
        "from karaoke.errors import UsageError\n"
        "try: import karaoke.evaluation.plots\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "there is no matplotlib" in done.stdout and "pip install matplotlib" in done.stdout


def test_baselines_by_name() -> None:
    assert [method.name for method in baseline_methods(["all"])] == list(BASELINES)
    chosen = baseline_methods(["hpss", "Mixture", "HPSS"])
    assert [method.name for method in chosen] == ["HPSS", "mixture"]
    with pytest.raises(UsageError, match="magic"):
        baseline_methods(["magic"])


def test_windows_without_music_or_sound_stay_out(noise: Callable[..., Block]) -> None:
    vocals, music = noise(2, LOW_RATE * 40, 0), noise(2, LOW_RATE * 40, 1)
    music[:, : LOW_RATE * 10] *= 0.001  # the voice alone
    vocals[:, LOW_RATE * 20 :] = 0
    music[:, LOW_RATE * 30 :] = 0  # nothing
    song = Reference("x", vocals + music, {"vocals": vocals, "instrumental": music}, LOW_RATE)
    halved = {"vocals": 0.5 * song.mixture, "instrumental": 0.5 * song.mixture}
    figures = Scorer(song).score("half", halved)
    assert figures.windows["vocals_gain_db"] == pytest.approx([0], abs=1e-3)
    assert figures.windows["leak_db"] == pytest.approx([-6.02], abs=0.01)


def test_leaks_are_measured_where_nobody_sings(noise: Callable[..., Block]) -> None:
    vocals, music = noise(2, LOW_RATE * 30, 0), noise(2, LOW_RATE * 30, 1)
    vocals[:, LOW_RATE * 10 : LOW_RATE * 20] = 0
    song = Reference("x", vocals + music, {"vocals": vocals, "instrumental": music}, LOW_RATE)
    estimates = {"vocals": 0.1 * song.mixture, "instrumental": 0.9 * song.mixture}
    leaky = Scorer(song).score("leaky", estimates)
    assert leaky.windows["leak_db"] == pytest.approx([-20], abs=0.01)
    assert len(leaky.windows["vocals_gain_db"]) == 2
    silence = {"vocals": np.zeros_like(vocals), "instrumental": song.mixture}
    silent = Scorer(song).score("silent", silence)
    assert silent.windows["vocals_gain_db"] == [GAIN_RANGE_DB[0]] * 2, "silence is no separation"
    assert silent.windows["instrumental_gain_db"] == [0, 0]
    assert window_medians([leaky])["leak_db"] == pytest.approx(-20, abs=0.01)


def test_what_a_model_does_not_give_is_not_scored(noise: Callable[..., Block]) -> None:
    music = noise(2, LOW_RATE * 2, 1)
    stems = {"vocals": noise(2, LOW_RATE * 2, 0), "instrumental": music, "drums": 0.5 * music}
    song = Reference("x", stems["vocals"] + music, stems, LOW_RATE)
    figures = Scorer(song).score("drummer", {"drums": stems["drums"], "piano": music})
    assert set(figures.stems) == {"drums"} and not figures.windows and figures.null_dbfs is None
    assert figures.stems["drums"]["song_sdr_db"] > 60


@pytest.mark.parametrize("silent", ["vocals", "instrumental", "both", "estimate"])
def test_silence_is_none(noise: Callable[..., Block], silent: str) -> None:
    vocals, music = noise(2, LOW_RATE * 12, 0), noise(2, LOW_RATE * 12, 1)
    stems = {"vocals": vocals, "instrumental": music}
    for name in stems:
        if silent in (name, "both"):
            stems[name] = np.zeros_like(vocals)
    mixture = stems["vocals"] + stems["instrumental"]
    song = Reference("x", mixture, stems, LOW_RATE)
    level = 0.0 if silent == "estimate" else 0.3
    estimates = {"vocals": level * mixture, "instrumental": (1 - level) * mixture}
    figures = Scorer(song).score("x", estimates)
    text = to_json({}, [figures], [Method("x", lambda song: estimates, "1")])
    assert "NaN" not in text and "Infinity" not in text
    for name, values in figures.stems.items():
        assert values.get("sdr_db") is None, "no frame is left"
        if silent in (name, "both"):
            assert values["si_sdr_db"] is None and values["dice"] is None
        else:
            assert values["song_sdr_db"] is not None
    if silent != "estimate":
        assert average([figures], "vocals", "sdr_db").median is None


def test_medians_and_the_weighted_mean() -> None:
    results = [
        Figures("m", name, seconds, stems={"vocals": {"nsdr_db": value, "dice": value}})
        for name, seconds, value in (("a", 10, 1.0), ("b", 30, 5.0), ("c", 10, None))
    ]
    found = average(results, "vocals", "nsdr_db")
    assert (found.median, found.mean, found.songs) == (3, 4, 2), "weighted by length"
    assert average(results, "vocals", "dice").mean == 3
    assert average(results, "drums", "dice").songs == 0


def gains(method: str, song: str, vocals: list[float], *leaks: float) -> Figures:
    """Give figures of windows, with an instrumental that gains half as much."""
    found = {name: vocals for name in PER_WINDOW} | {"leak_db": list(leaks)}
    found["instrumental_gain_db"] = [value / 2 for value in vocals]
    return Figures(method, song, 10.0 * len(vocals), windows=found)


def test_each_song_counts_once() -> None:
    long, short = gains("m", "a", [1.0] * 30, -20.0), gains("m", "b", [4.0, 5.0, 12.0])
    found = over_songs([long, short], "vocals_gain_db")
    assert (found.mean, found.median, found.songs) == (4, 3, 2)
    assert over_songs([long, short], "both_gain_db").mean == 3
    leak = over_songs([long, short], "leak_db")
    assert leak.mean == pytest.approx(-20) and leak.songs == 1, "without rests, a song stays out"
    assert over_songs([], "leak_db").mean is None


def test_halves_and_paired_differences() -> None:
    songs = {"lithium": [1.0, 3.0], "playlist": [2.0], "caesium": [5.0, 5.0, 8.0]}
    ours = [gains("ours", song, values) for song, values in songs.items()]
    theirs = [gains("theirs", song, [v - 0.1 for v in values]) for song, values in songs.items()]
    silent = Figures("ours", "rrphl", 10.0)
    groups = groups_of([*ours, silent])
    assert {name: [one.song for one in some] for name, some in groups.items()} == {
        "all": [*songs],
        "choose": ["lithium", "playlist"],
        "report": ["caesium"],
    }
    found = compare([*ours, *theirs, silent], "ours", "theirs")
    for group, count in (("all", 3), ("choose", 2), ("report", 1)):
        vocals, both = found[group]["vocals_gain_db"], found[group]["both_gain_db"]
        assert vocals.mean == pytest.approx(0.1) and vocals.songs == vocals.ahead == count
        assert both.mean == pytest.approx(0.075)
        if count > 1:
            assert vocals.low == pytest.approx(0.1) and vocals.high == pytest.approx(0.1)
    assert compare([*ours, silent], "ours", "nobody") == {}


def test_only_times_of_one_run_compare() -> None:
    results = [
        Figures(method, song, 10.0, seconds, run=run)
        for method, song, seconds, run in (
            *(("a", "x", 1.0, "now"), ("b", "x", 2.0, "now")),
            *(("a", "y", 9.0, "then"), ("b", "y", 4.0, "now")),
        )
    ]
    assert timed(results) == {"x"}
    assert real_time_factor(results[1::2], timed(results)) == pytest.approx(0.2)
    assert real_time_factor(results, set()) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_peak_memory_is_that_of_the_model_alone(tiny_model: Path) -> None:
    found = peak_memory(str(tiny_model))
    ballast = np.ones(150 << 17)  # 157 MB that are none of the model's
    again = peak_memory(str(tiny_model))
    own = own_peak()
    assert found is not None and again is not None and own is not None
    assert found > 100e6 and own > ballast.nbytes
    assert abs(again - found) < 80e6
    assert peak_memory("no-such-model") is None


def test_shares_per_octave() -> None:
    voice, music = torch.randn(2, 2, 44100)
    low = torch.fft.rfft(music)
    low[:, 2000:] = 0  # below 2 kHz
    shares = Shares(44100)
    shares.add(0.8 * voice + 0.3 * torch.fft.irfft(low, 44100), voice, music)
    kept, leaked = zip(*shares.results(), strict=True)
    np.testing.assert_allclose(kept, 0.8, atol=0.02)
    np.testing.assert_allclose(leaked, [0.3] * 5 + [0] * 3, atol=0.02)


@pytest.mark.parametrize(
    ("rate", "bands"),
    [(8000, 6), (11025, 7), (16000, 7), (22050, 8), (44100, 8), (48000, 8), (192_000, 8), (600, 3)],
)
def test_shares_have_the_bands_of_the_rate(rate: int, bands: int) -> None:
    voice, music = torch.randn(2, 2, 2 * rate)
    shares = Shares(rate)
    shares.add(0.8 * voice + 0.3 * music, voice, music)
    kept, leaked = zip(*shares.results(), strict=True)
    assert len(kept) == bands
    np.testing.assert_allclose(kept, 0.8, atol=1e-3)
    np.testing.assert_allclose(leaked, 0.3, atol=1e-3)


@pytest.mark.parametrize("length", [1, 100, 2000])
def test_shares_of_short_signals(length: int) -> None:
    voice, music = torch.randn(2, 2, length)
    shares = Shares(44100)
    shares.add(voice, voice, music)
    assert all(np.isfinite(pair).all() for pair in shares.results())


def gain_of(estimate: Block, voice: Block, mixture: Block) -> float:
    return si_sdr_gain(*(torch.from_numpy(a) for a in (estimate, voice, mixture)))


def test_baselines_on_what_they_are_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    time = np.arange(RATE * 12) / RATE
    voice = np.zeros((2, RATE * 12), np.float32)
    voice[:, RATE * 5 : RATE * 6] = 0.3 * np.sin(2 * np.pi * 700 * time[:RATE])
    bar = 0.1 * rng.standard_normal((2, RATE * 3 // 2)).astype(np.float32)
    loop = np.tile(bar, 8)
    found = baselines.repet_sim(voice + loop, RATE)
    assert gain_of(found, voice, voice + loop) > 5, "what repeats is the music"
    monkeypatch.setattr(baselines, "PART_SECONDS", 6.0)
    found = baselines.repet_sim(voice + loop, RATE)
    assert found.shape == voice.shape
    assert gain_of(found, voice, voice + loop) > 5, "in each part of a long song"
    short = voice[:, :3000]
    np.testing.assert_array_equal(baselines.repet_sim(short, RATE), short)
    sides = loop.copy()
    sides[1] = -sides[0]
    found = baselines.centre(voice + sides, RATE)
    assert gain_of(found, voice, voice + sides) > 5, "what is in the middle is the voice"
    # A voice moves; an organ holds its notes, a click has none.
    phase = 2 * np.pi * 500 * time + 12 * np.sin(2 * np.pi * 5.5 * time)
    voice = np.repeat(0.2 * np.sin(phase, dtype=np.float32)[None], 2, axis=0)
    organ = sum(0.1 * np.sin(2 * np.pi * hz * time) for hz in (262, 330, 392))
    clicks = np.zeros_like(organ)
    clicks[:: RATE // 2] = 3.0
    mixture = voice + np.float32(organ + clicks)
    assert gain_of(baselines.hpss(mixture, RATE), voice, mixture) > 5
