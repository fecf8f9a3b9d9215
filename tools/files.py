"""The files of a data set, in a folder or in a zip file."""

import os
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PICTURES = {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp"}
READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ENCRYPTED = 1
"""Bit of a zip member's flags (APPNOTE.TXT, section 4.4.4)."""


class DataError(Exception):
    """A data set that cannot be used; the text names it and says why."""


class Pictures:
    """The files of a data set, by their path inside a folder or a zip file."""

    def __init__(self, path: Path) -> None:
        """Raises DataError."""
        self.path = path
        self._archive: zipfile.ZipFile | None = None
        if path.is_dir():
            members = iter([file.relative_to(path).as_posix() for file in _files(path)])
        else:
            self._archive = _archive(path)
            members = iter(self._archive.namelist())
        # Windows writes backslashes into a zip
        known = [(name.replace("\\", "/"), name) for name in members]
        self._known: dict[str, str] = {}
        """What each member is called there."""
        for member, name in known:
            # macOS adds a file of its own, with the same suffix, to each picture in a zip
            if member.endswith("/") or _base(member).startswith("._"):
                continue
            if self._known.setdefault(member, name) != name:
                raise DataError(f"data {path}: {member} is there twice, with / and with \\")
        self.members = sorted(self._known)
        self._by_base: dict[str, list[str]] = defaultdict(list)
        for member in self.members:
            self._by_base[_base(member)].append(member)

    def read(self, member: str) -> bytes:
        """What lies there; b"" where nothing can be read."""
        try:
            name = self._known[member]
            if self._archive is not None:
                return self._archive.read(name)
            return (self.path / name).read_bytes()
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error):
            return b""

    def __contains__(self, member: object) -> bool:
        return member in self._known

    def images(self) -> list[str]:
        """The members that are pictures by their suffix."""
        return [m for m in self.members if PurePosixPath(m).suffix.lower() in PICTURES]

    def bases(self) -> frozenset[str]:
        """The members' names without their folders."""
        return frozenset(self._by_base)

    def named(self, base: str) -> str | None:
        """The first member of this name, in whatever folder; None where there is none."""
        return next(iter(self._by_base.get(base, ())), None)

    def find(self, name: str) -> str:
        """The member that a table calls `name`: that whose path ends in most of it.

        `name` itself where there is none. Raises DataError where several would do.
        """
        name = name.replace("\\", "/").removeprefix("./")
        if name in self:
            return name
        alike = self._by_base.get(_base(name), [])
        best = max((_common(member, name) for member in alike), default=0)
        found = [member for member in alike if _common(member, name) == best]
        if len(found) > 1:
            raise DataError(
                f"data {self.path}: {name} may be {found[0]} or {found[1]}; its table must tell"
            )
        return found[0] if found else name


def _files(folder: Path) -> Iterator[Path]:
    seen = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link to a folder above it would never end
            folders.clear()
            continue
        seen.add(real)
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
            how = "with a password" if member.flag_bits & ENCRYPTED else "in a way not known here"
            raise DataError(f"data {path}: {member.filename} is packed {how}; unpack it first")
    return archive


def _base(name: str) -> str:
    return PurePosixPath(name).name


def _common(member: str, name: str) -> int:
    """How many parts the two paths have in common, from the last on."""
    pairs = zip(reversed(member.split("/")), reversed(name.split("/")), strict=False)
    return next((n for n, (one, other) in enumerate(pairs) if one != other), 99)
