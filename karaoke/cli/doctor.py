"""``karaoke doctor``: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import typer

from karaoke import __version__
from karaoke.cli.defaults import default_model
from karaoke.cli.output import print_json, print_paragraph
from karaoke.cli.parameters import AsJson, PlainDebug
from karaoke.errors import ExitCode, KaraokeError
from karaoke.store.catalogue import (
    DEFAULT_MODEL,
    downloaded_models,
    find_entry,
    find_model,
    shipped_models,
    verify,
)

#: Free bytes below which longer songs will not fit.
LITTLE_SPACE = 2e9
#: Filters of ffmpeg that `karaoke make` and `karaoke analyse` have a use for.
FILTERS = {"rubberband": "--key and --tempo", "ebur128": "--loudness",
           "ass": "films, pictures and tutorials"}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Parameters
    ----------
    name
        What was checked.
    status
        ``ok``, ``warning`` or ``problem``.
    detail
        What was found.
    remedy
        What to do, unless it is ok.
    """

    name: str
    status: str
    detail: str
    remedy: str = ""


def doctor(context: typer.Context, json_: AsJson = False, debug: PlainDebug = False) -> None:
    """Check Python, torch, the device, ffmpeg, the models and the disk.

    The exit code is 0 if songs can be split and 69 if not.
    """

    def look_at_default() -> Iterator[Finding]:
        return look_at_choice(*default_model(context))

    findings = [finding for look in (*LOOKS, look_at_default) for finding in guarded(look)]
    if json_:
        print_json({"version": __version__, "findings": [asdict(f) for f in findings]})
    else:
        for finding in findings:
            mark = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}[finding.status]
            print_paragraph(f"{mark}  {finding.name}: {finding.detail}", indent=9)
            if finding.remedy:
                print_paragraph(f"{'':9}{finding.remedy}", indent=9)
    if any(finding.status == "problem" for finding in findings):
        raise typer.Exit(int(ExitCode.UNAVAILABLE))


def guarded(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Turn any error during a check into a finding."""
    try:
        yield from look()
    except KaraokeError as error:
        yield Finding(look.__name__.removeprefix("look_at_"), "problem", error.message, error.hint)
    except Exception as error:
        name = look.__name__.removeprefix("look_at_")
        yield Finding(name, "problem", f"{type(error).__name__}: {error}", "Reinstall karaoke.")


def look_at_python() -> Iterator[Finding]:
    """Report which Python this is."""
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def look_at_torch() -> Iterator[Finding]:
    """Report which torch this is, and whether its device computes the same as the CPU."""
    import torch

    from karaoke.separation.cores import usable_cores
    from karaoke.separation.devices import choose_device

    device, reason = choose_device("auto")
    yield Finding("torch", "ok", f"{torch.__version__}, {usable_cores()} cores")
    probe = torch.linspace(-1, 1, 64).reshape(8, 8)
    there = (probe.to(device) @ probe.T.to(device)).cpu()
    if torch.allclose(there, probe @ probe.T, atol=1e-4):
        yield Finding("device", "ok", f"{device} ({reason})")
    else:
        remedy = "Use --device cpu, and update the driver."
        yield Finding("device", "problem", f"{device} computes wrong numbers", remedy)


def look_at_ffmpeg() -> Iterator[Finding]:
    """Report which ffmpeg is used, and what it can write."""
    from karaoke.audio import FORMATS
    from karaoke.audio.ffmpeg import INSTALL, built_with, find_ffmpeg, version_of

    path = find_ffmpeg()
    yield Finding("ffmpeg", "ok", f"version {version_of(path) or '(development build)'} at {path}")
    wanted = {entry.encoder for entry in FORMATS.values() if entry.encoder}
    missing = sorted(wanted - built_with(path, "encoders"))
    if missing:
        yield Finding("encoders", "warning", f"missing: {', '.join(missing)}", INSTALL)
    else:
        yield Finding("encoders", "ok", ", ".join(sorted(wanted)))
    without = [
        f"{use} ({name})"
        for name, use in FILTERS.items()
        if name not in built_with(path, "filters")
    ]
    if without:
        yield Finding("filters", "warning", f"not possible: {', '.join(without)}", INSTALL)
    else:
        yield Finding("filters", "ok", ", ".join(FILTERS))


def look_at_words() -> Iterator[Finding]:
    """Report what words are drawn in, and with what help they are aligned."""
    from karaoke.analysis.acoustics import recogniser_version
    from karaoke.making.font import Font

    font = Font()
    yield Finding("font", "ok", f"{font.name} at {font.path}")
    recogniser = recogniser_version()
    if recogniser:
        yield Finding("alignment", "ok", f"pocketsphinx {recogniser} helps with English")
    else:
        helped = "without a speech recogniser; pip install 'karaoke[align]' adds one for English"
        yield Finding("alignment", "ok", helped)


def look_at_models() -> Iterator[Finding]:
    """Check whether the shipped models are intact."""
    from karaoke.files import checksum
    from karaoke.separation.checkpoints import load_checkpoint

    models = shipped_models()
    if DEFAULT_MODEL not in models:
        yield Finding("models", "problem", f"no {DEFAULT_MODEL}", "Reinstall karaoke.")
    for name, path in sorted(models.items()):
        _, header = load_checkpoint(path)
        size = path.stat().st_size / 1e6
        facts = f"{size:.1f} MB, SHA-256 {checksum(path)[:12]}, stems {', '.join(header.stems)}"
        yield Finding(f"model {name}", "ok", facts)


def look_at_downloads() -> Iterator[Finding]:
    """Check whether downloaded and imported models are unchanged."""
    for name, path in sorted(downloaded_models().items()):
        try:
            known = verify(name)
        except KaraokeError as error:
            yield Finding(f"model {name}", "warning", error.message, error.hint)
            continue
        facts = f"{path.stat().st_size / 1e6:.1f} MB, downloaded to {path}"
        if not known:
            facts += ", no checksum known"
        elif find_entry(name).checksums == "partial":
            facts += ", from a partly verified download"
        yield Finding(f"model {name}", "ok", facts)


def look_at_choice(name: str, origin: str) -> Iterator[Finding]:
    """Check whether the default model is here, and tell what makes it the default."""
    where = f", set by {origin}" if origin else ""
    from karaoke.separation.headers import read_header

    try:
        read_header(find_model(name))
    except KaraokeError as error:
        remedy = f"{error.hint} Or choose another: karaoke models use {DEFAULT_MODEL}."
        yield Finding("default model", "problem", f"{error.message}{where}", remedy)
    else:
        yield Finding("default model", "ok", f"{name}{where}")


def look_at_disk() -> Iterator[Finding]:
    """Report how much space there is for results and for temporary files."""
    for name, folder in (("here", "."), ("temporary files", tempfile.gettempdir())):
        free = shutil.disk_usage(folder).free
        detail = f"{free / 1e9:.1f} GB free in {folder}"
        if free < LITTLE_SPACE:
            yield Finding(f"disk, {name}", "warning", detail, "Free some space.")
        else:
            yield Finding(f"disk, {name}", "ok", detail)


LOOKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    look_at_python,
    look_at_torch,
    look_at_ffmpeg,
    look_at_words,
    look_at_models,
    look_at_downloads,
    look_at_disk,
)
