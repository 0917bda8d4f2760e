"""Let models vote: ``python -m karaoke.training.combine MEMBER... OUT``.

Makes one checkpoint of several of ``band_split_bilstm``, such as runs of one recipe with different
seeds; a mean is taken of their masks, as :mod:`karaoke.networks.band_split_ensemble` says. With
``--member N ENSEMBLE OUT`` it takes one of them out again, such as to train it further; with
``--half NETWORK OUT`` it writes one checkpoint of any kind in half precision.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from karaoke.checkpoints import build_network, load_checkpoint, save_checkpoint
from karaoke.errors import KaraokeError, ModelError
from karaoke.networks.band_split_ensemble import BandSplitEnsemble


def combine(members: Sequence[Path], out: Path, exponent: float = 1.0) -> None:
    """Write a checkpoint whose masks are the mean of those of others.

    The weights are stored in half precision, which halves the file and moves a mask by far less
    than members differ.

    Parameters
    ----------
    members
        Checkpoints of ``band_split_bilstm`` with the same stems, rate and transform.
    out
        Of the ensemble.
    exponent
        Of the mean, as in :class:`karaoke.networks.band_split_ensemble.BandSplitEnsembleConfig`.

    Raises
    ------
    ModelError
        They are of another architecture, or differ in what they have to have in common.
    """
    loaded = [load_checkpoint(path) for path in members]
    first = loaded[0][1]
    for path, (_, header) in zip(members, loaded, strict=True):
        if header.architecture != "band_split_bilstm" or replace(header, config={}) != replace(
            first, config={}
        ):
            raise ModelError(
                f'"{path}": cannot vote with "{members[0]}"',
                hint="Take models of band_split_bilstm with the same stems and segments.",
            )
    header = replace(
        first,
        architecture="band_split_ensemble",
        config={"members": [header.config for _, header in loaded], "exponent": exponent},
    )
    ensemble = build_network(header)
    weights = [network.state_dict() for network, _ in loaded]
    ensemble.load_state_dict(
        {f"members.{i}.{name}": t for i, own in enumerate(weights) for name, t in own.items()}
    )
    save_checkpoint(out, ensemble.half(), header)


def take_out(ensemble: Path, out: Path, member: int) -> None:
    """Write a checkpoint of one network of an ensemble, the first of which is number 1.

    Raises
    ------
    ModelError
        It is no ensemble, or has no such member.
    """
    network, header = load_checkpoint(ensemble)
    members = list(network) if isinstance(network, BandSplitEnsemble) else []
    if not 1 <= member <= len(members):
        raise ModelError(f'"{ensemble}": no member {member}', hint=f"It has {len(members)}.")
    config = header.config["members"][member - 1]
    header = replace(header, architecture="band_split_bilstm", config=config)
    save_checkpoint(out, members[member - 1], header)


def halve(network: Path, out: Path) -> None:
    """Write a checkpoint again in half precision: half as large, and as good to begin with."""
    loaded, header = load_checkpoint(network)
    save_checkpoint(out, loaded.half(), header)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("members", nargs="+", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--exponent", type=float, default=1.0, help="of the mean; default 1")
    parser.add_argument("--member", type=int, help="take this one out of an ensemble instead")
    parser.add_argument("--half", action="store_true", help="write one in half precision instead")
    arguments = parser.parse_args()
    try:
        if (arguments.half or arguments.member is not None) and len(arguments.members) > 1:
            parser.error("--half and --member take one checkpoint")
        if arguments.half:
            halve(arguments.members[0], arguments.out)
        elif arguments.member is None:
            combine(arguments.members, arguments.out, arguments.exponent)
        else:
            take_out(arguments.members[0], arguments.out, arguments.member)
    except KaraokeError as error:
        raise SystemExit(f"error: {error}") from error
