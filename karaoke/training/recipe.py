"""Recipes: everything that a run depends on except the recordings, as a dataclass and as TOML."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from karaoke.errors import ModelError, NoInputError, UsageError
from karaoke.separation.checkpoints import outline
from karaoke.separation.fields import SHARE, Within, check_fields
from karaoke.separation.headers import Header
from karaoke.separation.networks import NETWORKS
from karaoke.training.corpus import SAMPLE_RATE
from karaoke.training.losses import LOSSES
from karaoke.training.masks import MASK_FIGURES, MASK_LOSSES, require_masks
from karaoke.training.mixtures.data import STEMS, MixtureConfig
from karaoke.training.optimizers import OPTIMIZERS
from karaoke.training.transfer import require_encoder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: What the learning rate does after the warm-up.
SCHEDULES = ("cosine", "constant")
#: A config that describes more is a typing error.
MOST_WEIGHTS = 1_000_000_000


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Parameters
    ----------
    architecture, config
        What to train: a key of ``NETWORKS``, and fields of its config.
    stems
        The network's outputs, one of ``STEMS``.
    mixtures
        How the mixtures are made.
    loss
        Weights of loss functions, by name: all from ``LOSSES``, or all from ``MASK_LOSSES``.
    mask_figures
        Names in ``MASK_FIGURES`` of what validation also measures.
    steps, time_budget
        Length of the whole run, over which the learning rate warms up and falls: optimizer steps,
        or seconds of training over all sessions. Zero means no limit; the first to be reached
        ends the run.
    clock
        What kind of seconds: ``wall``, or ``cpu`` time of the first process, for fair comparisons
        of small runs on a machine that also does other things.
    batch_size, accumulate
        Mixtures per step, shared among all processes, by default as many as suit the device; and
        the passes that each process's share is divided into, to save memory.
    optimizer
        A key of :data:`karaoke.training.optimizers.OPTIMIZERS`.
    learning_rate, weight_decay, clip_norm
        The optimizer's learning rate at its peak and its weight decay, and the norm that
        gradients are clipped to.
    warm_up
        Share of the run after which the rate is at its peak.
    schedule, decay_steps
        ``cosine``: the rate falls over the whole run; ``constant``: it stays at its peak until the
        last ``decay_steps``, in which it falls to zero. A run without a planned end can stay at a
        constant rate, with short runs that branch off from it and decay.
    ema_decays
        Decays of one or more averages of the weights, which are validated and shipped instead of
        the weights themselves. Zero: no average.
    validate_every, log_every
        In steps.
    validate_windows
        Number of 10 s windows with singing, evenly spaced, to measure in each validation song; and
        a third as many without singing. Zero: all.
    leak_limit_db
        Highest level of the vocals relative to the mixture where nobody sings: weights within
        this limit are better than all others, whatever their gains.
    patience
        Stop after this many validations without improvement. Zero: never.
    segment_seconds, overlap
        How the finished model cuts songs into segments.
    freeze_encoder
        Keep the initial weights of the network's encoder.
    freeze_norms
        Keep the initial statistics of its batch norms.
    hold
        Weight of the estimates of a teacher, or else of the network as it was before training, as
        targets besides the true ones.
    without_licenses
        Leave out recordings whose license contains one of these.
    seed
        Seed of the weights and the mixtures.
    """

    architecture: str = "band_split_bilstm"
    config: dict[str, Any] = field(default_factory=dict)
    stems: tuple[str, ...] = STEMS[0]
    mixtures: MixtureConfig = field(default_factory=MixtureConfig)
    loss: dict[str, Annotated[float, Within(0, 1e6)]] = field(
        default_factory=lambda: {
            "error_norm": 1.0,
            "spectrogram_l1": 0.5,
            "compressed_magnitude_mse": 1.0,
        }
    )
    mask_figures: tuple[str, ...] = ()
    steps: Annotated[int, Within(0, 100_000_000)] = 0
    time_budget: Annotated[float, Within(0, 1e9)] = 3600.0
    clock: str = "wall"
    batch_size: Annotated[int, Within(1, 100_000)] = 0
    accumulate: Annotated[int, Within(1, 100_000)] = 1
    optimizer: str = "adamw"
    learning_rate: Annotated[float, Within(0, 10, open_low=True)] = 2e-3
    weight_decay: Annotated[float, Within(0, 10)] = 1e-2
    clip_norm: Annotated[float, Within(0, 1e6, open_low=True)] = 1.0
    warm_up: Annotated[float, SHARE] = 0.03
    schedule: str = "cosine"
    decay_steps: Annotated[int, Within(0, 100_000_000)] = 0
    ema_decays: tuple[Annotated[float, Within(0, 1, open_high=True)], ...] = (0.998,)
    validate_every: Annotated[int, Within(1, 1_000_000_000)] = 200
    log_every: Annotated[int, Within(1, 1_000_000_000)] = 10
    validate_windows: Annotated[int, Within(0, 100_000)] = 12
    leak_limit_db: Annotated[float, Within(-200, 200)] = -20.0
    patience: Annotated[int, Within(0, 1_000_000)] = 0
    segment_seconds: Annotated[float, Within(0.1, 60)] = 10.0
    overlap: Annotated[float, Within(0, 0.95)] = 0.25
    freeze_encoder: bool = False
    freeze_norms: bool = False
    hold: Annotated[float, Within(0, 1e6)] = 0.0
    without_licenses: tuple[str, ...] = ()
    seed: Annotated[int, Within(0, (1 << 63) - 1)] = 1

    def progress(self, steps: int, seconds: float) -> float:
        """Return how much of the run is done, in [0, 1]."""
        shares = [0.0]
        if self.steps:
            shares.append(steps / self.steps)
        if self.time_budget:
            shares.append(seconds / self.time_budget)
        return min(1.0, max(shares))

    def learning_rate_at(self, step: int, progress: float) -> float:
        """Return the rate of a step, counted from 0, given the progress of the run in [0, 1].

        After the warm-up it falls along a cosine to 1 % of the peak; or it stays constant until
        the last ``decay_steps``, and falls by the square root of the share of them that is done.

        References
        ----------
        A. Hägele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training
        Durations", 2024 (arXiv 2405.18392).
        """
        warm = min(1.0, (progress + 1e-3) / self.warm_up) if self.warm_up else 1.0
        if self.schedule == "constant":
            left = self.steps - step
            done = 1 - left / self.decay_steps if left < self.decay_steps else 0.0
            return self.learning_rate * warm * (1 - math.sqrt(done))
        return self.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def parse_toml(text: str, origin: str) -> dict[str, Any]:
    """Parse TOML, or raise UsageError."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{origin}: {error}", hint="Write key = value, in TOML.") from error


def read_recipe(path: Path | None, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    path
        A TOML file with fields of :class:`Recipe`; None starts from the defaults.
    settings
        Changes, each ``key=value``, with dots for tables (``mixtures.aligned_share=0.5``). A value
        that is not TOML is taken as a string.

    Raises
    ------
    NoInputError
        The file cannot be read.
    UsageError
        The file is not TOML; there is no such field, loss, choice or network; or a value has the
        wrong type or is out of range.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = parse_toml(path.read_text(encoding="utf-8"), f'"{path}"')
        except OSError as error:
            raise NoInputError(f'"{path}": {error.strerror}') from error
        except UnicodeDecodeError as error:
            raise UsageError(f'"{path}": not UTF-8', hint="Write key = value, in TOML.") from error
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: not key=value", hint="Write --set steps=1000.")
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except (tomllib.TOMLDecodeError, RecursionError):
            parsed = value.strip()
        *tables, name = key.strip().split(".")
        table = values
        for part in tables:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise UsageError(f"--set {setting}: {part} is not a table")
        table[name] = parsed
    try:
        recipe = Recipe(**check_fields(Recipe, values))
    except ValueError as error:
        raise UsageError(f"recipe: {error}", hint="See models/README.md.") from error
    check(recipe)
    return recipe


def check(recipe: Recipe) -> None:
    """Check the values of a recipe, or raise UsageError."""
    for kind, names, choices in (
        ("loss", recipe.loss, {*LOSSES, *MASK_LOSSES}),
        ("mask figure", recipe.mask_figures, {*MASK_FIGURES}),
    ):
        unknown, known = (", ".join(sorted(some)) for some in ({*names} - choices, choices))
        if unknown:
            raise UsageError(f"recipe: unknown {kind} {unknown} (known: {known})")
    if recipe.loss.keys() & LOSSES.keys() and recipe.loss.keys() & MASK_LOSSES.keys():
        given = ", ".join(recipe.loss)
        raise UsageError(f"recipe: losses of waveforms and of masks at once: {given}")
    if recipe.stems not in STEMS:
        lists = "; or ".join(", ".join(stems) for stems in STEMS)
        raise UsageError(f"recipe: stems must be {lists}; not {', '.join(recipe.stems)}")
    for name, chosen, known_names in (
        ("architecture", recipe.architecture, list(NETWORKS)),
        ("optimizer", recipe.optimizer, list(OPTIMIZERS)),
        ("clock", recipe.clock, ["wall", "cpu"]),
        ("schedule", recipe.schedule, list(SCHEDULES)),
    ):
        if chosen not in known_names:
            raise UsageError(f"recipe: {name} must be {' or '.join(known_names)}, not {chosen}")
    if recipe.decay_steps > recipe.steps:
        raise UsageError("recipe: decay_steps exceeds the steps of the run")
    if not recipe.ema_decays:
        raise UsageError("recipe: ema_decays names no average; write [0.0] for the last weights")
    if not recipe.steps and not recipe.time_budget:
        raise UsageError("recipe: neither steps nor time_budget says when the run ends")
    if not any(recipe.loss.values()):
        raise UsageError("recipe: no loss has a weight above zero")
    check_network(recipe)


def check_network(recipe: Recipe) -> None:
    """Check that the network can be built, and has the masks and the encoder that are needed.

    Raises
    ------
    UsageError
        It cannot, or does not.
    """
    try:
        network = outline(header_of(recipe))
    except ModelError as error:
        raise UsageError(f"recipe: {error.message}", hint=error.hint) from error
    weights = sum(weight.numel() for weight in network.parameters())
    if weights > MOST_WEIGHTS:
        raise UsageError(
            f"recipe: config describes {weights:,} weights; at most {MOST_WEIGHTS:,} are allowed"
        )
    if recipe.freeze_encoder:
        require_encoder(network)
    if recipe.mask_figures or recipe.loss.keys() & MASK_LOSSES.keys():
        require_masks(network)


def header_of(recipe: Recipe) -> Header:
    """Describe the network of a recipe in full, so that new defaults do not change checkpoints.

    Raises
    ------
    ModelError
        Its config has an unknown field, or a value out of range.
    """
    kind = NETWORKS[recipe.architecture][1]
    try:
        config = asdict(kind(**check_fields(kind, recipe.config, "config.")))
    except ValueError as error:
        raise ModelError(str(error)) from error
    return Header(
        architecture=recipe.architecture,
        config=config,
        sample_rate=SAMPLE_RATE,
        channels=2,
        stems=recipe.stems,
        segment_seconds=recipe.segment_seconds,
        overlap=recipe.overlap,
    )


def in_full(header: dict[str, Any]) -> dict[str, Any]:
    """Add newer fields to a run's header; their defaults do not change its network."""
    try:
        kind = NETWORKS[header["architecture"]][1]
        return {**header, "config": {**asdict(kind()), **header["config"]}}
    except (LookupError, TypeError):  # it is none, and so not that of any network
        return header
