"""Names of languages, which each format writes differently."""

from __future__ import annotations

#: English name and ISO 639-2 codes (both, where there are two) by ISO 639-1 code.
LANGUAGES = {
    "ar": ("Arabic", "ara"),
    "bg": ("Bulgarian", "bul"),
    "ca": ("Catalan", "cat"),
    "cs": ("Czech", "ces cze"),
    "da": ("Danish", "dan"),
    "de": ("German", "deu ger"),
    "el": ("Greek", "ell gre"),
    "en": ("English", "eng"),
    "es": ("Spanish", "spa"),
    "fi": ("Finnish", "fin"),
    "fr": ("French", "fra fre"),
    "he": ("Hebrew", "heb"),
    "hr": ("Croatian", "hrv"),
    "hu": ("Hungarian", "hun"),
    "is": ("Icelandic", "isl ice"),
    "it": ("Italian", "ita"),
    "ja": ("Japanese", "jpn"),
    "ko": ("Korean", "kor"),
    "la": ("Latin", "lat"),
    "nl": ("Dutch", "nld dut"),
    "no": ("Norwegian", "nor"),
    "pl": ("Polish", "pol"),
    "pt": ("Portuguese", "por"),
    "ro": ("Romanian", "ron rum"),
    "ru": ("Russian", "rus"),
    "sv": ("Swedish", "swe"),
    "tr": ("Turkish", "tur"),
    "uk": ("Ukrainian", "ukr"),
    "vi": ("Vietnamese", "vie"),
    "zh": ("Chinese", "zho chi"),
}
CODES = {
    spelling: code
    for code, (name, letters) in LANGUAGES.items()
    for spelling in (code, name.lower(), *letters.split())
}


def language_code(written: str) -> str:
    """Return the two-letter code of a language: ``English``, ``eng`` and ``en-GB`` are ``en``.

    Unknown ones are returned unchanged, except for spaces around them.
    """
    written = written.strip()
    main = written.lower().replace("_", "-").partition("-")[0]
    return CODES.get(written.lower(), CODES.get(main, written))


def language_name(code: str) -> str:
    """Return the English name of a language; unknown codes are returned unchanged."""
    return LANGUAGES[code][0] if code in LANGUAGES else code
