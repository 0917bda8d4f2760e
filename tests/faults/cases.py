"""All cases: importing the modules enters them."""

from __future__ import annotations

from tests.faults import (  # noqa: F401 (they enter their cases)
    commands,
    filesystems,
    inputs,
    making,
    outputs,
    processes,
    sources,
    tags,
    training,
)
from tests.faults.bench import CASES

__all__ = ["CASES"]
