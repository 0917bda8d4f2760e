"""What a process decides before it imports torch: how it handles memory, and what it leaves out."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from importlib.metadata import version
from types import ModuleType

#: Objects that Python makes before it looks for garbage. Importing torch makes many and leaves no
#: garbage; with the usual 700, looking for it takes a tenth of the time.
OBJECTS = 50_000
#: Bytes of an array that goes back to the system at once, where glibc would keep what was freed.
#: With twice as many, `split` takes 50 MB more and, where the system has large pages, a tenth less
#: time.
LARGE_BYTES = 4_000_000
#: Pools that threads take smaller arrays from: with one for each, none uses what another freed.
POOLS = 1
#: Bytes of that pool that are kept for the next array.
KEPT_BYTES = 1 << 27
#: Makes torch ask for large arrays in pages of two megabytes: a tenth less time.
LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
#: The options' numbers in glibc's ``malloc.h``.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
#: Python code for tensors without data, for torch.compile and the like: a quarter of torch's start.
UNUSED = "torch._meta_registrations"
#: Versions that are known to do without it.
TRIED = "2.13."


def set_up_memory() -> None:
    """Set up garbage collection and the allocation of large arrays."""
    gc.set_threshold(OBJECTS)
    if sys.platform == "linux":
        os.environ.setdefault(LARGE_PAGES, "1")
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl, for one, has none
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
            mallopt(M_ARENA_MAX, POOLS)
            mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def import_torch() -> None:
    """Import torch without a part that running a network never uses.

    For commands that only separate: ``torch.compile`` would need the part to be imported first.
    Of a torch with which this was not tried, nothing is left out.
    """
    if "torch" in sys.modules or not version("torch").startswith(TRIED):
        return
    sys.modules[UNUSED] = ModuleType(UNUSED)
    try:
        import torch
    finally:
        del sys.modules[UNUSED]
    vars(torch).pop(UNUSED.removeprefix("torch."), None)
