"""What is drawn of a song that was analysed: a picture to print, and a tutorial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from karaoke.analysis.song import SongFacts
from karaoke.analysis.sounds import Sound
from karaoke.analysis.writing import WRITERS, Writer
from karaoke.audio import AudioReader, Samples, output_format
from karaoke.audio.blocks import Warn
from karaoke.errors import UsageError
from karaoke.files import PartFile
from karaoke.jobs.analysing import AnalyseTask
from karaoke.jobs.task import Tools
from karaoke.lyrics import Timeline
from karaoke.making.films import Studio
from karaoke.making.font import Font
from karaoke.making.mixes import Mix, Part
from karaoke.making.printing import Print, Waves, peaks_of, write_print
from karaoke.making.tutorial import Tutorial, write_tutorial

#: Format of a tutorial's sound, and its only mix.
SOUND, SONG = "m4a", "original"
#: Letters of a title; tags may have any number.
LONGEST = 120


@dataclass(frozen=True)
class Subject:
    """What a drawing is made of.

    Parameters
    ----------
    facts
        What was heard in the song.
    sounds
        Its stems, or the song itself as the instrumental.
    studio
        What the song's task lends.
    title, artist
        What it is called.
    """

    facts: SongFacts
    sounds: Mapping[str, Sound]
    studio: Studio
    title: str
    artist: str

    @property
    def seconds(self) -> float:
        """How long the song is."""
        sound = self.sounds["instrumental"]
        return sound.frames / sound.sample_rate


def draw_picture(subject: Subject, part: PartFile) -> None:
    """Draw the song on pages."""
    voice = subject.sounds.get("vocals")
    waves = Waves(
        peaks_of(subject.sounds["instrumental"]), None if voice is None else peaks_of(voice)
    )
    drawn = Print(subject.facts, waves, Font(), subject.seconds, subject.title, subject.artist)
    write_print(part.path, drawn, subject.studio.check)


def draw_tutorial(subject: Subject, part: PartFile) -> None:
    """Draw the song as a film, with its own sound."""
    studio, seconds = subject.studio, subject.seconds
    heading = " - ".join(filter(None, (subject.title, subject.artist)))
    tutorial = Tutorial(subject.facts, Font(), seconds, heading)
    sound = studio.sound(SONG, SOUND, part)

    def progress(done: float) -> None:
        studio.progress(done, seconds)

    write_tutorial(part.path, tutorial, sound, progress, studio.check)


@dataclass(frozen=True)
class Drawer:
    """A kind of drawing: the extension of its files, what makes one, and whether it needs words."""

    extension: str
    draw: Callable[[Subject, PartFile], None]
    needs_words: bool = False


DRAWERS = {
    "picture": Drawer("png", draw_picture),
    "tutorial": Drawer("tutorial.mp4", draw_tutorial),
}
#: All that can be written of a song that was analysed.
KINDS: dict[str, Writer | Drawer] = {**WRITERS, **DRAWERS}


@dataclass
class DrawTask(AnalyseTask):
    """Find out what is in a song, and write and draw it."""

    def check_channels(self, channels: int) -> None:
        """Refuse more channels than a film can hold."""
        super().check_channels(channels)
        try:
            if "tutorial" in self.job.outputs:
                output_format(SOUND).check_channels(channels)
        except UsageError as error:
            hint = "Leave tutorial out of --write."
            raise UsageError(f'"{self.job.source}": {error.message}', hint=hint) from error

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
        """Write what was found, then draw it."""
        written = {name: part for name, part in parts.items() if name not in DRAWERS}
        super().add(written, spools, gain, reader, tools, files, warn)
        drawn = [name for name in DRAWERS if name in parts]
        if drawn:
            subject = self.subject(reader, tools, files)
            self.look_over(subject, warn)
            for name in drawn:
                DRAWERS[name].draw(subject, parts[name])

    def subject(self, reader: AudioReader, tools: Tools, files: ExitStack) -> Subject:
        """Put together what drawings are made of."""
        assert self.found is not None
        frames = min(spool.frames for spool in self.stems.values())
        song = Mix([Part(spool) for spool in self.stems.values()], frames)
        studio = Studio(reader, {SONG: song}, 1.0, Timeline(), tools.progress, tools.check, files,
                        output_format(SOUND), reader.tags, {})  # fmt: skip
        sounds = {
            stem: Sound(spool.read, frames, reader.sample_rate, check=tools.check)
            for stem, spool in self.stems.items()
        }
        title = self.lyrics.title or Path(self.job.label).stem
        return Subject(self.found, sounds, studio, title[:LONGEST], self.lyrics.artist[:LONGEST])

    def look_over(self, subject: Subject, warn: Warn) -> None:
        """Warn of what cannot be written, and of what there is nothing to draw of."""
        words = "".join(note.text for note in subject.facts.notes)
        try:
            Font().check(f"{subject.title}{subject.artist}{words}", "what is drawn")
        except UsageError as error:
            warn(error.message)
        if not subject.facts.notes and not any(c.root is not None for c in subject.facts.chords):
            warn("neither chords nor a melody were found to draw")
