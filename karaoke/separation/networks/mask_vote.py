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
from karaoke.separation.networks.masking import MaskingNetwork
from karaoke.separation.networks.spleeter_unet import SpleeterUNet, SpleeterUNetConfig
from karaoke.separation.spectral import Stft

#: A vote gains little from the fifth member on.
MOST_MEMBERS = 64
#: Who may vote: networks with ``masks`` of a spectrogram.
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
        The fields of its config.
    weight
        Of its masks in the mean, above zero.
    """

    architecture: str = "band_split_bilstm"
    config: dict[str, Any] = field(default_factory=dict)
    weight: Annotated[float, Within(0, 1000, open_low=True)] = 1.0

    def shape(self, place: str) -> Any:
        """Give its config, checked; ``place`` names it in errors."""
        if self.architecture not in VOTERS:
            raise ModelError(
                f"{place}: {self.architecture!r} cannot vote",
                hint=f"Choose of {', '.join(VOTERS)}.",
            )
        kind = VOTERS[self.architecture][1]
        return kind(**check_fields(kind, self.config, f"{place}."))


@dataclass(frozen=True)
class MaskVoteConfig:
    """Shape of a :class:`MaskVote`.

    Parameters
    ----------
    members
        For each, the fields of a :class:`Voter`.
    exponent
        Of the power mean of the masks, above zero and finite. One is the arithmetic mean; the
        lower, the more of the members have to hear a voice for it to be let through: less leaks
        where nobody sings.

    Raises
    ------
    ModelError
        There are no members or too many, they differ in their transform, or the exponent is not as
        above.
    """

    members: tuple[dict[str, Any], ...] = ({},)
    exponent: Annotated[float, Within(0, 1000, open_low=True)] = 1.0

    def __post_init__(self) -> None:
        """Refuse members that do not go together."""
        if len(self.members) > MOST_MEMBERS:
            raise ModelError(f"{len(self.members)} members, of at most {MOST_MEMBERS}")
        if len({(shape.n_fft, shape.hop_length) for shape in self.shapes}) != 1:
            raise ModelError("the members of a vote need one transform in common")
        if not 0 < self.exponent < math.inf:
            raise ModelError(f"the exponent of a mean is above zero and finite: {self.exponent}")

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
    """Average the masks of networks that were trained apart.

    Networks that learned apart err in different places; where they disagree, the average is nearer
    to the expected mask than most of them are. A song is transformed once for all.

    Parameters
    ----------
    config
        Its members.
    sample_rate, channels, stems
        As for each of them.

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
        # Every member standardises what it hears by statistics of its own.
        del self.input_mean, self.input_scale
        self.exponent = config.exponent
        self.weights = [voter.weight for voter in config.voters]
        self.members = nn.ModuleList(
            VOTERS[voter.architecture][0](
                shape, sample_rate=sample_rate, channels=channels, stems=stems
            )
            for voter, shape in zip(config.voters, config.shapes, strict=True)
        )

    def __iter__(self) -> Iterator[MaskingNetwork]:
        """Iterate over the members, all of which have masks."""
        return iter(cast(list[MaskingNetwork], self.members))

    def keep(self, votes: int) -> None:
        """Go on with the first members alone: faster, and worse."""
        self.members, self.weights = self.members[:votes], self.weights[:votes]

    @torch.no_grad()
    def calibrate(self, mixture: Tensor) -> None:
        """Let every member set its input statistics from a batch of mixtures ``(B, C, N)``."""
        for member in self:
            if isinstance(member, MaskingNetwork):
                member.calibrate(mixture)

    def masks(self, spectrogram: Tensor) -> Tensor:
        """Estimate the masks of a complex spectrogram ``(B, C, F, T)``: ``(B, S, C, F, T)``."""
        total = spectrogram.new_zeros((), dtype=torch.float32)
        for member, weight in zip(self, self.weights, strict=True):
            total = total + weight * member.masks(spectrogram).float() ** self.exponent
        return (total / sum(self.weights)) ** (1.0 / self.exponent)
