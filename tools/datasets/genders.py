"""Which gender a word, or the path of a picture, names."""

import itertools
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from edge.types import LABELS
from tools.datasets.archive import DataError

WORDS = {
    "female": ("female", "females", "woman", "women", "girl", "girls", "lady", "ladies"),
    "male": ("male", "males", "man", "men", "boy", "boys", "gentleman", "gentlemen"),
}
INITIALS = {"female": ("f", "w"), "male": ("m",)}
"""They count as a whole label or folder name alone: `f`, `m_25`, but not `size m`."""
KNOWN = "; ".join(f"{label}: {', '.join(WORDS[label] + INITIALS[label])}" for label in LABELS)

BY_WORD = {word: LABELS.index(label) for label, words in WORDS.items() for word in words}
BY_INITIAL = {word: LABELS.index(label) for label, words in INITIALS.items() for word in words}
NEGATIONS = frozenset(("no", "non", "not", "without"))
UNSURE = frozenset(("u", "x"))
"""Folders for those of unknown gender, beside `f` and `m`."""
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
LETTERS = re.compile(r"[^\W\d_]+")


def of_label(text: str, where: str) -> int:
    """The index into `LABELS` that a cell of a table means. Raises DataError, naming `where`."""
    label = (BY_WORD | BY_INITIAL).get(text.strip().lower())
    if label is not None:
        return label
    hint = ""
    if re.fullmatch(r"[-+]?\d+([.,]0*)?", text.strip()):
        hint = "; a number may mean either, so write the words in its place"
    raise DataError(f"{where}: gender {text!r} must be one of {', '.join(LABELS)}{hint} ({KNOWN})")


def words(name: str) -> list[str]:
    """`train-female_25` and `FemaleFaces` have two."""
    name = unicodedata.normalize("NFC", name)
    return [word.lower() for word in LETTERS.findall(HUMP.sub(" ", name))]


def _full(name: str, where: str) -> set[int]:
    """The genders that a name has in full. Raises DataError for `not female`."""
    spelt = words(name)
    for before, word in itertools.pairwise(spelt):
        if before in NEGATIONS and word in BY_WORD:
            raise DataError(f"{where}: {name!r} says what it is not; name it {' or '.join(LABELS)}")
    return {BY_WORD[word] for word in spelt if word in BY_WORD}


@dataclass(frozen=True, slots=True)
class Part:
    """A folder of a path, or its file, and the one gender that its name has."""

    name: str
    label: int
    initial: bool = False
    """Named by its initial alone."""


class Folders:
    """Reads the gender out of paths, all of one data set."""

    def __init__(self, members: Iterable[str], extras: Iterable[str] = ()) -> None:
        """`extras` are words, such as `train`, that may stand beside an initial."""
        self._extras = frozenset(extras)
        letters = {
            word
            for folder in {folder for member in members for folder in _folders(member)}
            if (word := self._single(folder)) is not None and len(word) == 1
        }
        self.alphabet = sorted(letters - BY_INITIAL.keys() - UNSURE)
        """Other single letters that are folders: then `f` may be one of an index."""

    def _single(self, folder: str) -> str | None:
        rest = [word for word in words(folder) if word not in self._extras]
        return rest[0] if len(rest) == 1 else None

    def parts(self, member: str, where: str) -> list[Part]:
        """The folders of a path that name one gender.

        A name with both, as a whole data set may have, says nothing. Raises DataError.
        """
        named = []
        for folder in _folders(member):
            genders = _full(folder, where)
            initial = self._single(folder)
            if len(genders) == 1:
                named.append(Part(folder, genders.pop()))
            elif not genders and initial in BY_INITIAL:
                named.append(Part(folder, BY_INITIAL[initial], initial=True))
        return named

    def label(self, member: str, where: str) -> int | None:
        """The gender that the folders of a picture name; None where they name none.

        Raises DataError where the path names both.
        """
        named = self.parts(member, where)
        if not named:
            return None
        first, *others = named
        for other in (*others, *_file(member)):
            if other.label != first.label:
                raise DataError(
                    f"{where}: {member} names both genders: {first.name!r} is "
                    f"{LABELS[first.label]}, {other.name!r} is {LABELS[other.label]}; "
                    "rename or move it"
                )
        if self.alphabet and all(part.initial for part in named):
            raise DataError(
                f"{where}: {member}: {first.name!r} may be the initial of a name, as there are "
                f"folders {', '.join(self.alphabet[:5])} too; use folders named "
                f"{' and '.join(LABELS)}"
            )
        return first.label

    def need_agreement(self, member: str, label: int, where: str) -> None:
        """Raises DataError where the path of a picture contradicts its label from elsewhere."""
        for part in (*self.parts(member, where), *_file(member)):
            if part.label != label and not (part.initial and self.alphabet):
                raise DataError(
                    f"{where}: {member} is labelled {LABELS[label]}, but {part.name!r} in its path "
                    f"is {LABELS[part.label]}; correct the label or the path"
                )


def _folders(member: str) -> tuple[str, ...]:
    return PurePosixPath(member).parts[:-1]


def _file(member: str) -> list[Part]:
    """What a file's own name says; an initial in it may stand for anything."""
    name = PurePosixPath(member).name
    genders = {BY_WORD[word] for word in words(name) if word in BY_WORD}
    return [Part(name, genders.pop())] if len(genders) == 1 else []
