"""What suits a GPU: how many segments fit into its memory, and whether half precision is safe.

Both are measured once, on one segment of made-up sound, when a model is moved there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

#: Segments at a time where memory cannot be measured.
GPU_BATCH = 8
#: More at a time gains nothing, and their results have to lie in the computer's memory.
MOST_GPU_BATCH = 32
#: Share of the free memory that is used; the rest is for other programs, and for what does not
#: grow in step with the batch.
SHARE_OF_MEMORY = 0.6
#: Half precision may change the stems by so much, below the level of the song. A separation that
#: is wrong by 11 dB less than the vocals, as the best are, becomes worse by less than 0.001 dB.
SAFE_ERROR_DB = -50.0
#: What half precision is, by kind of device.
HALF = {"cuda": torch.float16, "cpu": torch.bfloat16}


@dataclass(frozen=True)
class Fit:
    """How to run a network on a device.

    Parameters
    ----------
    batch_size
        Segments at a time.
    half
        Whether in half precision.
    """

    batch_size: int = GPU_BATCH
    half: bool = False


def in_half_precision(network: nn.Module, mixture: Tensor) -> Tensor:
    """Run a network with its products in half precision; sums and transforms stay in single."""
    kind = mixture.device.type
    with torch.autocast(kind, dtype=HALF[kind]):
        estimates: Tensor = network(mixture)
    return estimates.float()


def probe(channels: int, length: int) -> Tensor:
    """Make a segment ``(1, C, N)`` that has a voice's harmonics with vibrato, and noise."""
    index = torch.arange(length) / 44100
    phase = 2 * math.pi * 220 * index + 3 * torch.sin(2 * math.pi * 5 * index)
    voice = sum((torch.sin(k * phase) / k for k in range(1, 12)), torch.zeros(length))
    noise = torch.randn(1, channels, length, generator=torch.Generator().manual_seed(0))
    return 0.1 * voice + 0.05 * noise


def error_db(estimates: Tensor, expected: Tensor, mixture: Tensor) -> float:
    """Return the level of the greatest difference among the stems, below that of the mixture."""
    difference = (estimates - expected).double().square().mean(dim=(0, 2, 3)).max().item()
    power = mixture.double().square().mean().item()
    if not math.isfinite(difference):
        return math.inf
    return 10 * math.log10(max(difference, 1e-30) / power)


def is_safe(network: nn.Module, mixture: Tensor, expected: Tensor) -> bool:
    """Return whether half precision gives nearly the same; not if the network cannot run in it."""
    try:
        estimates = in_half_precision(network, mixture)
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError:
        return False
    return error_db(estimates, expected, mixture) <= SAFE_ERROR_DB


@torch.inference_mode()
def fit_to_gpu(
    network: nn.Module, device: torch.device, *, channels: int, segment_length: int
) -> Fit:
    """Measure how a network that was moved to a GPU runs there best.

    Other devices than CUDA's neither tell how much memory they have nor are known to compute in
    half precision well; they get :data:`GPU_BATCH` segments at a time in single precision.
    """
    if device.type != "cuda":
        return Fit()
    mixture = probe(channels, segment_length).to(device)
    try:
        expected = network(mixture).float()
        needed = bytes_for(network, mixture, half=False)
        half = is_safe(network, mixture, expected)
        if half:
            needed = bytes_for(network, mixture, half=True)
    except torch.cuda.OutOfMemoryError:
        return Fit(1)
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return Fit(batch_for(free, needed), half)


def bytes_for(network: nn.Module, mixture: Tensor, *, half: bool) -> int:
    """Measure how much memory a segment takes beside the network, on CUDA."""
    before = torch.cuda.memory_allocated(mixture.device)
    torch.cuda.reset_peak_memory_stats(mixture.device)
    if half:
        in_half_precision(network, mixture)
    else:
        network(mixture)
    return torch.cuda.max_memory_allocated(mixture.device) - before


def batch_for(free_bytes: float, needed_bytes: float) -> int:
    """Return how many segments fit into free memory together: at least one."""
    fitting = int(SHARE_OF_MEMORY * free_bytes / max(needed_bytes, 1))
    return min(max(fitting, 1), MOST_GPU_BATCH)
