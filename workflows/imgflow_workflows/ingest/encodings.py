"""In which encoding a text is written, by its bytes: a byte order mark, UTF-8, or the code page that fits best."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.notation import nearest

SPACE = "\t\r\n\xa0\u202f\ufeff"
CHUNK = 1 << 24  # bytes of a line read at once
SAMPLE = 1 << 18  # bytes of lines with more than ASCII, by which code pages are told apart
MARKS = (  # the longer ones first: a mark of UTF-32 begins like one of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WESTERN = (
    "äöüß",  # German
    "éèêëàâçùûüôîïœæÿñ",  # French, and names from Spain
    "áéíóúüñ",  # Spanish
    "åäöæøé",  # Danish, Norwegian, Swedish
    "áàâãçéêíóôõú",  # Portuguese
    "éëèïöüáàêî",  # Dutch
    "àèéìòù",  # Italian
)
PAGES = {  # code page -> letters beyond ASCII, a language each; of two that fit alike the first one is taken
    "cp1252": WESTERN,
    "cp1250": (
        "ąćęłńóśźż",  # Polish
        "áčďéěíňóřšťúůýž",  # Czech
        "áäčďéíĺľňóôŕšťúýž",  # Slovak
        "áéíóöőúüű",  # Hungarian
        "čćđšž",  # Croatian, Slovene
        "ăâîşţ",  # Romanian
    ),
    "cp1251": ("абвгдежзийклмнопрстуфхцчшщъыьэюяё", "абвгдежзийклмнопрстуфхцчшщьюяєіїґ"),
    "cp1253": ("αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋ",),
    "cp1254": ("çğ\u0131iöşüâîû",),  # with the i that has no dot
    "mac_roman": WESTERN,
    "cp850": WESTERN,
}
APOSTROPHE = "\u2019"  # may stand between letters, as no other mark
BESIDE = frozenset("€§°²³—„“”«»…•½¼®©™\xa0µ±·ºª\u2013\u2018\u201a\xd7\xb4" + APOSTROPHE)  # marks of any language


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a text is written, and what else may be said of that."""

    name: str
    why: str = ""  # "" where there is no doubt


def check(name: str) -> str:
    """The encoding of that name. Raises BadParametersError for one that nobody knows."""
    known = ["utf-8", "utf-16", *PAGES]
    try:
        found = codecs.lookup(name)
        bytes(4).decode(name)  # rot13 and base64 are no encodings of text
    except (LookupError, ValueError):
        hint = nearest(name, known)
        raise BadParametersError(
            f"--encoding {name}: there is no such encoding; such are {', '.join(known)}{'; ' + hint if hint else ''}"
        ) from None
    return "utf-8-sig" if found.name == "utf-8" else found.name


def encoding_of(path: Path) -> Encoding:
    """The encoding of a file. Raises BadParametersError for what is no text."""
    with path.open("rb") as file:
        head = file.read(4096)
    for mark, name in MARKS:
        if head.startswith(mark):
            return Encoding(name, "" if name == "utf-8-sig" else "by its byte order mark")
    if b"\0" in head:
        return Encoding(_without_mark(path, head), "it has no byte order mark")
    valid, damaged, sample = _lines(path)
    if not damaged:
        return Encoding("utf-8")
    if valid >= damaged:
        return Encoding("utf-8", "1 of its lines is not" if damaged == 1 else f"{damaged:,} of its lines are not")
    dos = b"\r\n" in sample  # as no Macintosh ends its lines, whose letters may fit as well
    page = max(sorted(PAGES, key=lambda name: dos and name == "mac_roman"), key=lambda name: _fit(sample, name))
    return Encoding(page, f"as in {_word(sample.decode(page, 'replace'))!r}")


def _without_mark(path: Path, head: bytes) -> str:
    """UTF-16 has a NUL in the first or in the second place of all that is ASCII, such as its ends of lines."""
    name = "utf-16-be" if head[::2].count(0) > head[1::2].count(0) else "utf-16-le"
    text = codecs.getincrementaldecoder(name)("replace").decode(head)
    if any(end in text for end in "\r\n") and all(one.isprintable() or one in SPACE for one in text):
        return name
    raise BadParametersError(f"{path} cannot be read: it is not text; nothing was copied")


def _lines(path: Path) -> tuple[int, int, bytes]:
    """Numbers of lines with more than ASCII that are UTF-8 and that are not, and the first of these."""
    valid = damaged = 0
    sample = bytearray()
    with path.open("rb") as file:
        while line := file.readline(CHUNK):
            if line.isascii():
                continue
            try:
                line.decode()
                valid += 1
            except UnicodeDecodeError:
                damaged += 1
                if len(sample) < SAMPLE:
                    sample += line
    return valid, damaged, bytes(sample)


def _fit(sample: bytes, page: str) -> float:
    """Which part of what is beyond ASCII would be letters of one language, or marks where marks can stand."""
    text = sample.decode(page, "replace")
    beyond = [place for place, character in enumerate(text) if not character.isascii()]
    return max(sum(_fits(text, place, letters) for place in beyond) for letters in PAGES[page]) / max(1, len(beyond))


def _fits(text: str, place: int, letters: str) -> bool:
    character = text[place]
    if character.isalpha() and character not in "ºª":
        return character.lower() in letters
    before, after = text[max(0, place - 1) : place].isalpha(), text[place + 1 : place + 2].isalpha()
    if character == "€":
        return not before and not after
    return character in BESIDE and (character == APOSTROPHE or not (before and after))


def _word(text: str) -> str:
    return next((word for word in text.replace(";", " ").replace(",", " ").split() if not word.isascii()), "")[:40]
