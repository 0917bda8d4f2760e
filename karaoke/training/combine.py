"""Let models vote: ``python -m karaoke.training.combine MEMBER... OUT``.

Makes one checkpoint of several of ``band_split_bilstm``, such as runs of one recipe with different
seeds; a mean is taken of their masks, as :mod:`karaoke.networks.band_split_ensemble` says.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from karaoke.checkpoints import build_network, load_checkpoint, save_checkpoint
from karaoke.errors import KaraokeError, ModelError


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("members", nargs="+", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--exponent", type=float, default=1.0, help="of the mean; default 1")
    arguments = parser.parse_args()
    try:
        combine(arguments.members, arguments.out, arguments.exponent)
    except KaraokeError as error:
        raise SystemExit(f"error: {error}") from error
