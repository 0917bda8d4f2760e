"""Print pip constraints: each package that pyproject.toml names, at the lowest version it allows.

torch is left out: its old versions come only as builds for CUDA, of gigabytes.
"""

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib  # which every environment has

text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
for requirement in tomllib.loads(text)["project"]["dependencies"]:
    found = re.match(r"([\w-]+)>=([\w.]+)", requirement)
    assert found is not None, requirement
    if found[1] != "torch":
        print(f"{found[1]}=={found[2]}")
