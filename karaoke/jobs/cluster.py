"""Prove that the workers of a cluster see the same files, and have what the work takes."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from karaoke import __version__
from karaoke.errors import ClusterError, KaraokeError
from karaoke.files import PartFile, checksum, writing_to
from karaoke.jobs.folders import output_folder
from karaoke.store.catalogue import find_model

try:
    import fcntl
except ImportError:  # pragma: no cover (Windows)
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import distributed

    from karaoke.jobs.task import Task

#: First bytes of a song that are compared.
COMPARED_BYTES = 1 << 20
#: What every worker must have, in the order in which it is told.
NEEDS = ("karaoke", "songs", "results", "model", "ffmpeg")


@dataclass(frozen=True)
class Probe:
    """What workers are asked.

    Parameters
    ----------
    written
        A file in the folder for results that the client wrote and has locked.
    secret
        What it holds.
    songs
        Songs and folders of them, with what :func:`fingerprint` says of them.
    model, weights_sha256
        The model and its checksum.
    """

    written: Path
    secret: str
    songs: tuple[tuple[Path, str], ...]
    model: str
    weights_sha256: str


@dataclass(frozen=True)
class Worker:
    """What a worker answered.

    Parameters
    ----------
    address, host
        Where it is.
    found
        What it has, by name: see :data:`NEEDS`, and ``locks``.
    lacks
        Why something is no good, by the same names.
    """

    address: str
    host: str
    found: dict[str, str]
    lacks: dict[str, str]

    @property
    def is_fit(self) -> bool:
        """Whether it can work on songs as this process would."""
        return not self.lacks.keys() & set(NEEDS)


def fingerprint(path: Path) -> str:
    """Describe a file by its size and its beginning, or a folder by its names; or say it is not."""
    try:
        if path.is_dir():
            names = sorted(os.fsencode(name) for name in os.listdir(path))
            return f"folder of {len(names)} {hashlib.sha256(b'/'.join(names)).hexdigest()}"
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(COMPARED_BYTES)).hexdigest()
        return f"file of {path.stat().st_size} {digest}"
    except OSError as error:
        return f"missing: {error.strerror}"


@contextmanager
def probing(out: Path, songs: Sequence[Path], model: str, weights_sha256: str) -> Iterator[Probe]:
    """Write a probe into the folder for results, which is made if there is none; then clean up.

    Parameters are those of :class:`Probe`, which is yielded; ``out`` is the folder.

    Raises
    ------
    WriteError, PermissionDeniedError, OutputExistsError
        Nothing can be written there.
    """
    out = out.absolute()
    missing = [path for path in (out, *out.parents) if not path.exists()]
    prints = tuple((path.absolute(), fingerprint(path)) for path in songs)
    with output_folder(out), PartFile(out / "probe") as part:
        secret = secrets.token_hex(16)
        with writing_to(part.path):
            part.path.write_text(secret, encoding="utf-8")
        try:
            yield Probe(part.path, secret, prints, model, weights_sha256)
        finally:
            for answer in out.glob(f"{part.path.name}-*"):
                answer.unlink(missing_ok=True)
    with suppress(OSError):
        for folder in missing:
            folder.rmdir()


def look_around(probe: Probe) -> Worker:
    """Answer a probe on a worker."""
    found, lacks = {"karaoke": __version__}, {}
    for name, look in {
        "songs": look_at_songs,
        "results": look_at_results,
        "locks": look_at_locks,
        "model": look_at_model,
        "ffmpeg": look_at_ffmpeg,
    }.items():
        try:
            found[name] = look(probe)
        except KaraokeError as error:
            lacks[name] = f"{error.message}. {error.hint}".strip()
        except OSError as error:
            lacks[name] = f"{error.filename}: {error.strerror}"
    return Worker("", platform.node(), found, lacks)


def look_at_songs(probe: Probe) -> str:
    """Compare the songs with what the client sees."""
    for path, seen in probe.songs:
        here = fingerprint(path)
        if here != seen:
            raise KaraokeError(
                f'"{path}": {told(here)} there, {told(seen)} here',
                hint="Mount the same folder at the same place.",
            )
    return f"{len(probe.songs)} seen"


def told(mark: str) -> str:
    """Shorten the checksum in a fingerprint, if there is one."""
    kind, _, digest = mark.rpartition(" ")
    return mark if mark.startswith("missing") else f"{kind} ({digest[:8]})"


def look_at_results(probe: Probe) -> str:
    """Read what the client wrote, and write an answer beside it."""
    if probe.written.read_text(encoding="utf-8") != probe.secret:
        raise KaraokeError(f'"{probe.written}": holds something else there')
    answer = probe.written.with_name(f"{probe.written.name}-{secrets.token_hex(6)}")
    answer.write_text(probe.secret, encoding="utf-8")
    return answer.name


def look_at_locks(probe: Probe) -> str:
    """Try to lock what the client has locked."""
    if fcntl is None:
        raise KaraokeError("none on this system", hint="Run nothing twice at once.")
    with probe.written.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "shared"
    raise KaraokeError("not shared with this machine", hint="Run nothing twice at once.")


def look_at_model(probe: Probe) -> str:
    """Compare the model's checksum."""
    path = find_model(probe.model)
    if checksum(path) != probe.weights_sha256:
        raise KaraokeError(f'"{path}": other weights', hint="Install the same model everywhere.")
    return probe.weights_sha256


def look_at_ffmpeg(_: Probe) -> str:
    """Find ffmpeg."""
    from karaoke.audio.ffmpeg import find_ffmpeg, version_of

    path = find_ffmpeg()
    return f"{version_of(path) or 'development'} at {path}"


def ask(client: distributed.Client, probe: Probe) -> Iterator[Worker]:
    """Ask all workers, one after another, and look for what they wrote."""
    for address in client.nthreads():
        try:
            answers = client.run(look_around, probe, workers=[address])
            worker: Worker = answers[address]
        except Exception as error:
            # It may have no karaoke at all, or one that is too old to be asked.
            said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            yield Worker(address, "", {}, {"karaoke": said})
            continue
        yield judged(address, worker, probe)


def require_fit(client: distributed.Client, task: Task, model: str) -> None:
    """Refuse workers that cannot do a task as this process would.

    One that fails at once would otherwise take song after song, and fail them all.

    Parameters
    ----------
    client
        Connected to them.
    task
        One of those that they are to do.
    model
        The model, with its absolute path if it is a file.

    Raises
    ------
    ClusterError
        One of them is not fit.
    """
    job = task.job
    if not job.outputs:
        return
    with probing(job.manifest.parent, [job.source], model, task.settings.weights_sha256) as probe:
        unfit = [worker for worker in ask(client, probe) if not worker.is_fit]
    if unfit:
        name, reason = next(iter(unfit[0].lacks.items()))
        raise ClusterError(
            f"{unfit[0].address}: {name}: {reason.rstrip('.')}",
            hint="See karaoke cluster check.",
        )


def judged(address: str, worker: Worker, probe: Probe) -> Worker:
    """Compare an answer with what is here."""
    found, lacks = dict(worker.found), dict(worker.lacks)
    if found["karaoke"] != __version__:
        lacks["karaoke"] = f"version {found['karaoke']}, here {__version__}"
    if "results" in found:
        answer = probe.written.with_name(found["results"])
        text = ""
        with suppress(OSError):
            text = answer.read_text(encoding="utf-8")
        if text != probe.secret:
            lacks["results"] = f'"{probe.written.parent}": what it writes there is not seen here'
        found["results"] = "seen and written"
    return Worker(address, worker.host, found, lacks)


def as_object(worker: Worker) -> dict[str, Any]:
    """Return a worker as a JSON object."""
    return {
        "address": worker.address,
        "host": worker.host,
        "fit": worker.is_fit,
        "found": worker.found,
        "lacks": worker.lacks,
    }
