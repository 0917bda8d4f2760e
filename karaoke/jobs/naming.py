"""Names of the files that a song becomes, from a template that its user may give."""

from __future__ import annotations

import hashlib
import os
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from karaoke.errors import UsageError

DEFAULT_TEMPLATE = "{parent}/{title}/{stem}.{ext}"
VARIABLES = ("parent", "folder", "title", "source_ext", "stem", "ext", "model")
#: Bytes in a file's name that every common file system takes.
LONGEST_NAME = 255
MANIFEST_SUFFIX = ".karaoke.json"
WINDOWS = os.name == "nt"
#: What Windows allows in no name, or gives a meaning of its own.
FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]')
DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [f"{port}{digit}" for port in ("COM", "LPT") for digit in "123456789\u00b9\u00b2\u00b3"]
)
#: Between the parts of a name; of no use at its ends.
SEPARATORS = " .,-_()[]"


@dataclass(frozen=True)
class Song:
    """A file to split.

    Parameters
    ----------
    path
        Of the file.
    parent
        Its folder within the folder that the user named; empty for a file that was named itself.
    named
        What the user called it, where that is no path: ``-``, or an address.
    """

    path: Path
    parent: PurePath = field(default_factory=PurePath)
    named: str = ""

    @property
    def title(self) -> str:
        """Its name without the extension."""
        # "..mp3" has the stem ".", which is no name for a folder.
        return self.path.stem if self.path.stem.strip(".") else self.path.name

    @property
    def extension(self) -> str:
        """Its extension, without the dot."""
        return self.path.suffix[1:]

    @property
    def folder(self) -> PurePath:
        """Its folder as the user gave it, made to lie below another: without root, ``_`` for up."""
        if self.named:
            return PurePath()
        given = self.path.parent
        return PurePath(*("_" if p == ".." else p for p in given.parts if p != given.anchor))


def check_template(template: str, stems: Sequence[str], *, windows: bool = WINDOWS) -> None:
    """Refuse a template that cannot name the stems of a song, by filling it in for one.

    Parameters
    ----------
    template
        As the user gave it.
    stems
        To be written.
    windows
        Whether names are those of Windows.

    Raises
    ------
    UsageError
        It is malformed, has unknown variables, leads out of the output folder, names two stems
        alike, or gives names that no file can have.
    """
    used = variables_of(template)
    if len(stems) > 1 and "stem" not in used:
        raise UsageError("--name: all stems would have one name", hint="Add {stem}.")
    if not used & {"title", "parent", "folder"}:
        raise UsageError("--name: all songs would have one name", hint="Add {title}.")
    parts = split_template(template, windows)
    # On Windows "C:x" is a place on another drive.
    outside = parts[0] == "" or ".." in parts or (windows and re.match("[A-Za-z]:", template))
    if outside or parts[-1] in ("", "."):
        raise UsageError(
            f'--name "{template}": must name files below the output folder',
            hint='Neither begin nor end it with a slash, and use no "..".',
        )
    if re.search(r"[\x00-\x1f]", template):
        raise UsageError(f'--name "{template}": has control characters', hint="Leave them out.")
    for part in parts if windows else ():
        if part not in (".", "") and make_safe(part, windows=True) != part:
            raise UsageError(
                f"--name: Windows takes no file called {part}",
                hint='Use none of <>:"|?*, no dot or space at the end, and no CON, NUL or COM1.',
            )
    sample = Song(Path("song.mp3"))
    for stem in stems:
        path = name_output(template, sample, stem, "flac", "model", windows=windows)
        if not path.parts:
            raise UsageError("--name: would be no name for some songs", hint="Add {title}.")
        if too_long(path):
            raise UsageError(
                f"--name: longer than the {LONGEST_NAME} bytes of a file's name", hint="Shorten it."
            )


def variables_of(template: str) -> set[str]:
    """List the variables of a template.

    Raises
    ------
    UsageError
        It has others than :data:`VARIABLES`, or anything but a variable in braces.
    """
    try:
        fields = [entry[1:] for entry in string.Formatter().parse(template) if entry[1] is not None]
    except ValueError as error:
        raise UsageError(
            f'--name "{template}": a brace too many or too few', hint="Write {{ for a brace."
        ) from error
    for name, form, conversion in fields:
        if name not in VARIABLES:
            known = ", ".join(f"{{{name}}}" for name in VARIABLES)
            raise UsageError(f"--name: unknown {{{name}}}", hint=f"Variables: {known}.")
        if form or conversion:
            raise UsageError(f"--name: {{{name}}} takes no format", hint=f"Write {{{name}}}.")
    return {str(name) for name, _, _ in fields}


def split_template(template: str, windows: bool) -> list[str]:
    """Split a template at the slashes; on Windows, at backslashes too."""
    return (template.replace("\\", "/") if windows else template).split("/")


def name_output(
    template: str,
    song: Song,
    stem: str,
    extension: str,
    model: str,
    *,
    windows: bool = WINDOWS,
) -> PurePath:
    """Fill a template in; the result is relative to the output folder, and stays below it."""
    values = values_for(song, model, stem=stem, ext=extension)
    return fill_all(split_template(template, windows), song, values, windows)


def name_manifest(
    template: str, song: Song, extension: str, model: str, *, windows: bool = WINDOWS
) -> PurePath:
    """Name the manifest of a song's stems, which lies in the deepest folder that holds them all.

    Its name is what the stems' names have in common, so that those of other songs have others.
    Nothing of it depends on the stems that are wanted or on their format: what is written later
    beside them stands in the same manifest.
    """
    parts = split_template(template, windows)
    shared = next((n for n, part in enumerate(parts) if "{stem}" in part), len(parts) - 1)
    values = values_for(song, model, stem="", ext=extension)
    rest = [part.replace("{stem}", "").replace(".{ext}", "") for part in parts[shared:]]
    rest = [part.replace("{ext}", "").strip(SEPARATORS) for part in rest]
    labels = fill_all([part for part in rest if part], song, values, windows, shorten=False).parts
    label = labels[-1] if labels else song.title
    name = f".{label}{MANIFEST_SUFFIX}"
    if len(labels) > 1 or len(os.fsencode(name)) > LONGEST_NAME:
        # The last part alone, or its beginning, may be another song's too.
        mark = mark_of("/".join(labels or (label,)))
        while len(os.fsencode(name := f".{label}-{mark}{MANIFEST_SUFFIX}")) > LONGEST_NAME:
            label = label[:-1]
    return fill_all(parts[:shared], song, values, windows) / make_safe(name, windows)


def values_for(song: Song, model: str, **others: str) -> dict[str, str]:
    """Give what variables stand for within a name, in which there can be no slash."""
    values = {
        "parent": "-".join(song.parent.parts),
        "folder": "-".join(song.folder.parts),
        "title": song.title,
        "source_ext": song.extension,
        "model": model,
        **others,
    }
    return {name: re.sub(r"[/\x00]", "_", value) for name, value in values.items()}


def fill_all(
    parts: Sequence[str],
    song: Song,
    values: Mapping[str, str],
    windows: bool,
    *,
    shorten: bool = True,
) -> PurePath:
    """Fill in the parts of a template; folders that stand alone in one become folders."""
    names: list[str] = []
    for part in parts:
        if part in ("{parent}", "{folder}"):
            folder = song.parent if part == "{parent}" else song.folder
            names += [make_safe(name, windows) for name in folder.parts]
        elif part != ".":
            names.append(fill(part, values, windows, shorten))
    return PurePath(*names)


def fill(part: str, values: Mapping[str, str], windows: bool, shorten: bool) -> str:
    """Fill in one name, with as much of the song's as file systems take, and a mark if not all."""
    title = cut = values["title"]
    while True:
        name = make_safe(part.format(**{**values, "title": title}), windows)
        fits = len(os.fsencode(name)) <= LONGEST_NAME
        if fits or not shorten or not cut or "{title}" not in part:
            return name
        cut = cut[:-1]
        title = f"{cut}-{mark_of(values['title'])}"


def mark_of(text: str) -> str:
    """Give eight digits that tell a name from others that begin like it."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]


def make_safe(name: str, windows: bool) -> str:
    """Change a name that would be another folder or, on Windows, a device or none at all."""
    if name in (".", ".."):
        return "_" * len(name)
    if windows:
        name = FORBIDDEN.sub("_", name)
        name = re.sub(r"[. ]+$", lambda end: "_" * len(end[0]), name)
        if name.partition(".")[0].rstrip().upper() in DEVICES:
            name = f"_{name}"
    return name


def too_long(path: PurePath) -> bool:
    """Tell whether some part of a path is longer than file systems take."""
    return any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts)
