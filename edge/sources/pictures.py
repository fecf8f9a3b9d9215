"""Decodes still pictures and animations, in one way for the daemon and for every tool.

Pillow reads them, so a file gives the same pixels with every version of OpenCV. It is imported with
the first picture: a daemon with a camera does not pay for it.
"""

import io
import re
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.types import Image

if TYPE_CHECKING:
    import PIL.Image

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM")
"""Formats that are read, by Pillow's names. It knows others; for some it starts programs."""
SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".mpo"),
        *(".png", ".apng", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff"),
        *(".pbm", ".pgm", ".ppm", ".pnm"),
    }
)
"""Lower-case suffixes of these formats. A file's content alone decides which one it is."""
ANIMATIONS = ("PNG", "WEBP", "AVIF", "GIF")
"""Formats in which further pictures are an animation; in others they are separate pictures."""
SHORTEST_MS, DEFAULT_MS = 20.0, 100.0
"""Browsers show an animation's picture for 100 ms if its file asks for less than 20 ms."""

MAX_PIXELS = 80_000_000
"""Most pixels of a picture, by its header; more are refused before memory is taken for them."""
MAX_BYTES = 250_000_000
"""Most bytes of a file: `MAX_PIXELS` of 24 bits, not compressed."""
MAX_SCANS = 100
"""Most scans of a JPEG. Programs write about 10; each costs another pass over all pixels."""

ORIENTATION = 0x0112
"""The orientation tag of EXIF and TIFF."""
MARKER = re.compile(rb"\xff+([\xc0-\xcf\xd8-\xfe])")
"""A marker of a JPEG's segments and scans; all others occur within a scan."""
SOS, EOI = b"\xda", b"\xd9"
"""JPEG markers: start of scan, end of image (ITU-T T.81, table B.1)."""
BROKEN = "a broken picture"
SIGNATURES = (
    (0, b"\xff\xd8", BROKEN),
    (0, b"\x89png", BROKEN),
    (0, b"gif8", BROKEN),
    (0, b"ii*\0", BROKEN),
    (0, b"mm\0*", BROKEN),
    (8, b"webp", BROKEN),
    (4, b"ftypavi", BROKEN),
    (4, b"ftyphe", "a HEIC picture"),
    (4, b"ftypmif1", "a HEIC picture"),
    (4, b"ftyp", "a video"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"jxl ", "a JPEG XL picture"),
    (4, b"jp  ", "a JPEG 2000 picture"),
    (0, b"8bps", "a Photoshop file"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "an SVG drawing or other XML"),
    (0, b"<!doctype html", "a web page"),
    (0, b"<html", "a web page"),
    (0, b"%pdf", "a PDF"),
    (0, b"pk\x03\x04", "a zip file"),
    (0, b"version https://git-lfs", "a Git LFS pointer: the picture itself was not fetched"),
)
"""Offset in bytes, the lower-case bytes there, and the kind of file that they reveal."""


class PictureError(Exception):
    """A picture cannot be read. The text says why, without the name of the file."""


def read(path: Path) -> Image:
    """The picture in a file, as `decode` returns it. Raises PictureError."""
    return decode(contents(path))


def contents(path: Path) -> bytes:
    """A file's bytes, cut off above `MAX_BYTES`, which `decode` refuses. Raises PictureError."""
    try:
        # not imread, which crashes on a name that is not UTF-8
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise PictureError(f"cannot be read ({getattr(error, 'strerror', error)})") from error


def decode(data: bytes) -> Image:
    """The picture in a file's bytes: B G R uint8, H x W x 3, contiguous.

    It is upright as its EXIF data says; transparent pixels become white. If there are several, as
    in a GIF, it is the first. Raises PictureError if `data` is not a picture, is broken or cut
    short, or is too large.
    """
    with _opened(data) as picture:
        return _pixels(picture)


def animation(path: Path) -> Generator[tuple[Image, float], None, None]:
    """The pictures of an animation, or a file's only one, as `decode` returns them.

    Each comes with its time stamp, milliseconds since the first. Raises PictureError if there are
    none, or once a later one is broken.
    """
    with _opened(contents(path)) as picture:
        # an APNG may begin with a picture for programs that show no animation
        number = 1 if picture.info.get("default_image") else 0
        stamp_ms = 0.0
        while _seek(picture, number):
            yield _pixels(picture), stamp_ms
            if picture.format not in ANIMATIONS:
                return
            duration_ms = float(picture.info.get("duration") or 0)
            stamp_ms += duration_ms if duration_ms >= SHORTEST_MS else DEFAULT_MS
            number += 1


def _seek(picture: "PIL.Image.Image", number: int) -> bool:
    """Select a picture; the first is 0. Returns False if there are fewer."""
    try:
        picture.seek(number)
    except EOFError:
        return False
    except Exception as error:
        raise PictureError(f"is {BROKEN}") from error
    return True


def _opened(data: bytes) -> "PIL.Image.Image":
    """A picture of which only the header has been read."""
    import PIL.Image

    # about broken EXIF data; several threads read pictures, and catch_warnings is not thread-safe
    warnings.filterwarnings("ignore", module=r"PIL\.")
    _limit("bytes", len(data), MAX_BYTES)
    _limit("scans", _scans(data), MAX_SCANS)
    try:
        picture = PIL.Image.open(io.BytesIO(data), formats=FORMATS)
    except PIL.Image.DecompressionBombError as error:
        raise PictureError(_too_many("pixels", MAX_PIXELS)) from error
    except Exception as error:  # Pillow may raise anything for a broken file
        raise PictureError(_describe(data)) from error
    _limit("pixels", picture.width * picture.height, MAX_PIXELS)
    return picture


def _pixels(picture: "PIL.Image.Image") -> Image:
    """Decoded, as `decode` returns it."""
    try:
        picture.load()
        rgb = np.asarray(_rgb(_upright(picture)), np.uint8)
        return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)
    except MemoryError as error:
        raise PictureError("needs more memory than there is") from error
    except Exception as error:  # Pillow may raise anything here too
        raise PictureError(f"is {BROKEN}") from error


def _limit(unit: str, number: int, limit: int) -> None:
    if number > limit:
        raise PictureError(_too_many(unit, limit))


def _too_many(unit: str, limit: int) -> str:
    return f"has more than {f'{limit // 10**6} million' if limit >= 10**6 else limit} {unit}"


def _scans(data: bytes) -> int:
    """The number of scans in a JPEG, which no header gives; counted to just above `MAX_SCANS`."""
    scans, position = 0, 2
    while data.startswith(b"\xff\xd8") and (marker := MARKER.search(data, position)):
        if marker[1] == EOI or scans > MAX_SCANS:
            break
        scans += marker[1] == SOS
        length = data[marker.end() : marker.end() + 2]
        position = marker.end() + int.from_bytes(length)
    return scans


def _upright(picture: "PIL.Image.Image") -> "PIL.Image.Image":
    """Turned as its EXIF data says. Pillow turns a TIFF itself and removes the tag."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:
        turn = turns.get(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # garbage in the EXIF data does not spoil the picture
        turn = None
    return picture if turn is None else picture.transpose(turn)


def _rgb(picture: "PIL.Image.Image") -> "PIL.Image.Image":
    """In three colors, as a viewer would show it on white paper."""
    import PIL.Image

    if picture.mode.startswith(("I", "F")):  # Pillow would cut these off at 255
        picture = PIL.Image.fromarray(_eight_bits(np.asarray(picture)))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        paper = PIL.Image.new("RGB", picture.size, "white")
        paper.paste(picture, mask=picture.getchannel("A"))
        return paper
    return picture.convert("RGB")


def _eight_bits(gray: npt.NDArray[Any]) -> Image:
    """16-bit, 32-bit or float gray in 8 bits.

    Black is 0. White is 65535, or 1 for floats; if there are larger values, the largest.
    """
    values = np.nan_to_num(gray.astype(np.float32), posinf=0, neginf=0)
    white = max(1.0 if gray.dtype.kind == "f" else 65535.0, float(values.max()))
    return np.asarray(np.clip(values, 0, white) * (255 / white), np.uint8)


def _describe(data: bytes) -> str:
    """What a file is that cannot be read as a picture."""
    if not data:
        return "is empty"
    begin = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    kinds = (kind for offset, magic, kind in SIGNATURES if begin.startswith(magic, offset))
    kind = next(kinds, "not a picture")
    return f"is {kind}" + ("" if kind == BROKEN else f"; {', '.join(FORMATS)} can be read")
