"""Networks of one or several kinds that vote on the masks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, cast

import torch
from torch import Tensor, nn

from karaoke.errors import ModelError
from karaoke.separation.fields import Within, check_fields
from karaoke.separation.networks.band_split_bilstm import BandSplitBiLSTM, BandSplitConfig
from karaoke.separation.networks.masking import Masking, MaskingNetwork
from karaoke.separation.networks.spleeter_unet import SpleeterUNet, SpleeterUNetConfig
from karaoke.separation.spectral import Stft

#: Generous: a vote gains little from the fifth member on.
MOST_MEMBERS = 64
#: Networks that may vote: those with ``masks`` of a spectrogram.
VOTERS: dict[str, tuple[type[nn.Module], type[Any]]] = {
    "band_split_bilstm": (BandSplitBiLSTM, BandSplitConfig),
    "spleeter_unet": (SpleeterUNet, SpleeterUNetConfig),
}


@dataclass(frozen=True)
class Voter:
    """A member of a vote.

    Parameters
    ----------
    architecture
        A key of :data:`VOTERS`.
    config
        Fields of the architecture's config.
    weight
        Of the masks in the mean, above zero.
    """

    architecture: str = "band_split_bilstm"
    config: dict[str, Any] = field(default_factory=dict)
    weight: Annotated[float, Within(0, 1000, open_low=True)] = 1.0

    def shape(self, place: str) -> Any:
        """Return the checked config; ``place`` names it in errors."""
        if self.architecture not in VOTERS:
            raise ModelError(
                f"{place}: {self.architecture!r} cannot vote",
                hint=f"Choose {' or '.join(VOTERS)}.",
            )
        kind = VOTERS[self.architecture][1]
        return kind(**check_fields(kind, self.config, f"{place}."))


@dataclass(frozen=True)
class MaskVoteConfig:
    """Shape of a :class:`MaskVote`.

    Parameters
    ----------
    members
        The fields of a :class:`Voter` for each.
    exponent
        Of the power mean of the masks, above zero and finite. One is the arithmetic mean. The lower
        it is, the more members have to hear a voice to let it through, and the less leaks where
        nobody sings.

    Raises
    ------
    ModelError
        There are no members or too many, their transforms differ, or the exponent is out of range.
    """

    members: tuple[dict[str, Any], ...] = ({},)
    exponent: Annotated[float, Within(0, 1000, open_low=True)] = 1.0

    def __post_init__(self) -> None:
        """Reject members that do not go together."""
        if len(self.members) > MOST_MEMBERS:
            raise ModelError(f"{len(self.members)} members; at most {MOST_MEMBERS} are allowed")
        if len({(shape.n_fft, shape.hop_length) for shape in self.shapes}) != 1:
            raise ModelError("the members of a vote must share one transform")
        if not 0 < self.exponent < math.inf:
            raise ModelError(f"the exponent must be above zero and finite, not {self.exponent}")

    @cached_property
    def voters(self) -> list[Voter]:
        """The members."""
        return [
            Voter(**check_fields(Voter, member, f"members[{index}]."))
            for index, member in enumerate(self.members)
        ]

    @cached_property
    def shapes(self) -> list[Any]:
        """The members' configs."""
        return [voter.shape(f"members[{index}]") for index, voter in enumerate(self.voters)]


class MaskVote(MaskingNetwork):
    """Average the masks of networks that were trained separately.

    Such networks err in different places; where they disagree, the average is closer to the
    expected mask than most of them are. A song is transformed only once.

    References
    ----------
    L. K. Hansen and P. Salamon, "Neural network ensembles", IEEE TPAMI 12(10), 1990.
    """

    def __init__(
        self, config: MaskVoteConfig, *, sample_rate: int, channels: int, stems: tuple[str, ...]
    ) -> None:
        first = config.shapes[0]
        stft = Stft(first.n_fft, first.hop_length)
        super().__init__(stft, channels=channels, stems=stems, magnitude_exponent=1.0)
        # Every member standardises its input by its own statistics.
        del self.input_mean, self.input_scale
        self.exponent = config.exponent
        self.weights = [voter.weight for voter in config.voters]
        self.members = nn.ModuleList(
            VOTERS[voter.architecture][0](
                shape, sample_rate=sample_rate, channels=channels, stems=stems
            )
            for voter, shape in zip(config.voters, config.shapes, strict=True)
        )

    def __iter__(self) -> Iterator[Masking]:
        """Iterate over the members, all of which have ``masks``."""
        return iter(cast(list[Masking], self.members))

    def keep(self, votes: int) -> None:
        """Keep only the first members: faster, and worse."""
        self.members, self.weights = self.members[:votes], self.weights[:votes]

    @torch.no_grad()
    def calibrate(self, mixture: Tensor) -> None:
        """Set the input statistics of every member from a batch of mixtures ``(B, C, N)``."""
        for member in self:
            if isinstance(member, MaskingNetwork):
                member.calibrate(mixture)

    def masks(self, spectrogram: Tensor) -> Tensor:
        """Estimate the masks of a complex spectrogram ``(B, C, F, T)``: ``(B, S, C, F, T)``."""
        shares = (
            power(member.masks(spectrogram).float(), self.exponent) * (weight / sum(self.weights))
            for member, weight in zip(self, self.weights, strict=True)
        )
        total = next(shares)
        for share in shares:
            total.add_(share)
        return power(total, 1 / self.exponent)


def power(mask: Tensor, exponent: float) -> Tensor:
    """Raise a mask to a power; to the first it is the mask itself, not a copy."""
    return mask if exponent == 1 else mask**exponent
