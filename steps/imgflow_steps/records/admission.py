"""Which of the files that lie somewhere are images to be processed, and in which words the others are counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field

from imgflow_steps.records import keys

IGNORE_FILE = ".imgflowignore"  # at the root of a source: patterns of what is left out, a line each
HEAD = 32  # bytes by which an image is known
BRANDS = frozenset(b"avif avis heic heix heim heis hevc hevx hevm hevs mif1 msf1 miaf".split())  # AVIF and HEIC
# Why something is left out that is not its suffix.
HIDDEN, EXCLUDED, BARE = "hidden", "excluded", "without a suffix"
OTHER = "others"  # what is beyond the first many kinds
SINGULAR = {"links": "link", "devices or pipes": "device or pipe", "others": "other"}
KINDS = 40  # suffixes that are counted one by one
SHOWN = 6  # kinds that are told in one line
SUFFIX = re.compile(r"\.[a-z0-9_+~-]{1,12}")
CLASS = re.compile(r"\[(!?)([^\]/]+)\]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern as ``.gitignore`` writes it; upper and lower case are the same.

    Without "/" it fits any part of a path, with one it begins at the root; what lies below a folder that fits, fits.
    """

    text: str
    again: bool = False  # "!": takes back what an earlier one left out
    fits: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile it."""
        object.__setattr__(self, "fits", _compiled(self.text))

    @property
    def hidden(self) -> bool:
        """Whether it speaks of what is hidden."""
        return any(map(keys.is_hidden, self.text.split("/")))


@dataclass(frozen=True, slots=True)
class Admission:
    """What of a source is taken, by name: with ``include`` only what fits one of them, never what an ignore rule fits.

    What is hidden is taken only where a pattern of ``include``, or one that begins with "!", names the hidden part.
    """

    include: tuple[Pattern, ...] = ()
    ignore: tuple[Pattern, ...] = ()  # of several that fit the last one decides

    def why_not(self, key: str) -> str:
        """Under which word a key is counted as left out; "" for an image's name, or one without a suffix."""
        if why := self.forbids(key):
            return why
        return "" if keys.has_image_name(key) else suffix_of(key)

    def forbids(self, key: str) -> str:
        """Under which word a key is left out whatever it is; "" where no rule speaks against it."""
        included = [pattern for pattern in self.include if pattern.fits.fullmatch(key)]
        ignored = [pattern for pattern in self.ignore if pattern.fits.fullmatch(key)]
        if (self.include and not included) or (ignored and not ignored[-1].again):
            return EXCLUDED
        named = any(one.hidden for one in [*included, *(rule for rule in ignored if rule.again)])
        return HIDDEN if not named and any(map(keys.is_hidden, key.split("/"))) else ""

    def with_file(self, text: str) -> Admission:
        """The same with the rules of an ignore file, which come before those of flags."""
        return Admission(self.include, (*parse(text.splitlines()), *self.ignore))


ADMISSION = Admission()


def parse(lines: Iterable[str]) -> tuple[Pattern, ...]:
    """The rules of an ignore file; "#" begins a comment."""
    plain = (line.strip() for line in lines)
    rules = (line for line in plain if line and not line.startswith("#"))
    return tuple(Pattern(line.removeprefix("!"), again=line.startswith("!")) for line in rules)


def admission(include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Admission:
    """What flags say."""
    return Admission(parse(include), parse(exclude))


def suffix_of(key: str) -> str:
    """A name's suffix in lower case, or what it is called when there is none."""
    name = key.rpartition("/")[2].lower()
    dot = name.rfind(".")
    return (name[dot:] if SUFFIX.fullmatch(name[dot:]) else OTHER) if dot >= 0 else BARE


def count(left_out: MutableMapping[str, int], word: str, number: int = 1) -> None:
    """Count what is left out; suffixes without end, as names may have them, are counted as others."""
    known = word in left_out or len(left_out) < KINDS or not word.startswith(".")
    word = word if known else OTHER
    left_out[word] = left_out.get(word, 0) + number


def skipped_in_words(left_out: Mapping[str, int]) -> str:
    """``7 .heic, 2 .dng``: the most frequent first, and the rest as a number."""
    first, rest = sorted(left_out.items(), key=lambda pair: (-pair[1], pair[0])), 0
    if len(first) > SHOWN:
        rest = sum(number for _, number in first[SHOWN:])
    words = [f"{number:,} {SINGULAR.get(word, word) if number == 1 else word}" for word, number in first[:SHOWN]]
    return ", ".join([*words, *([f"{rest:,} more"] if rest else [])])


def begins_like_image(head: bytes) -> bool:
    """Whether a file's first bytes are those of a format that is decoded."""
    if head[:3] == b"\xff\xd8\xff" or head[:8] == b"\x89PNG\r\n\x1a\n" or head[:6] in {b"GIF87a", b"GIF89a"}:
        return True
    if head[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        return True
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return int.from_bytes(head[14:18], "little") in {12, 16, 40, 52, 56, 64, 108, 124}  # of its second header
    if head[4:8] == b"ftyp":
        return head[8:12] in BRANDS
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _compiled(pattern: str) -> re.Pattern[str]:
    plain = pattern.rstrip("/")
    below = "/.*" if pattern.endswith("/") else "(?:/.*)?"
    anchored = "" if "/" in plain else "(?:.*/)?"
    plain = plain.removeprefix("./").removeprefix("/")
    made, place = "", 0
    while place < len(plain):
        if plain.startswith("**/", place):
            made, place = made + "(?:.*/)?", place + 3
        elif plain.startswith("**", place):
            made, place = made + ".*", place + 2
        elif plain[place] in "*?":
            made, place = made + ("[^/]*" if plain[place] == "*" else "[^/]"), place + 1
        elif match := CLASS.match(plain, place):
            made += f"[{'^/' if match[1] else ''}{re.escape(match[2]).replace(chr(92) + '-', '-')}]"
            place = match.end()
        else:
            made, place = made + re.escape(plain[place]), place + 1
    try:
        return re.compile(anchored + made + below, re.IGNORECASE | re.DOTALL)
    except re.error:  # such as [z-a]
        return re.compile(anchored + re.escape(plain) + below, re.IGNORECASE | re.DOTALL)
