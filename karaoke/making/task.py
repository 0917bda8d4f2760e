"""Make the singer's version of one song, from file to file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from karaoke.analysis.song import SongFacts, analyse
from karaoke.analysis.sounds import Sound
from karaoke.analysis.wording import put_words
from karaoke.audio import AudioReader, Block, Samples, Spool, Tags, output_format
from karaoke.audio.blocks import Warn
from karaoke.audio.filtering import shifted
from karaoke.errors import UsageError
from karaoke.files import PartFile
from karaoke.jobs.aligning import Words, listen
from karaoke.jobs.splitting import SplitTask, fill_spools
from karaoke.jobs.stems import STEMS, read_stems
from karaoke.jobs.task import Tools
from karaoke.lyrics import Lyrics, Timeline
from karaoke.lyrics.languages import language_code
from karaoke.making.films import Film, Studio
from karaoke.making.hearing import (
    chord_names,
    clicks,
    count_in,
    in_key,
    key_for,
    retagged,
    speed_for,
    summary,
)
from karaoke.making.mixes import Mix, Part, between, gain_to, part_of
from karaoke.making.outputs import kinds_among, lacks_pitches, write_all
from karaoke.making.settings import MakeSettings
from karaoke.making.verifying import Wanted, verify

#: What the model hears of the song before and after an excerpt, so that its ends sound as they do
#: in the whole song.
CONTEXT_SECONDS = 5.0
#: More samples than any song has.
ENDLESS = 1 << 62


@dataclass
class MakeTask(SplitTask):
    """Separate a song, move band and voice to the singer's key and tempo, and mix them.

    Parameters are those of :class:`karaoke.jobs.splitting.SplitTask`; of the job's outputs,
    ``karaoke`` is the sound, the others are those of :data:`karaoke.making.outputs.KINDS`. With
    neither key nor tempo changed, the band alone is the instrumental of ``karaoke split``, and
    with the voice at 0 dB it is the song, sample by sample. If ``verified``, what was written is
    decoded and measured.
    """

    settings: MakeSettings
    film: Film | None = None
    verified: bool = False
    _source: Mix | None = field(default=None, init=False, repr=False, compare=False)
    _proof: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _found: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _heard: SongFacts | None = field(default=None, init=False, repr=False, compare=False)
    _semitones: float | None = field(default=None, init=False, repr=False, compare=False)
    _tempo: float | None = field(default=None, init=False, repr=False, compare=False)
    _lead_in: float = field(default=0.0, init=False, repr=False, compare=False)

    def from_anywhere(self) -> MakeTask:
        """Return the same task with absolute paths, those of the film among them."""
        film = None if self.film is None else self.film.from_anywhere()
        return replace(self, job=self.job.from_anywhere(), film=film)

    def check_channels(self, channels: int) -> None:
        """Refuse more channels than all that is to be written can hold."""
        super().check_channels(channels)
        for kind in kinds_among(self.job.outputs):
            if kind.sound is not None:
                output_format(kind.sound(self.chosen.extension)).check_channels(channels)

    @property
    def needs_model(self) -> bool:
        """Whether the song is to be separated."""
        return not self.settings.stems_from

    @property
    def reads_all(self) -> bool:
        """Whether the song is read to its end."""
        return self.needs_model and self.span[1] is None

    @property
    def spool_count(self) -> int:
        """How often the song lies on the disk: the stems, and perhaps the stems as moved."""
        return len(self.filled) + (len(self.heard) if self.is_moved else 0)

    @property
    def is_moved(self) -> bool:
        """Whether the key or the tempo changes."""
        unknown = self.settings.is_open and self._heard is None
        return self.semitones != 0 or self.tempo != 1 or unknown

    @property
    def semitones(self) -> float:
        """By how much the key changes, as far as it is known."""
        return self.settings.semitones if self._semitones is None else self._semitones

    @property
    def tempo(self) -> float:
        """By which factor the tempo changes, as far as it is known."""
        return self.settings.tempo if self._tempo is None else self._tempo

    @property
    def is_analysed(self) -> bool:
        """Whether any wish takes knowing the song's beats, chords or melody."""
        wishes = self.settings
        return wishes.is_open or wishes.count_in > 0 or wishes.chords or self.lacks_pitches

    @property
    def lacks_pitches(self) -> bool:
        """Whether an output takes the pitches of the words, and none of them has one."""
        return lacks_pitches(self.film, self.job.outputs)

    @property
    def gains(self) -> dict[str, dict[str, float]]:
        """Factors of the stems in all mixes that are wanted; the singer's comes first."""
        levels_db = {"vocals": self.settings.guide_db, "instrumental": self.settings.band_db}
        known: dict[str, dict[str, float]] = {
            "karaoke": {s: 10 ** (db / 20) for s, db in levels_db.items() if db is not None},
            "original": {"vocals": 1.0, "instrumental": 1.0},
            "instrumental": {"instrumental": 1.0},
            "vocals": {"vocals": 1.0},
        }
        outputs = self.job.outputs
        films = {} if self.film is None else self.film.tracks
        wanted = {name for kind, names in films.items() if kind in outputs for name in names}
        wanted |= {name for kind in kinds_among(outputs) for name in kind.mixes}
        return {name: known[name] for name in known if name == "karaoke" or name in wanted}

    @property
    def heard(self) -> list[str]:
        """The stems that any of the mixes needs."""
        return [stem for stem in STEMS if any(stem in mix for mix in self.gains.values())]

    @property
    def filled(self) -> list[str]:
        """The stems that are kept on the disk: to be heard, or to be listened to."""
        wishes = self.settings
        listened = wishes.align != "none" or wishes.singer_range is not None or self.lacks_pitches
        return list(STEMS) if listened else self.heard

    @property
    def needs_all(self) -> bool:
        """Whether the whole song is separated, since no line says where in it an excerpt is."""
        lyrics = None if self.film is None else self.film.lyrics
        unknown = lyrics is not None and lyrics.timing == "none"
        return unknown and self.settings.align in ("lines", "words")

    def compose(
        self, reader: AudioReader, tools: Tools, files: ExitStack, warn: Warn
    ) -> Mapping[str, Samples]:
        """Make the mixes, by way of the stems."""
        rate = reader.sample_rate
        stems = {stem: self.spool(reader, files) for stem in self.filled}
        start, stop = self.span
        first = round(start * rate)
        last = ENDLESS if stop is None else round(stop * rate)
        context = min(first, round(CONTEXT_SECONDS * rate))
        silence = list(self.silence(reader))
        if self.settings.stems_from:
            read_stems(Path(self.settings.stems_from), stems, reader, silence)
            context = first
        else:
            blocks = chain(silence, reader.blocks())
            begin, end = first - context, last + round(CONTEXT_SECONDS * rate)
            if self.needs_all:
                context, begin, end = first, 0, ENDLESS
            fill_spools(stems, reader, between(blocks, begin, end), tools, warn)
        frames = min(next(iter(stems.values())).frames - context, last - first)
        if frames <= 0:
            raise UsageError(
                f'"{self.job.source}": is over before the excerpt begins',
                hint="Choose an earlier --excerpt.",
            )
        zero = (first - context) / rate
        sounds = {
            stem: Sound(spool.read, spool.frames, rate, zero, tools.check)
            for stem, spool in stems.items()
        }
        self.listen(sounds, warn)
        if self.is_analysed:
            self.hear(sounds, warn)
        self.tune()
        stems = {stem: stems[stem] for stem in self.heard}
        karaoke = self.gains["karaoke"]
        self._source = Mix([Part(stems[s], gain, context) for s, gain in karaoke.items()], frames)
        if self.is_moved:
            stems = {
                stem: self.moved(
                    stem, part_of(spool, context, frames, tools.check), frames, reader, files
                )
                for stem, spool in stems.items()
            }
            context, frames = 0, next(iter(stems.values())).frames
        counted = self.counted_in(reader, warn)
        self._lead_in = counted.shape[1] / rate
        return {
            name: Mix(
                [Part(stems[stem], gain, context) for stem, gain in mix.items()],
                frames,
                counted if name == "karaoke" else np.zeros_like(counted),
            )
            for name, mix in self.gains.items()
        }

    def hear(self, stems: Mapping[str, Sound], warn: Warn) -> None:
        """Find the key and the tempo that are wanted."""
        wishes, called = self.settings, str(self.job.source)
        # The voice tells range and pitches, and takes as long as all the rest.
        is_sung = wishes.singer_range is not None or self.lacks_pitches
        voice = stems["vocals"] if is_sung else None
        facts = analyse(voice, stems["instrumental"])
        if wishes.bpm is not None:
            self._tempo = speed_for(wishes.bpm, facts, called)
        if wishes.singer_range is not None:
            self._semitones = key_for(wishes.singer_range, facts, called, warn)
        self._heard = facts
        if self.film is not None and wishes.chords:
            self.film = replace(self.film, chords=chord_names(facts, self.semitones))

    def tune(self) -> None:
        """Give the words pitches in the singer's key: those that they have, or that were heard."""
        film = self.film
        if film is None or film.lyrics is None:
            return
        if self.lacks_pitches and self._heard is not None:
            language = language_code(self.settings.language)
            worded = put_words(film.lyrics, self._heard.notes, language=language,
                               offset_seconds=film.offset_seconds)  # fmt: skip
            self.film = replace(film, sung=in_key(worded.lyrics, self.semitones))
            self._found = {**self._found, "syllables_on_notes": worded.on_notes}
        else:
            self.film = replace(film, lyrics=in_key(film.lyrics, self.semitones))

    def counted_in(self, reader: AudioReader, warn: Warn) -> Block:
        """Sound the clicks before the song, if there are any ``(channels, samples)``."""
        nothing = np.zeros((reader.channels, 0), np.float32)
        if not self.settings.count_in or self._heard is None:
            return nothing
        lyrics = None if self.film is None else self.film.lyrics
        timeline = self.timeline
        starts = [s.start_seconds for s in lyrics.syllables()] if lyrics is not None else []
        sung = [timeline.to_output(start) for start in starts if start is not None]
        first_line = min((start for start in sung if start >= 0), default=None)
        before = count_in(self.settings.count_in, self._heard, timeline, first_line, warn)
        return clicks(before, reader.sample_rate, reader.channels) if before else nothing

    @property
    def timeline(self) -> Timeline:
        """From the song's times to those of what is made."""
        start, end = self.span
        offset = 0.0 if self.film is None else self.film.offset_seconds
        return Timeline(start, self.tempo, self._lead_in, offset, end)

    def listen(self, stems: Mapping[str, Sound], warn: Warn) -> None:
        """Find the times of the words in the stems."""
        film, wanted = self.film, self.settings.align
        if film is None or film.lyrics is None or wanted == "none":
            return
        words = listen(
            film.lyrics,
            wanted,
            stems["vocals"],
            stems["instrumental"],
            warn,
            language=self.settings.language,
            song=self.job.source,
        )
        self.film, self._found = replace(film, lyrics=words.lyrics), words.facts

    def spool(self, reader: AudioReader, files: ExitStack) -> Spool:
        """Open an empty spool beside the outputs."""
        return Spool(self.job.manifest.parent, reader.channels, files)

    def silence(self, reader: AudioReader) -> Iterator[Block]:
        """Yield what is before the sound of a film whose picture begins earlier."""
        if self.film is not None and self.film.keeps_time:
            yield np.zeros(
                (reader.channels, round(reader.late_seconds * reader.sample_rate)), np.float32
            )

    def moved(
        self,
        stem: str,
        blocks: Iterator[Block],
        frames: int,
        reader: AudioReader,
        files: ExitStack,
    ) -> Spool:
        """Change key and tempo of a stem."""
        spool = self.spool(reader, files)
        for block in shifted(
            blocks,
            sample_rate=reader.sample_rate,
            channels=reader.channels,
            length=frames,
            semitones=self.semitones,
            tempo=self.tempo,
            kind="voice" if stem == "vocals" else "band",
        ):
            spool.append(block)
        return spool

    @property
    def span(self) -> tuple[float, float | None]:
        """Seconds of the song at which the excerpt begins and ends; None for the song's end."""
        return self.settings.excerpt or (0.0, None)

    def gain(self, spools: Mapping[str, Samples], sample_rate: int, warn: Warn) -> float:
        """Find the gain that gives the loudness that is wanted, and with which nothing clips."""
        wanted = self.settings.loudness_lufs
        found = (
            None if wanted is None else gain_to(wanted, list(spools.values()), sample_rate, warn)
        )
        return super().gain(spools, sample_rate, warn) if found is None else found

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
        """Write what is more than sound, and measure all of it."""
        film, timeline = self.film, self.timeline
        studio = Studio(
            reader,
            spools,
            gain,
            timeline,
            tools.progress,
            tools.check,
            files,
            self.chosen,
            self.tags(reader),
            {f"karaoke.{self.chosen.extension}": parts[n].path for n in parts if n == "karaoke"},
        )
        if film is not None:
            if film.lyrics is not None:
                self.look_over(film.lyrics, timeline, studio.seconds, warn)
            write_all(film, parts, studio)
        if self.verified:
            mix, source = spools["karaoke"], self._source
            assert isinstance(mix, Mix) and source is not None
            wanted = Wanted(
                mix, source, self.semitones, self.tempo, self.settings.voice_over_band_db
            )
            self._proof = verify(parts, wanted, film, studio, warn)

    def tags(self, reader: AudioReader) -> Tags:
        """Give the song's tags with the singer's key and tempo."""
        timed = self.timeline.of_sound == Timeline()
        return retagged(reader.tags, self.semitones, self.tempo, self._heard, keeps_time=timed)

    def look_over(self, lyrics: Lyrics, timeline: Timeline, seconds: float, warn: Warn) -> None:
        """Warn of what is odd about the words."""
        for warning in lyrics.warnings:
            warn(warning)
        late = [s.start_seconds for s in lyrics.syllables() if s.start_seconds is not None]
        if late and timeline.to_output(max(late)) > seconds + 1 and self.settings.excerpt is None:
            warn("its lyrics go on after its end; are they those of this song?")

    def facts(
        self, spools: Mapping[str, Samples], residual: float | None, tools: Tools
    ) -> dict[str, Any]:
        """Collect how it was mixed, and what its words are."""
        names = ("guide_db", "band_db", "loudness_lufs", "excerpt")
        mix = {name: getattr(self.settings, name) for name in names}
        mix |= {"semitones": self.semitones, "tempo": self.tempo, "lead_in_seconds": self._lead_in}
        facts: dict[str, Any] = {"mix": mix, "verified": self._proof or None}
        if self._heard is not None:
            facts["analysis"] = summary(self._heard)
        if self.film is not None and self.film.lyrics is not None:
            facts["lyrics"] = Words(self.film.lyrics, self._found).as_object()
        return facts
