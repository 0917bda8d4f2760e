"""Combine models into one that votes: ``karaoke workshop combine MEMBER... OUT``.

The members may be runs of one recipe with different seeds; ``networks.mask_vote`` takes the mean of
their masks (``--weights 0.7,0.3`` for a weighted mean). ``--member N ENSEMBLE OUT`` extracts a
member, for example to train it further; ``--half NETWORK OUT`` converts any checkpoint to half
precision; ``--between SHARE BEFORE AFTER OUT`` interpolates between a checkpoint and another that
was trained from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from karaoke.errors import ModelError
from karaoke.separation.checkpoints import build_network, load_checkpoint, save_checkpoint
from karaoke.separation.networks.mask_vote import MaskVote


def combine(
    members: Sequence[Path],
    out: Path,
    exponent: float = 1.0,
    weights: Sequence[float] | None = None,
) -> None:
    """Write a checkpoint whose masks are the mean of those of others.

    The weights are stored in half precision, which halves the file and changes masks far less than
    members differ.

    Parameters
    ----------
    members
        Checkpoints of kinds that can vote, with the same stems, rate and transform. Segments are
        those of the first one.
    out
        The checkpoint to write.
    exponent
        Exponent of the mean; see
        :class:`karaoke.separation.networks.mask_vote.MaskVoteConfig`.
    weights
        Weights of the members' masks; by default, all are equal.

    Raises
    ------
    ModelError
        A member cannot vote, or the members do not go together.
    """
    loaded = [load_checkpoint(path) for path in members]
    first = loaded[0][1]
    for path, (_, header) in zip(members, loaded, strict=True):
        alike = (header.stems, header.sample_rate, header.channels)
        if alike != (first.stems, first.sample_rate, first.channels):
            raise ModelError(
                f'"{path}": cannot vote with "{members[0]}"',
                hint="Choose models with the same stems, channels and sample rate.",
            )
    voters = [
        {"architecture": header.architecture, "config": header.config, "weight": float(weight)}
        for (_, header), weight in zip(loaded, weights or [1.0] * len(loaded), strict=True)
    ]
    config = {"members": voters, "exponent": exponent}
    vote = build_network(replace(first, architecture="mask_vote", config=config))
    states = [network.state_dict() for network, _ in loaded]
    vote.load_state_dict(
        {f"members.{i}.{name}": t for i, own in enumerate(states) for name, t in own.items()}
    )
    save_checkpoint(out, vote.half(), replace(first, architecture="mask_vote", config=config))


def take_out(vote: Path, out: Path, member: int) -> None:
    """Write a checkpoint of one member of a vote, counted from 1.

    Raises
    ------
    ModelError
        It is not a vote, or has no such member.
    """
    network, header = load_checkpoint(vote)
    members = list(network) if isinstance(network, MaskVote) else []
    if not 1 <= member <= len(members):
        raise ModelError(f'"{vote}": no member {member}', hint=f"It has {len(members)}.")
    own = header.config["members"][member - 1]
    if header.architecture == "band_split_ensemble":
        own = {"config": own}
    architecture = own.get("architecture", "band_split_bilstm")
    header = replace(header, architecture=architecture, config=own.get("config", {}))
    save_checkpoint(out, members[member - 1], header)


def halve(network: Path, out: Path) -> None:
    """Convert a checkpoint to half precision, which halves its size."""
    loaded, header = load_checkpoint(network)
    save_checkpoint(out, loaded.half(), header)


def interpolate(before: Path, after: Path, out: Path, share: float) -> None:
    """Write the weights that lie ``share`` of the way between those of two checkpoints.

    Halfway back to its former weights, a network often keeps what it learned from narrow data and
    regains what it forgot.

    Parameters
    ----------
    before, after
        Checkpoints of one architecture. Weights that the first lacks, such as those of a new part,
        are taken from the second.
    out
        The checkpoint to write, with the header of the second.
    share
        0 for the first, 1 for the second.

    Raises
    ------
    ModelError
        Their architectures or shapes differ.

    References
    ----------
    M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022 (arXiv 2109.01903).
    """
    (old, old_header), (new, header) = load_checkpoint(before), load_checkpoint(after)
    known, weights = old.state_dict(), new.state_dict()
    alike = all(known[name].shape == weights[name].shape for name in known.keys() & weights.keys())
    if old_header.architecture != header.architecture or not alike:
        raise ModelError(
            f'"{before}", "{after}": not two states of one network',
            hint="Choose one that was trained from the other.",
        )
    for name in known.keys() & weights.keys():
        if weights[name].is_floating_point():
            weights[name] = torch.lerp(known[name].float(), weights[name].float(), share)
    new.load_state_dict(weights)
    save_checkpoint(out, new, header)
