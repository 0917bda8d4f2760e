"""Split one song, from file to files."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

import numpy as np

from karaoke.audio import (
    AudioReader,
    Block,
    OutputFormat,
    Samples,
    Spool,
    Tags,
    channel_groups,
    unspoken,
)
from karaoke.audio.blocks import Warn, silenced
from karaoke.errors import NotAudioError
from karaoke.files import (
    PartFile,
    checksum,
    locked,
    publish_all,
    writing_to,
)
from karaoke.jobs.encoding import verify, write_stems
from karaoke.jobs.folders import output_folder, sweep_at_times
from karaoke.jobs.manifest import SplitSettings, identify, make_manifest, with_earlier
from karaoke.jobs.planning import Job
from karaoke.jobs.task import Result, Space, Tools, check_outputs


@dataclass
class SplitTask:
    """Separate a song and write its stems, all or none; memory does not grow with its length.

    Parameters
    ----------
    job
        The plan, from :func:`karaoke.jobs.planning.plan`; the model must have its stems.
    settings
        Which audio stream to take, and the settings that go into the manifest.
    chosen
        Output format, from :func:`karaoke.audio.output_format`.
    overwrite
        Whether to replace outputs that exist.
    strict
        Whether a song that is damaged or shorter than it declares is an error.
    """

    job: Job
    settings: SplitSettings
    chosen: OutputFormat
    overwrite: bool = False
    strict: bool = False
    _song: OpenSong | None = field(default=None, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the open song, which belongs to this process."""
        return {**vars(self), "_song": None}

    def from_anywhere(self) -> SplitTask:
        """Return the same task with absolute paths."""
        return replace(self, job=self.job.from_anywhere())

    def open(self, stopped: Event | None) -> OpenSong:
        """Open the song, and remember the state of its file."""
        path = self.job.source
        identity = identify(path) if os.path.exists(path) else {}
        reader = AudioReader(path, stream=self.settings.stream, cancelled=stopped)
        try:
            self.check_channels(reader.channels)
        except BaseException:
            reader.close()
            raise
        return OpenSong(reader, identity)

    def check_channels(self, channels: int) -> None:
        """Refuse more channels than what is to be written can hold.

        Raises
        ------
        UsageError
            There are too many.
        """
        self.chosen.check_channels(channels)

    def estimate(self, stopped: Event, *, keep_open: bool) -> Space:
        """Open the song and estimate its stems' size; see :class:`karaoke.jobs.task.Task`."""
        self._song = self.open(stopped)
        reader = self._song.reader
        seconds = reader.declared_seconds or 0.0
        spool = 4 * seconds * reader.sample_rate * reader.channels
        each = self.chosen.size_bytes(seconds, reader.sample_rate, reader.channels)
        if not keep_open:
            self.close()
        return Space(spool * self.spool_count, each * len(self.job.outputs), seconds)

    def close(self) -> None:
        """Close the song."""
        if self._song is not None:
            self._song.reader.close()
            self._song = None

    def run(self, tools: Tools) -> Result:
        """Split the song; see :class:`karaoke.jobs.task.Task`."""
        started = time.perf_counter()
        try:
            check_outputs(self.job, self.overwrite)
            self._song = self._song or self.open(tools.stopped)
            with ExitStack() as files:
                return self._split(self._song, tools, files, started)
        finally:
            self.close()

    @property
    def needs_model(self) -> bool:
        """Whether the song is to be separated."""
        return True

    @property
    def reads_all(self) -> bool:
        """Whether the song is read to its end, so that one sees whether it has all of it."""
        return True

    @property
    def spool_count(self) -> int:
        """How often the song lies on the disk, uncompressed, while it is worked on."""
        return len(self.job.outputs)

    def compose(
        self, reader: AudioReader, tools: Tools, files: ExitStack, warn: Warn
    ) -> Mapping[str, Samples]:
        """Make what the outputs are to hold, by their names: the stems, as they are."""
        folder = self.job.manifest.parent
        spools = {stem: Spool(folder, reader.channels, files) for stem in self.job.outputs}
        fill_spools(spools, reader, reader.blocks(), tools, warn)
        return spools

    def gain(self, spools: Mapping[str, Samples], sample_rate: int, warn: Warn) -> float:
        """Find one factor for all outputs with which none clips; never louder than they are."""
        peak = max(spool.peak for spool in spools.values())
        if not self.chosen.clips or peak <= 1:
            return 1.0
        warn(f"all stems were lowered by {20 * np.log10(peak):.2f} dB to avoid clipping")
        return 1 / peak

    def add(
        self,
        parts: dict[str, PartFile],
        spools: Mapping[str, Samples],
        gain: float,
        reader: AudioReader,
        tools: Tools,
        files: ExitStack,
        warn: Warn,
    ) -> None:
        """Write the outputs that are more than sound: none."""

    def facts(
        self, spools: Mapping[str, Samples], residual: float | None, tools: Tools
    ) -> dict[str, Any]:
        """Collect what else there is to say: the residual, if all stems were written."""
        whole = set(spools) == set(tools.separator().stems)
        return {"residual_dbfs": residual if whole else None}

    def tags(self, reader: AudioReader) -> Tags:
        """Give the tags of what is written, to whose titles its name is added."""
        return reader.tags

    def seconds(self, reader: AudioReader, spools: Mapping[str, Samples]) -> float:
        """Tell how much music there was."""
        lengths = [reader.samples_read, *(spool.frames for spool in spools.values())]
        return max(lengths) / reader.sample_rate

    def warnings(self, reader: AudioReader) -> list[str]:
        """Tell what a listener might otherwise wonder about."""
        damage = reader.damage if self.reads_all else ""
        found = [said for said in (damage, *reader.remarks) if said]
        rate, extension = self.chosen.rate_for(reader.sample_rate), self.chosen.extension
        if rate != reader.sample_rate:
            found.append(f"{extension} cannot hold {reader.sample_rate} Hz; written at {rate} Hz")
        if nameless := unspoken(reader.layout, reader.channels):
            found.append(f"{extension} cannot say that its channels are {nameless}")
        if reader.non_finite:
            found.append(silenced(reader.non_finite))
        return found

    def _split(self, song: OpenSong, tools: Tools, files: ExitStack, started: float) -> Result:
        """Separate, encode, verify and publish."""
        job, chosen, reader = self.job, self.chosen, song.reader
        troubles = list(filter(None, [prepare(job, files)]))
        spools = self.compose(reader, tools, files, troubles.append)
        tools.check()
        if self.strict and (damage := reader.damage):
            raise NotAudioError(f'"{job.source}": {damage}', hint="Leave out --strict to go on.")
        gain = self.gain(spools, reader.sample_rate, troubles.append)
        parts = {stem: files.enter_context(PartFile(path)) for stem, path in job.outputs.items()}
        sounds = {name: parts[name] for name in spools if name in parts}
        lost = write_stems(sounds, spools, gain, reader, chosen, self.tags(reader), tools.check)
        self.add(parts, spools, gain, reader, tools, files, troubles.append)
        written = {name: spools[name] for name in sounds}
        checksums, residual = verify(sounds, written, gain, chosen)
        checksums |= {name: checksum(parts[name].path) for name in parts if name not in sounds}
        facts = publish_stems(job, self.settings, parts, checksums, song.identity)
        return Result(
            outputs=job.outputs,
            manifest=facts,
            seconds=self.seconds(reader, spools),
            elapsed_seconds=time.perf_counter() - started,
            warnings=[*self.warnings(reader), *troubles, *lost],
            facts={
                "sample_rate": reader.sample_rate,
                "channels": reader.channels,
                "gain": gain,
                **self.facts(spools, residual, tools),
            },
        )


@dataclass(frozen=True)
class OpenSong:
    """A song that is being read, and the identity of its file at that time."""

    reader: AudioReader
    identity: dict[str, Any]


def publish_stems(
    job: Job,
    settings: SplitSettings,
    parts: dict[str, PartFile],
    checksums: dict[str, str],
    identity: dict[str, Any],
) -> dict[str, Any]:
    """Give finished stems their names, then write their manifest and return its content."""
    sizes = {stem: part.path.stat().st_size for stem, part in parts.items()}
    facts = make_manifest(job, settings, sizes, checksums, identity)
    with PartFile(job.manifest) as note:
        with writing_to(job.manifest):
            whole = with_earlier(facts, job.manifest)
            note.path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
            # The old manifest must not describe a set that is half old and half new.
            job.manifest.unlink(missing_ok=True)
        publish_all([*parts.values(), note])
    return facts


def prepare(job: Job, files: ExitStack) -> str:
    """Lock the outputs, create their folders, and sweep what a killed process left there.

    Returns
    -------
    str
        Why they could not be locked; empty if they were.
    """
    trouble = files.enter_context(locked(job.outputs.values()))
    for path in {path.parent for path in (*job.outputs.values(), job.manifest)}:
        files.enter_context(output_folder(path))
        sweep_at_times(path)
    return trouble


def fill_spools(
    spools: dict[str, Spool],
    reader: AudioReader,
    blocks: Iterable[Block],
    tools: Tools,
    warn: Warn,
) -> None:
    """Run blocks of the song through the model and keep the wanted stems on the disk.

    They wait there because the common gain that keeps them from clipping is only known at the end
    of the song.
    """
    stream = tools.separator().stream(
        blocks,
        sample_rate=reader.sample_rate,
        groups=channel_groups(reader.layout, reader.channels),
        progress=lambda done: tools.progress(done, reader.declared_seconds),
        warn=warn,
    )
    for stems in stream:
        tools.check()
        for stem, spool in spools.items():
            spool.append(stems[stem])
