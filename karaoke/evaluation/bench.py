"""Time and memory of a model, in its own process: ``python -m karaoke.evaluation.bench MODEL``.

What is measured is what ``karaoke split`` does with a song between reading and writing: the same
threads, batches, resampling and overlap. Only whole batches of segments are timed, since a song of
four minutes consists of many of them, and ten seconds of hardly two.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from karaoke.audio.blocks import Block
from karaoke.errors import DeviceMemoryError, KaraokeError
from karaoke.evaluation.memory import own_peak, run_module
from karaoke.store.speeds import Speed, processor_name

if TYPE_CHECKING:
    from karaoke.separation.separator import Separator

RATE = 44100
#: Least music to time at once.
SECONDS = 10.0
#: After the first, which is a warm-up: the median of these counts.
REPEATS = 3
#: Seconds of work after which nothing is repeated.
PATIENCE_SECONDS = 20.0


def music(seconds: float) -> Block:
    """Make stereo music, the same each time: a chord, a voice with vibrato, and a beat.

    Silence or a plain tone would not do: numbers that come near zero slow processors down.
    """
    time_axis = np.arange(round(seconds * RATE)) / RATE
    rng = np.random.default_rng(0)
    chord = sum(np.sin(2 * np.pi * hz * time_axis) for hz in (110.0, 165.0, 220.0, 277.2))
    phase = 2 * np.pi * 330 * time_axis + 2 * np.sin(2 * np.pi * 5.5 * time_axis)
    voice = sum(np.sin(k * phase) / k for k in range(1, 9))
    beat = rng.standard_normal((2, time_axis.size)) * np.exp(-12 * (time_axis % 0.5))
    sides = np.array([[0.05], [0.04]]) * chord + 0.08 * voice + 0.1 * beat
    sound: Block = sides.astype(np.float32).clip(-0.9, 0.9)
    return sound


def whole_batches(separator: Separator) -> tuple[int, float]:
    """Return how many segments fill whole batches, and how many seconds of music they cover."""
    first = separator.segment_length / separator.sample_rate
    needed = 1 + max(0, math.ceil((SECONDS - first) / separator.stride_seconds))
    segments = math.ceil(needed / separator.batch_size) * separator.batch_size
    return segments, (segments - 1) * separator.stride_seconds + first


def time_separator(separator: Separator) -> tuple[float, float]:
    """Time a model that is loaded.

    Returns
    -------
    float, float
        Seconds of work per second of a long song, and what the first segments took beyond that.
    """
    segments, seconds = whole_batches(separator)
    # Not a sample more than these segments cover, or there would be one more.
    song = music(seconds)[:, : math.floor(seconds * RATE)]
    times: list[float] = []
    while len(times) <= REPEATS and sum(times) < PATIENCE_SECONDS:
        begun = time.perf_counter()
        blocks = (song[:, at : at + RATE] for at in range(0, song.shape[1], RATE))
        for _ in separator.stream(blocks, sample_rate=RATE):
            pass
        times.append(time.perf_counter() - begun)
    typical = statistics.median(times[1:] or times)
    return typical / segments / separator.stride_seconds, max(0.0, times[0] - typical)


def measure(model: str, *, device: str = "auto", quality: str = "default") -> tuple[str, Speed]:
    """Measure a model in a process of its own, where nothing else takes time or memory.

    Parameters
    ----------
    model
        Name or path.
    device
        As for :func:`karaoke.separation.devices.choose_device`.
    quality
        A key of :data:`karaoke.separation.qualities.QUALITIES`.

    Returns
    -------
    str, Speed
        The kind of device that was used, and what was measured.

    Raises
    ------
    KaraokeError
        What went wrong there.
    """
    options = ["--device", device, "--quality", quality, "--since", repr(time.time())]
    done = run_module(__name__, *options, "--", model)
    try:
        told = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        if done.returncode < 0:
            raise DeviceMemoryError(
                f'model "{model}": the process that measured it was killed',
                hint="It probably needs more memory than there is.",
            ) from None
        raise KaraokeError(f'model "{model}": {said}', hint="This is a bug.") from None
    if "error" in told:
        kinds = {kind.code: kind for kind in errors_of(KaraokeError)}
        raise kinds[told["error"]](told["message"], hint=told["hint"])
    return told["device"], Speed(**told["speed"])


def errors_of(kind: type[KaraokeError]) -> list[type[KaraokeError]]:
    """List a class of errors and all below it; of those with the same code, the highest last."""
    below = [each for child in kind.__subclasses__() for each in errors_of(child)]
    return [*below, kind]


def measure_here(model: str, device: str, quality: str, since: float) -> tuple[str, Speed]:
    """Measure a model in this process, which began at a time of ``time.time()``."""
    import torch

    from karaoke.store.loading import load_model

    separator = load_model(model, device=device, quality=quality)
    started = time.time() - since
    factor, warm_up = time_separator(separator)
    kind = separator.device.type
    on_cuda = kind == "cuda"
    speed = Speed(
        real_time_factor=factor,
        start_seconds=max(0.0, started) + warm_up,
        memory_bytes=own_peak() or 0,
        device_name=torch.cuda.get_device_name(separator.device) if on_cuda else processor_name(),
        device_memory_bytes=torch.cuda.max_memory_reserved(separator.device) if on_cuda else 0,
    )
    return kind, speed


def main() -> None:
    """Measure, and print one JSON object: what was measured, or the error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("model", help="name or path")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quality", default="default")
    parser.add_argument("--since", type=float, default=time.time())
    wanted = parser.parse_args()
    try:
        kind, speed = measure_here(wanted.model, wanted.device, wanted.quality, wanted.since)
    except KaraokeError as error:
        said = {"error": error.code, "message": error.message, "hint": error.hint}
        print(json.dumps(said))
    else:
        print(json.dumps({"device": kind, "speed": asdict(speed)}))


if __name__ == "__main__":
    main()
