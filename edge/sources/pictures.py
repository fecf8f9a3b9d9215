"""Still pictures, decoded in one way for the daemon and for every tool.

The same file gives the same pixels whichever OpenCV is installed: Pillow reads it, which is
imported when the first picture comes, so that a daemon with a camera does not pay for it.
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
"""Pillow's names. It knows others, for some of which it starts programs."""
SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".mpo"),
        *(".png", ".apng", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff"),
        *(".pbm", ".pgm", ".ppm", ".pnm"),
    }
)
"""Lower-case suffixes of these formats. Only the content of a file decides which one it is."""
ANIMATIONS = ("PNG", "WEBP", "AVIF", "GIF")
"""Formats of which a file may be an animation. Further pictures in others are other pictures."""
SHORTEST_MS, USUAL_MS = 20.0, 100.0
"""Browsers show a picture of an animation for 100 ms if its file asks for less than 20."""

MAX_PIXELS = 80_000_000
"""Of a picture, by its header; more is refused before memory is taken for it."""
MAX_BYTES = 250_000_000
"""Of a file: `MAX_PIXELS` of 24 bits, not compressed."""
MAX_SCANS = 100
"""Of a JPEG. Programs write about 10; each costs another pass over all pixels."""

ORIENTATION = 0x0112
"""The tag of EXIF and TIFF."""
MARKER = re.compile(rb"\xff+([\xc0-\xcf\xd8-\xfe])")
"""Of a JPEG's segments and scans; the others stand within a scan."""
SOS, EOI = b"\xda", b"\xd9"
"""Start of a scan, end of the picture (ITU-T T.81, table B.1)."""
BROKEN = "a broken picture"
KINDS = (
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
    (0, b"version https://git-lfs", "a Git LFS pointer, the picture itself was not fetched"),
)
"""What a file is that begins so, in lower case, after this many bytes."""


class PictureError(Exception):
    """A picture that cannot be had. The text says why; whoever catches it knows its name."""


def read(path: Path) -> Image:
    """The picture in a file, as `decode` returns it. Raises PictureError."""
    return decode(contents(path))


def contents(path: Path) -> bytes:
    """What `decode` needs of a file, however large that is. Raises PictureError."""
    try:
        # not imread, which crashes on a name that is not UTF-8
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise PictureError(f"cannot be read ({getattr(error, 'strerror', error)})") from error


def decode(data: bytes) -> Image:
    """B G R uint8, H x W x 3, contiguous, upright as its EXIF data says; what is clear is white.

    Of several pictures, as in a GIF, the first. Raises PictureError if `data` is not a picture, is
    broken or cut short, or is too large.
    """
    with _opened(data) as picture:
        return _pixels(picture)


def animation(path: Path) -> Generator[tuple[Image, float], None, None]:
    """The pictures of an animation, or the only one of a file, as `decode` returns them.

    Each comes with its time stamp, milliseconds, of which the first is 0. Raises PictureError if
    there are none; also later, if the others are broken.
    """
    with _opened(contents(path)) as picture:
        # of an APNG the first picture is for programs that show no animation
        number = 1 if picture.info.get("default_image") else 0
        stamp_ms = 0.0
        while _seek(picture, number):
            yield _pixels(picture), stamp_ms
            if picture.format not in ANIMATIONS:
                return
            shown_ms = float(picture.info.get("duration") or 0)
            stamp_ms += shown_ms if shown_ms >= SHORTEST_MS else USUAL_MS
            number += 1


def _seek(picture: "PIL.Image.Image", number: int) -> bool:
    """Whether there is a picture of this number, counted from 0; it is the one to load now."""
    try:
        picture.seek(number)
    except EOFError:
        return False
    except Exception as error:
        raise PictureError(f"is {BROKEN}") from error
    return True


def _opened(data: bytes) -> "PIL.Image.Image":
    """A picture of which no more than the header was read."""
    import PIL.Image

    # of broken EXIF data; catch_warnings would not do, for pictures are read by several threads
    warnings.filterwarnings("ignore", module=r"PIL\.")
    _limit("bytes", len(data), MAX_BYTES)
    _limit("scans", _scans(data), MAX_SCANS)
    try:
        picture = PIL.Image.open(io.BytesIO(data), formats=FORMATS)
    except PIL.Image.DecompressionBombError as error:
        raise PictureError(_too_many("pixels", MAX_PIXELS)) from error
    except Exception as error:  # of a broken file Pillow may raise anything
        raise PictureError(_kind(data)) from error
    _limit("pixels", picture.width * picture.height, MAX_PIXELS)
    return picture


def _pixels(picture: "PIL.Image.Image") -> Image:
    try:
        picture.load()
        rgb = np.asarray(_rgb(_upright(picture)), np.uint8)
        return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)
    except MemoryError as error:
        raise PictureError("needs more memory than there is") from error
    except Exception as error:  # likewise
        raise PictureError(f"is {BROKEN}") from error


def _limit(what: str, number: int, most: int) -> None:
    if number > most:
        raise PictureError(_too_many(what, most))


def _too_many(what: str, most: int) -> str:
    return f"has more than {f'{most // 10**6} million' if most >= 10**6 else most} {what}"


def _scans(data: bytes) -> int:
    """Of a JPEG, whose number no header gives; counted no further than is allowed."""
    scans, at = 0, 2
    while data.startswith(b"\xff\xd8") and (marker := MARKER.search(data, at)):
        if marker[1] == EOI or scans > MAX_SCANS:
            break
        scans += marker[1] == SOS
        length = data[marker.end() : marker.end() + 2]
        at = marker.end() + int.from_bytes(length)
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
    except Exception:  # EXIF data that is garbage does not spoil the picture
        turn = None
    return picture if turn is None else picture.transpose(turn)


def _rgb(picture: "PIL.Image.Image") -> "PIL.Image.Image":
    """In the three colours, as a viewer would show it on white paper."""
    import PIL.Image

    if picture.mode.startswith(("I", "F")):  # Pillow would cut these off at 255
        picture = PIL.Image.fromarray(_shown(np.asarray(picture)))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        paper = PIL.Image.new("RGB", picture.size, "white")
        paper.paste(picture, mask=picture.getchannel("A"))
        return paper
    return picture.convert("RGB")


def _shown(gray: npt.NDArray[Any]) -> Image:
    """16-bit, 32-bit or float gray in 8 bits.

    Black is 0. White is 65535 or, of floats, 1; if there are larger values, the largest.
    """
    values = np.nan_to_num(gray.astype(np.float32), posinf=0, neginf=0)
    white = max(1.0 if gray.dtype.kind == "f" else 65535.0, float(values.max()))
    return np.asarray(np.clip(values, 0, white) * (255 / white), np.uint8)


def _kind(data: bytes) -> str:
    """What it is that somebody took for a picture."""
    if not data:
        return "is empty"
    begin = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    kinds = (kind for at, magic, kind in KINDS if begin.startswith(magic, at))
    kind = next(kinds, "not a picture")
    return f"is {kind}" + ("" if kind == BROKEN else f"; {', '.join(FORMATS)} can be read")
