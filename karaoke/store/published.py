"""Read configurations that others publish beside their weights: YAML or JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from karaoke.errors import ForeignModelError, NoInputError, UsageError

#: Published configurations have a few thousand bytes.
MOST_BYTES = 1_000_000
#: What Python's own writer puts before tuples; no other tag that names a Python type is read.
TUPLE = "tag:yaml.org,2002:python/tuple"


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration, without running code that its tags may ask for.

    Parameters
    ----------
    path
        YAML or JSON.

    Raises
    ------
    NoInputError
        There is no such file.
    UsageError
        It is YAML, and PyYAML is not installed.
    ForeignModelError
        It is neither, or asks for Python objects other than tuples.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise NoInputError(
            f'"{path}": {error.strerror or error}', hint="Check the name."
        ) from error
    try:
        if len(content) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
        text = content.decode("utf-8")
        config = json.loads(text) if text.lstrip().startswith("{") else parse_yaml(text)
        config = json.loads(json.dumps(config))  # what is no JSON is nothing that matters here
        if not isinstance(config, dict):
            raise ValueError("it holds no table")
    except ImportError as error:
        raise UsageError(
            f'"{path}": {error}', hint="Run pip install 'karaoke[import]', or convert it to JSON."
        ) from error
    except (ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ForeignModelError(
            f'"{path}": not a configuration ({reason})', hint="Use the one that was published."
        ) from error
    return config


def parse_yaml(text: str) -> Any:
    """Parse YAML of plain values and tuples.

    Raises
    ------
    ValueError
        It is not YAML, or has other tags.
    """
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Knows tuples, beside what is safe anyway."""

    Loader.add_constructor(TUPLE, Loader.construct_yaml_seq)
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(error) from error
