"""Decode text of an unknown encoding."""

from __future__ import annotations

import codecs
import re

from karaoke.errors import LyricsError

#: How much of a file is used for guesses.
HEAD = 200_000
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Encoding in the header of a singing game's file; UTF-8 is recognised anyway.
STATED = re.compile(rb"^#ENCODING:\s*(CP125\d|WINDOWS-125\d|LATIN-?1)\s*$", re.I | re.M)
KANA = re.compile("[\u3041-\u30ff]")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x7f]")
HINT = "Give a text file with the lyrics."


def decode(data: bytes, called: str) -> tuple[str, str, list[str]]:
    """Decode a text file.

    Parameters
    ----------
    data
        Its bytes.
    called
        What messages should call it.

    Returns
    -------
    tuple
        The text, with line feeds, the encoding, and warnings.

    Raises
    ------
    LyricsError
        It is not text.
    """
    encoding, guessed = find_encoding(data)
    for mark, name in MARKS:
        if name == encoding and data.startswith(mark):
            data = data[len(mark) :]
    text = data.decode(encoding, "replace")
    head = text[:HEAD]
    if len(CONTROL.findall(head)) + head.count("\ufffd") > len(head) // 20:
        raise LyricsError(f"{called}: looks like binary data, expected text", hint=HINT)
    warnings = []
    if guessed:
        warnings.append(
            f"not UTF-8: decoded as {guessed}, which is a guess; save it as UTF-8 to be sure"
        )
    if "\0" in text:
        warnings.append("contains NUL characters, which were left out")
    if "\ufffd" in text and encoding != "utf-8":
        warnings.append(f"some characters are not {encoding}; they were replaced")
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding, warnings


def find_encoding(data: bytes) -> tuple[str, str]:
    """Find the encoding of text, and what to call it if it is a guess, else an empty string."""
    for mark, name in MARKS:
        if data.startswith(mark):
            return name, ""
    head = data[:HEAD]
    # In UTF-16, every other byte of ASCII text is 0, including digits and line feeds.
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) // 20 and max(even, odd) > 10 * min(even, odd):
        name = "utf-16-le" if odd > even else "utf-16-be"
        return name, name.upper()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8", ""
    if stated := STATED.search(head):
        name = stated[1].decode().lower().replace("windows-", "cp")
        if name in ("cp1250", "cp1251", "cp1252", "latin1", "latin-1"):
            return name, ""
    return guess_bytewise(head)


def guess_bytewise(head: bytes) -> tuple[str, str]:
    """Distinguish Shift-JIS, which is recognised by its many kana, from CP1252."""
    try:
        text = codecs.getincrementaldecoder("cp932")("strict").decode(head)
    except UnicodeDecodeError:
        return "cp1252", "CP1252"
    foreign = sum(character > "\x7f" for character in text)
    if len(KANA.findall(text)) * 5 > foreign:
        return "cp932", "Shift-JIS"
    return "cp1252", "CP1252"
