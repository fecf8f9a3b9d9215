"""The files of a data set, in a folder or in a zip file."""

import lzma
import os
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edge.sources import pictures
from edge.sources.pictures import PictureError

READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
"""Compression methods that zipfile can unpack."""
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError)
ENCRYPTED = 1
"""Bit of a zip member's flags (APPNOTE.TXT, section 4.4.4)."""


class DataError(Exception):
    """A data set or model that cannot be used; the message names it and says why."""


class DataFiles:
    """The files of a data set, by their path inside a folder or a zip file."""

    def __init__(self, path: Path) -> None:
        """Raises DataError."""
        self.path = path
        self._archive: zipfile.ZipFile | None = None
        if path.is_dir():
            members = [file.relative_to(path).as_posix() for file in _files(path)]
        else:
            self._archive = _archive(path)
            members = self._archive.namelist()
        self._stored_names: dict[str, str] = {}
        """The name of each member as the folder or zip file writes it."""
        for name in members:
            member = name.replace("\\", "/")  # Windows writes backslashes into a zip
            # macOS adds a file of its own, with the same suffix, to each picture in a zip
            if member.endswith("/") or _base(member).startswith("._"):
                continue
            if self._stored_names.setdefault(member, name) != name:
                raise DataError(f"data {path}: {member} is there twice, with / and with \\")
        self.members = sorted(self._stored_names)
        self._by_base: dict[str, list[str]] = defaultdict(list)
        for member in self.members:
            self._by_base[_base(member)].append(member)

    def read(self, member: str) -> bytes:
        """The bytes of a file. Raises PictureError if it is missing, damaged or too large."""
        name = self._stored_names.get(member)
        if name is None:
            raise PictureError("is not there")
        if self._archive is None:
            return pictures.contents(self.path / name)
        if self._archive.getinfo(name).file_size > pictures.MAX_BYTES:
            raise PictureError(f"has more than {pictures.MAX_BYTES // 10**6} million bytes")
        try:
            return self._archive.read(name)
        except (OSError, EOFError, ValueError, *DAMAGE) as error:
            raise PictureError(f"is damaged in the zip file ({error})") from error

    def table(self, member: str) -> bytes:
        """The bytes of a table of labels. Raises DataError."""
        try:
            return self.read(member)
        except PictureError as error:
            raise DataError(f"data {self.path}: {member} {error}") from error

    def __contains__(self, member: object) -> bool:
        return member in self._stored_names

    def images(self) -> list[str]:
        """The members whose suffix is that of a picture."""
        return [m for m in self.members if PurePosixPath(m).suffix.lower() in pictures.SUFFIXES]

    def bases(self) -> frozenset[str]:
        """File names of the members, without folders."""
        return frozenset(self._by_base)

    def named(self, base: str) -> str | None:
        """The first member with this file name, in any folder; None if there is none."""
        return next(iter(self._by_base.get(base, ())), None)

    def find(self, name: str) -> str:
        """The member that a table calls `name`: the one whose path shares the longest end with it.

        `name` itself if there is none. Raises DataError if several fit equally well.
        """
        name = name.replace("\\", "/").removeprefix("./")
        if name in self:
            return name
        candidates = self._by_base.get(_base(name), [])
        longest = max((_common_parts(member, name) for member in candidates), default=0)
        best = [member for member in candidates if _common_parts(member, name) == longest]
        if len(best) > 1:
            raise DataError(
                f"data {self.path}: {name} may be {best[0]} or {best[1]}; "
                "give the full path in the table"
            )
        return best[0] if best else name


def _files(folder: Path) -> Iterator[Path]:
    visited = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in visited:  # a link to a folder above it would be followed forever
            folders.clear()
            continue
        visited.add(real)
        yield from (Path(root, file) for file in files)


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise DataError(f"data {path}: does not exist") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"data {path}: is neither a folder nor a zip file ({error})") from error
    for member in archive.infolist():
        if member.flag_bits & ENCRYPTED or member.compress_type not in READABLE:
            how = "with a password" if member.flag_bits & ENCRYPTED else "by an unknown method"
            raise DataError(f"data {path}: {member.filename} is packed {how}; unpack it first")
    return archive


def _base(name: str) -> str:
    return PurePosixPath(name).name


def _common_parts(member: str, name: str) -> int:
    """Number of parts that the two paths share, counted from the end."""
    pairs = zip(reversed(member.split("/")), reversed(name.split("/")), strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), 99)
