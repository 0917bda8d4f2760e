"""The table of voices and music, known and new."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from karaoke.evaluation.metrics import GAIN_RANGE_DB
from karaoke.training.corpus import Recording
from karaoke.training.workshop.gap import COUNT, gains, purity, sources, table


class Left(nn.Module):
    """Takes what is on the left for the vocals."""

    def forward(self, mixture: Tensor) -> Tensor:
        """Silence the right channel."""
        return (mixture * torch.tensor([[1.0], [0.0]]))[:, None]


def test_sources_are_what_they_are_called(recordings: list[Recording]) -> None:
    voices, music = sources(recordings, 1.0, count=4)
    assert set(voices) == {"new songs' vocals", "known songs' vocals", "known voices"}
    for stretches in (*voices.values(), *music.values()):
        assert len(stretches) in (0, 4)  # of a kind that the corpus lacks there is none
        assert all(stretch.shape == (2, 44100) for stretch in stretches)
        assert all(stretch.abs().max() > 0.01 for stretch in stretches)
    again, _ = sources(recordings, 1.0, count=4)
    assert again["known voices"][3].equal(voices["known voices"][3])
    lines = table(Left(), voices, music).splitlines()
    assert len(lines) == 1 + len(voices) + 1
    assert lines[0].split("  ")[-1].strip() == "known instrumentals"


def test_gains_are_over_the_mixture() -> None:
    noise = torch.randn(COUNT, 4000)
    silent = torch.zeros(4000)
    voices = [torch.stack([row, silent]) for row in noise]
    music = [torch.stack([silent, row]) for row in noise.flip(0)]
    vocals, instrumental = gains(Left(), voices, music)
    assert vocals == instrumental == GAIN_RANGE_DB[1], "no gain counts as more"
    assert purity(Left(), music) > 60
    both = [v + m for v, m in zip(voices, music, strict=True)]
    assert abs(purity(Left(), both)) < 1, "half of the energy is gone"
    swapped, _ = gains(Left(), music, voices)
    assert swapped < 0
