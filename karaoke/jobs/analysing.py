"""Hear one song through: separate it, and find its key, tempo, beats, chords and melody."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from karaoke.analysis.song import SongFacts, analyse
from karaoke.analysis.sounds import Sound
from karaoke.analysis.wording import put_words
from karaoke.analysis.writing import WRITERS, as_object
from karaoke.audio import AudioReader, Samples, Spool
from karaoke.audio.blocks import Warn
from karaoke.files import PartFile, writing_to
from karaoke.jobs.aligning import Listening, Words, listen
from karaoke.jobs.manifest import SplitSettings
from karaoke.jobs.splitting import OpenSong, SplitTask, fill_spools
from karaoke.jobs.stems import STEMS, read_stems
from karaoke.jobs.task import Result, Tools
from karaoke.lyrics.languages import language_code
from karaoke.lyrics.model import NO_LYRICS, Lyrics


@dataclass(frozen=True)
class AnalyseSettings(SplitSettings):
    """What the facts about a song depend on besides it.

    Parameters
    ----------
    stems_from
        Folder of stems that exist; empty to separate the song.
    separated
        Whether voice and band are told apart; without, there is no melody.
    words_sha256
        Of title, artist and the words that are put on the notes.
    offset_seconds
        How much later the words come than the lyrics say.
    align, language, recogniser
        What is found by listening to the voice, the language of the words, and the version of the
        recogniser.
    """

    command: str = "analyse"
    stems_from: str = ""
    separated: bool = True
    words_sha256: str = ""
    offset_seconds: float = 0.0
    align: Listening = "none"
    language: str = ""
    recogniser: str = ""


@dataclass
class AnalyseTask(SplitTask):
    """Find out what is in a song, and write it in the formats of the job's outputs, if any.

    ``lyrics`` are what is known of its words: at least title and artist, perhaps lines.
    """

    settings: AnalyseSettings
    lyrics: Lyrics = NO_LYRICS
    found: SongFacts | None = None
    stems: dict[str, Spool] = field(default_factory=dict, init=False, repr=False, compare=False)
    _told: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def needs_model(self) -> bool:
        """Whether the song is to be separated."""
        return self.settings.separated and not self.settings.stems_from

    @property
    def reads_all(self) -> bool:
        """Whether the song is read to its end."""
        return not self.settings.stems_from

    @property
    def spool_count(self) -> int:
        """How often the song lies on the disk while it is worked on."""
        return 2 if self.settings.separated else 1

    def _split(self, song: OpenSong, tools: Tools, files: ExitStack, started: float) -> Result:
        """Publish nothing where nothing is to be written."""
        if self.job.outputs:
            return super()._split(song, tools, files, started)
        troubles: list[str] = []
        self.compose(song.reader, tools, files, troubles.append)
        return Result(
            outputs={},
            manifest={"outputs": {}},
            seconds=self.seconds(song.reader, {}),
            elapsed_seconds=time.perf_counter() - started,
            warnings=[*self.warnings(song.reader), *troubles],
            facts=self.facts({}, None, tools),
        )

    def compose(
        self, reader: AudioReader, tools: Tools, files: ExitStack, warn: Warn
    ) -> Mapping[str, Samples]:
        """Hear the song; none of its sound is an output."""
        folder = self.job.manifest.parent if self.job.outputs else Path(tempfile.gettempdir())
        wanted = STEMS if self.settings.separated else STEMS[1:]
        spools = {stem: Spool(folder, reader.channels, files) for stem in wanted}
        if self.settings.stems_from:
            read_stems(Path(self.settings.stems_from), spools, reader, [])
        elif self.settings.separated:
            fill_spools(spools, reader, reader.blocks(), tools, warn)
        else:
            for block in reader.blocks():
                tools.check()
                spools["instrumental"].append(block)
        self.stems = spools
        sounds = {
            stem: Sound(spool.read, spool.frames, reader.sample_rate, check=tools.check)
            for stem, spool in spools.items()
        }
        self.hear(sounds, warn)
        return {}

    def hear(self, sounds: Mapping[str, Sound], warn: Warn) -> None:
        """Find out what is in the song."""
        heard = analyse(sounds.get("vocals"), sounds["instrumental"])
        self.found = replace(heard, lyrics=self.lyrics, name=self.job.source.name)
        if self.lyrics.lines and "vocals" in sounds:
            self.put_words(sounds, warn)

    def put_words(self, sounds: Mapping[str, Sound], warn: Warn) -> None:
        """Put the words on the notes that were found."""
        assert self.found is not None
        settings, words = self.settings, Words(self.lyrics)
        if settings.align != "none":
            words = listen(
                self.lyrics,
                settings.align,
                sounds["vocals"],
                sounds["instrumental"],
                warn,
                language=settings.language,
                song=self.job.source,
            )
        language = language_code(settings.language)
        worded = put_words(
            words.lyrics,
            self.found.notes,
            language=language,
            offset_seconds=settings.offset_seconds,
        )
        for warning in words.lyrics.warnings:
            warn(warning)
        count = sum(bool(syllable.text) for syllable in worded.lyrics.syllables())
        if settings.align == "none" and worded.on_notes < count / 2:
            where = f"{worded.on_notes} of {count} syllables"
            warn(f"only {where} begin when a note does; are its lyrics those of this song?")
        self.found = replace(self.found, notes=worded.notes, lyrics=worded.lyrics)
        self._told = {"lyrics": {**words.as_object(), "syllables_on_notes": worded.on_notes}}

    def gain(self, spools: Mapping[str, Samples], sample_rate: int, warn: Warn) -> float:
        """Change no level: no sound is written."""
        return 1.0

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
        """Write what was found."""
        assert self.found is not None
        for name, part in parts.items():
            with writing_to(part.target):
                part.path.write_bytes(WRITERS[name].write(self.found))

    def seconds(self, reader: AudioReader, spools: Mapping[str, Samples]) -> float:
        """Tell how much music was heard."""
        return super().seconds(reader, spools) if self.found is None else self.found.seconds

    def facts(
        self, spools: Mapping[str, Samples], residual: float | None, tools: Tools
    ) -> dict[str, Any]:
        """Give what was found."""
        assert self.found is not None
        return {"analysis": as_object(self.found), **self._told}
