"""Where the files of a song are: names that this project chose, below one folder an id."""

from __future__ import annotations

import re
import secrets
import shutil
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from karaoke.jobs.planning import EXTENSIONS

#: What all ids look like; nothing else becomes a part of a path.
ID = re.compile(r"[0-9a-f]{16}")
#: Longest name of a song that files are called by.
LONGEST_LABEL = 80


def new_id() -> str:
    """Make an id."""
    return secrets.token_hex(8)


def extension_of(name: str) -> str:
    """Return the extension of an upload's name, if it is one of songs; else nothing."""
    ending = name[name.rfind(".") :].lower() if "." in name else ""
    return ending if ending in EXTENSIONS else ""


def label_of(text: str) -> str:
    """Turn a title into a name for files: letters, digits and spaces of any script."""
    kept = "".join(
        character if unicodedata.category(character)[0] in "LNM" or character in " -'" else " "
        for character in unicodedata.normalize("NFC", text)
    )
    return " ".join(kept.split())[:LONGEST_LABEL].strip(" .-'") or "song"


@dataclass(frozen=True)
class Place:
    """The folder of one song."""

    folder: Path

    @property
    def stems(self) -> Path:
        """Folder of the separated stems."""
        return self.folder / "stems"

    def stem(self, name: str) -> Path:
        """Return the file of a separated stem."""
        return self.stems / f"{name}.wav"

    @property
    def peaks(self) -> Path:
        """The outlines of the stems."""
        return self.folder / "peaks.json"

    def player(self, extension: str, semitones: float = 0.0, tempo: float = 1.0) -> Path:
        """Return the file that the page plays."""
        if semitones == 0 and tempo == 1:
            return self.folder / f"player.{extension}"
        return self.folder / "moved" / f"{semitones:+g},{tempo:g}.{extension}"

    @property
    def analysis(self) -> Path:
        """What was heard in it."""
        return self.folder / "analysis.json"

    @property
    def words(self) -> Path:
        """Its words with their times."""
        return self.folder / "words.json"

    @property
    def wanted_words(self) -> Path:
        """Words whose times are still to be found."""
        return self.folder / "wanted.json"

    @property
    def cover(self) -> Path:
        """Its picture."""
        return self.folder / "cover"

    @property
    def made(self) -> Path:
        """Folder of what jobs made of it."""
        return self.folder / "made"

    def files(self) -> dict[str, Path]:
        """List what jobs made of it, by names relative to their folder, sorted."""
        found = sorted(path for path in self.made.rglob("*") if path.is_file())
        visible = [path for path in found if not path.name.startswith(".")]
        return {path.relative_to(self.made).as_posix(): path for path in visible}

    @property
    def mixes(self) -> Path:
        """Folder of mixes for download."""
        return self.folder / "mixes"

    def manifest(self, name: str) -> Path:
        """Return the manifest of a job."""
        return self.folder / f".{name}.karaoke.json"


@dataclass(frozen=True)
class Places:
    """The folder of a service."""

    data: Path

    @property
    def database(self) -> Path:
        """The file that knows all songs and jobs."""
        return self.data / "karaoke.db"

    @property
    def uploads(self) -> Path:
        """Folder of files that are arriving."""
        return self.data / "uploads"

    @property
    def songs(self) -> Path:
        """Folder of the songs."""
        return self.data / "songs"

    def upload(self, id: str) -> Path:
        """Return a file that is arriving."""
        assert ID.fullmatch(id)
        return self.uploads / f"{id}.part"

    def song(self, id: str) -> Place:
        """Return the folder of a song."""
        assert ID.fullmatch(id)
        return Place(self.songs / id)

    def make(self) -> None:
        """Create the folders."""
        for folder in (self.uploads, self.songs):
            folder.mkdir(parents=True, exist_ok=True)

    def forget(self, id: str) -> None:
        """Delete the files of a song."""
        shutil.rmtree(self.song(id).folder, ignore_errors=True)

    def size_bytes(self) -> int:
        """Measure how much all of it is."""
        total = 0
        for path in self.data.rglob("*"):
            try:
                total += path.stat().st_size
            except OSError:
                continue  # it was deleted in the meantime
        return total
