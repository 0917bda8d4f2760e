"""Methods of separation: models, and baselines to compare them with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from karaoke.audio import Block
from karaoke.errors import UsageError
from karaoke.evaluation import baselines
from karaoke.evaluation.songs import Reference
from karaoke.files import checksum
from karaoke.separation.qualities import QUALITIES, split_quality
from karaoke.separation.separator import Separator
from karaoke.store.catalogue import find_model
from karaoke.store.loading import load_model

#: Returns stems of a song by name, each of the mixture's shape.
Separate = Callable[[Reference], dict[str, Block]]


@dataclass(frozen=True)
class Method:
    """A way to separate a song.

    Parameters
    ----------
    name
        As the user wrote it.
    separate
        Separates a song.
    identity
        Figures are reused only as long as this stays the same.
    parameters
        Number of learned weights; None for a baseline.
    size_bytes
        Of the weights' file; None for a baseline.
    peak_memory_bytes
        Of a process that does nothing else; None if it was not measured.
    """

    name: str
    separate: Separate
    identity: str
    parameters: int | None = None
    size_bytes: int | None = None
    peak_memory_bytes: int | None = None


def by_model(separator: Separator) -> Separate:
    """Separate with a model."""

    def separate(song: Reference) -> dict[str, Block]:
        return separator.separate(song.mixture, song.sample_rate)

    return separate


def load_method(name: str, device: str = "auto", overlap: float | None = None) -> Separator:
    """Load a model by a name that may end in ``@`` and a quality.

    Raises
    ------
    ModelError, UsageError
        As for :func:`karaoke.store.loading.load_model`.
    """
    model, quality = split_quality(name)
    return load_model(find_model(model), device=device, overlap=overlap, quality=quality)


def model_method(name: str, *, device: str = "auto", overlap: float | None = None) -> Method:
    """Load a model as a method, identified by the hash of its weights, its overlap and its votes.

    The name may end in ``@`` and a quality.

    Raises
    ------
    ModelError, UsageError
        As for :func:`karaoke.store.loading.load_model`.
    """
    model, quality = split_quality(name)
    path = find_model(model)
    separator = load_method(name, device, overlap)
    votes = QUALITIES[quality]
    return Method(
        name,
        by_model(separator),
        f"{checksum(path)} overlap {separator.overlap:g}" + (f" votes {votes}" if votes else ""),
        sum(parameter.numel() for parameter in separator.network.parameters()),
        path.stat().st_size,
    )


def mixture(song: Reference) -> dict[str, Block]:
    """Return the mixture as every stem, to show what doing nothing is worth."""
    return dict.fromkeys(song.stems, song.mixture)


def by_hand(estimate: Callable[[Block, int], Block]) -> Separate:
    """Separate with a function that returns the vocals; the rest is the instrumental."""

    def separate(song: Reference) -> dict[str, Block]:
        vocals = estimate(song.mixture, song.sample_rate)
        return {"vocals": vocals, "instrumental": song.mixture - vocals}

    return separate


def by_truth(estimate: Callable[[Block, Block, Block], Block]) -> Separate:
    """Separate with a function that is given a true stem and the rest of the song."""

    def separate(song: Reference) -> dict[str, Block]:
        whole = song.stems["vocals"] + song.stems["instrumental"]
        stems = {
            name: estimate(song.mixture, stem, whole - stem)
            for name, stem in song.stems.items()
            if name != "instrumental"
        }
        return {**stems, "instrumental": song.mixture - stems["vocals"]}

    return separate


#: Baselines by name, each with a version to raise whenever its results change.
BASELINES: dict[str, tuple[Separate, int]] = {
    "mixture": (mixture, 1),
    "centre": (by_hand(baselines.centre), 1),
    "HPSS": (by_hand(baselines.hpss), 1),
    "REPET-SIM": (by_hand(baselines.repet_sim), 1),
    "ideal-ratio-mask": (by_truth(baselines.ideal_ratio_mask), 1),
    "ideal-binary-mask": (by_truth(baselines.ideal_binary_mask), 1),
}


def baseline_methods(names: Sequence[str]) -> list[Method]:
    """Return baselines by their names in any case; ``all`` stands for all of them.

    Raises
    ------
    UsageError
        There is no such baseline.
    """
    by_name = {name.lower(): name for name in BASELINES}
    wanted = [name for asked in names for name in (by_name if asked == "all" else [asked.lower()])]
    for name in wanted:
        if name not in by_name:
            raise UsageError(
                f"--baseline {name}: unknown", hint=f"Choose all, {', '.join(BASELINES)}."
            )
    methods = []
    for name in dict.fromkeys(wanted):
        separate, version = BASELINES[by_name[name]]
        methods.append(Method(by_name[name], separate, str(version)))
    return methods
