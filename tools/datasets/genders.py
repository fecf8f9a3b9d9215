"""Read the gender that a word or the path of a picture names."""

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
"""These count only as a whole label or folder name: `f`, `m_25`, but not `size m`."""
KNOWN = "; ".join(f"{label}: {', '.join(WORDS[label] + INITIALS[label])}" for label in LABELS)

BY_WORD = {word: LABELS.index(label) for label, words in WORDS.items() for word in words}
BY_INITIAL = {word: LABELS.index(label) for label, words in INITIALS.items() for word in words}
NEGATIONS = frozenset(("no", "non", "not", "without"))
UNKNOWN = frozenset(("u", "x"))
"""Folders of faces of unknown gender, beside `f` and `m`."""
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
LETTERS = re.compile(r"[^\W\d_]+")


def of_label(text: str, where: str) -> int:
    """Index into `LABELS` for a cell of a table. Raises DataError, which begins with `where`."""
    label = (BY_WORD | BY_INITIAL).get(text.strip().lower())
    if label is not None:
        return label
    hint = ""
    if re.fullmatch(r"[-+]?\d+([.,]0*)?", text.strip()):
        hint = "; a number may mean either, so write the word instead"
    raise DataError(f"{where}: gender {text!r} must be one of {', '.join(LABELS)}{hint} ({KNOWN})")


def words(name: str) -> list[str]:
    """The words of a name in lower case: `train-female_25` and `FemaleFaces` have two each."""
    name = unicodedata.normalize("NFC", name)
    return [word.lower() for word in LETTERS.findall(HUMP.sub(" ", name))]


def _spelled_out(name: str, where: str) -> set[int]:
    """Labels of the genders that a name spells out. Raises DataError for `not female`."""
    spelled = words(name)
    for before, word in itertools.pairwise(spelled):
        if before in NEGATIONS and word in BY_WORD:
            raise DataError(
                f"{where}: {name!r} says what it is not; rename it {' or '.join(LABELS)}"
            )
    return {BY_WORD[word] for word in spelled if word in BY_WORD}


@dataclass(frozen=True, slots=True)
class Part:
    """A folder or file name in a path, and the one gender that it names."""

    name: str
    label: int
    initial: bool = False
    """Only an initial names the gender."""


class Folders:
    """Reads the gender from the paths of one data set."""

    def __init__(self, members: Iterable[str], extras: Iterable[str] = ()) -> None:
        """`extras` are words, such as `train`, that may stand beside an initial."""
        self._extras = frozenset(extras)
        letters = {
            word
            for folder in {folder for member in members for folder in _folders(member)}
            if (word := self._single(folder)) is not None and len(word) == 1
        }
        self.alphabet = sorted(letters - BY_INITIAL.keys() - UNKNOWN)
        """Other single letters used as folders: `f` may then be a letter of an index."""

    def _single(self, folder: str) -> str | None:
        rest = [word for word in words(folder) if word not in self._extras]
        return rest[0] if len(rest) == 1 else None

    def parts(self, member: str, where: str) -> list[Part]:
        """The folders of a path that name one gender.

        A name with both, as the folder of a whole data set may have, is skipped. Raises DataError.
        """
        parts = []
        for folder in _folders(member):
            genders = _spelled_out(folder, where)
            initial = self._single(folder)
            if len(genders) == 1:
                parts.append(Part(folder, genders.pop()))
            elif not genders and initial in BY_INITIAL:
                parts.append(Part(folder, BY_INITIAL[initial], initial=True))
        return parts

    def label(self, member: str, where: str) -> int | None:
        """The gender that the folders of a picture name; None if they name none.

        Raises DataError if the path names both.
        """
        parts = self.parts(member, where)
        if not parts:
            return None
        first, *others = parts
        for other in (*others, *_file(member)):
            if other.label != first.label:
                raise DataError(
                    f"{where}: {member} names both genders: {first.name!r} is "
                    f"{LABELS[first.label]}, {other.name!r} is {LABELS[other.label]}; "
                    "rename or move it"
                )
        if self.alphabet and all(part.initial for part in parts):
            raise DataError(
                f"{where}: {member}: {first.name!r} may be the initial of a name, as there are "
                f"folders {', '.join(self.alphabet[:5])} too; use folders named "
                f"{' and '.join(LABELS)}"
            )
        return first.label

    def need_agreement(self, member: str, label: int, where: str) -> None:
        """Raises DataError if the path of a picture contradicts its label from a table."""
        for part in (*self.parts(member, where), *_file(member)):
            if part.label != label and not (part.initial and self.alphabet):
                raise DataError(
                    f"{where}: {member} is labelled {LABELS[label]}, but {part.name!r} in its path "
                    f"is {LABELS[part.label]}; correct the label or the path"
                )


def _folders(member: str) -> tuple[str, ...]:
    return PurePosixPath(member).parts[:-1]


def _file(member: str) -> list[Part]:
    """The gender that a file's own name spells out; an initial in it may stand for anything."""
    name = PurePosixPath(member).name
    genders = {BY_WORD[word] for word in words(name) if word in BY_WORD}
    return [Part(name, genders.pop())] if len(genders) == 1 else []
