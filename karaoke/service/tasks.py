"""Jobs of the queue as tasks of the engine: those of the command line, and what a page needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from karaoke.audio import AudioReader, Block, Samples, Spool
from karaoke.audio.blocks import Warn
from karaoke.files import PartFile, writing_to
from karaoke.jobs.aligning import Listening, Words, listen
from karaoke.jobs.analysing import AnalyseTask
from karaoke.jobs.splitting import SplitTask, fill_spools
from karaoke.jobs.stems import STEMS
from karaoke.jobs.task import Tools
from karaoke.making.mixes import part_of
from karaoke.service import words as words_files
from karaoke.service.limits import check_length
from karaoke.service.media import write_peaks, write_player


@dataclass
class PrepareTask(SplitTask):
    """Split a song; besides its stems, write what a page plays and draws.

    ``longest_seconds`` is the longest song that is taken, whatever its file declares.
    """

    longest_seconds: float = 3600.0

    @property
    def spool_count(self) -> int:
        """How often the song lies on the disk while it is worked on."""
        return len(STEMS)

    def compose(
        self, reader: AudioReader, tools: Tools, files: ExitStack, warn: Warn
    ) -> Mapping[str, Samples]:
        """Separate the song."""
        check_length(reader.declared_seconds, self.longest_seconds)
        folder = self.job.manifest.parent
        spools = {stem: Spool(folder, reader.channels, files) for stem in STEMS}
        fill_spools(spools, reader, self.measured(reader), tools, warn)
        return spools

    def measured(self, reader: AudioReader) -> Iterator[Block]:
        """Yield the song as long as it is not too long."""
        for block in reader.blocks():
            check_length(reader.samples_read / reader.sample_rate, self.longest_seconds)
            yield block

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
        """Write what is played, and the outlines."""
        with writing_to(parts["player"].target):
            write_player(
                parts["player"].path,
                [part_of(spools[stem], 0, spools[stem].frames, tools.check) for stem in STEMS],
                layout=reader.layout,
                channels=reader.channels,
                sample_rate=reader.sample_rate,
            )
        with writing_to(parts["peaks"].target):
            write_peaks(parts["peaks"].path, spools, reader.sample_rate, tools)


@dataclass
class AlignTask(AnalyseTask):
    """Find in the voice of a song when its words are sung.

    ``wanted`` says which times are to be found.
    """

    wanted: Listening = "words"
    heard: Words | None = field(default=None, init=False, repr=False, compare=False)

    def hear(self, sounds: Mapping[str, Any], warn: Warn) -> None:
        """Listen to the voice."""
        self.heard = listen(
            self.lyrics,
            self.wanted,
            sounds["vocals"],
            sounds["instrumental"],
            warn,
            language=self.settings.language,
            song=self.job.source,
        )

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
        """Write the words with their times."""
        assert self.heard is not None
        doubtful = self.heard.facts.get("doubtful_lines", [])
        words_files.write(parts["words"].path, self.heard.lyrics, doubtful)

    def facts(
        self, spools: Mapping[str, Samples], residual: float | None, tools: Tools
    ) -> dict[str, Any]:
        """Give what was found."""
        assert self.heard is not None
        return {"lyrics": self.heard.as_object()}
