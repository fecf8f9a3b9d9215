"""Boxes of faces already found, in a file, so that the next command need not search again."""

import hashlib
import io
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from edge.atomic_file import write_atomically
from edge.types import Box
from tools.datasets import face_search
from tools.datasets.archive import DataError

ARRAYS = {"version", "keys", "boxes"}
KEY_BYTES = 16
SAVE_S = 60.0
"""At most this much of a search is lost if the program is killed, seconds."""


def key(picture: bytes) -> bytes:
    """A digest of a picture's file: the same picture has the same face, wherever it lies."""
    return hashlib.blake2b(picture, digest_size=KEY_BYTES).digest()


class FaceCache:
    """A context that maps pictures, by `key`, to the box of their face, or None without one."""

    def __init__(self, path: Path | None) -> None:
        """Read the file, if there is one; None keeps the boxes in memory alone.

        A damaged file, and one of another version of the search, counts as empty. Raises DataError
        if the file is something else, which must not be replaced.
        """
        self._path = path
        self._version = face_search.version() if path else ""
        self._boxes: dict[bytes, Box | None] = _read(path, self._version) if path else {}
        self._unsaved = 0
        self._due = time.monotonic() + SAVE_S

    def __contains__(self, key: bytes) -> bool:
        return key in self._boxes

    def __getitem__(self, key: bytes) -> Box | None:
        return self._boxes[key]

    def add(self, key: bytes, box: Box | None) -> None:
        """Remember a box, pixels; writes the file now and then. Other threads may only read."""
        if key in self._boxes:
            return
        self._boxes[key] = box
        self._unsaved += 1
        if time.monotonic() >= self._due:
            self._save()

    def _save(self) -> None:
        self._due = time.monotonic() + SAVE_S
        if self._path is None or not self._unsaved:
            return
        none = (np.nan,) * 4
        boxes = [
            none if box is None else (box.x, box.y, box.w, box.h) for box in self._boxes.values()
        ]
        keys = np.frombuffer(b"".join(self._boxes), np.uint8).reshape(-1, KEY_BYTES)
        archive = io.BytesIO()
        np.savez_compressed(archive, version=self._version, keys=keys, boxes=np.array(boxes))
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, archive.getvalue())
            self._unsaved = 0
        except OSError as error:
            print(
                f"{self._path}: cannot be written ({error.strerror}); the next command searches "
                "these faces again",
                file=sys.stderr,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._save()


def _read(path: Path, version: str) -> dict[bytes, Box | None]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file}
    except FileNotFoundError:
        return {}
    except Exception as error:  # a damaged file raises anything
        print(f"{path}: cannot be read ({error}); all faces are searched again", file=sys.stderr)
        return {}
    if set(arrays) != ARRAYS:
        raise DataError(f"--face-cache {path}: is another kind of file; name a new one")
    if str(arrays["version"]) != version:
        return {}
    return {
        key.tobytes(): None if np.isnan(box).any() else Box(*box.tolist())
        for key, box in zip(arrays["keys"], arrays["boxes"], strict=True)
    }
