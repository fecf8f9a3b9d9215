"""Still pictures: every format alike, upright, bounded, and refused in clear words."""

import io
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL.Image import Transpose

from edge.sources import pictures
from edge.sources.demo import Scene
from edge.sources.pictures import PictureError, decode
from tests.support.paths import ROOT

STORED = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}
"""How a camera held so stores an upright picture."""


def encoded(picture: PIL.Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def scene() -> PIL.Image.Image:
    return PIL.Image.fromarray(Scene().draw(53.0)[:, :, ::-1])


def turned(picture: PIL.Image.Image, kind: str, orientation: int) -> bytes:
    """The picture as a camera stores it that was held in another way."""
    turn = STORED[orientation]
    exif = PIL.Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    stored = picture if turn is None else picture.transpose(turn)
    return encoded(stored, kind, exif=exif, quality=95)


def png(width: int, height: int, depth: int = 8, colour: int = 2, rows: bytes = b"") -> bytes:
    """A PNG that is complete but for its pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    """A GIF of one frame without pixels."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0)
    return head + b"\x2c" + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x00\x3b"


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_is_turned_upright(kind: str, orientation: int) -> None:
    view = Scene().draw(53.0)
    image = decode(turned(scene(), kind, orientation))
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    assert image.shape == view.shape
    assert np.abs(image.astype(int) - view).mean() < 3


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_nothing_is_lost_that_the_format_keeps(kind: str) -> None:
    assert np.array_equal(decode(encoded(scene(), kind)), Scene().draw(53.0))


def steps(top: float, dtype: type) -> PIL.Image.Image:
    """Gray from black to white in one row."""
    return PIL.Image.fromarray(np.linspace(0, top, 256)[None].astype(dtype))


@pytest.mark.parametrize(
    "data",
    [
        encoded(steps(255, np.uint8), "PNG"),
        encoded(steps(65535, np.uint16), "PNG"),
        encoded(steps(65535, np.uint16), "TIFF"),
        encoded(steps(65535, np.uint16), "PPM"),
        encoded(steps(65535, np.int32), "TIFF"),
        encoded(steps(2**24, np.int32), "TIFF"),
        encoded(steps(1, np.float32), "TIFF"),
        encoded(steps(255, np.float32), "TIFF"),
    ],
    ids=["8", "png 16", "tiff 16", "pgm 16", "tiff 32", "more", "float", "float 255"],
)
def test_gray_of_any_depth_is_as_bright(data: bytes) -> None:
    image = decode(data)
    assert image.shape == (1, 256, 3)
    assert np.abs(image[0].astype(int) - np.arange(256)[:, None]).max() <= 1


RED, BLUE, WHITE = (0, 0, 255), (255, 0, 0), (255, 255, 255)


def halves(mode: str) -> PIL.Image.Image:
    """Red, and clear at the right."""
    picture = PIL.Image.new("RGBA", (20, 10), "red")
    picture.paste((0, 0, 0, 0), (10, 0, 20, 10))
    return picture.convert(mode)


@pytest.mark.parametrize(
    "data",
    [
        encoded(halves("RGBA"), "PNG"),
        encoded(halves("RGBA"), "WEBP", lossless=True),
        encoded(halves("RGBA"), "TIFF"),
        encoded(halves("RGBA").quantize(), "PNG"),
        encoded(halves("RGBA"), "GIF", save_all=True, append_images=[halves("RGB")]),
    ],
    ids=["png", "webp", "tiff", "palette", "gif"],
)
def test_what_is_clear_is_white(data: bytes) -> None:
    image = decode(data)
    assert tuple(image[5, 5]) == RED
    assert tuple(image[5, 15]) == WHITE


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_colours_for_the_press(kind: str) -> None:
    image = decode(encoded(PIL.Image.new("RGB", (16, 16), "blue").convert("CMYK"), kind))
    assert np.abs(image[8, 8].astype(int) - BLUE).max() < 8


def test_the_first_of_several_pictures() -> None:
    others = [PIL.Image.new("RGB", (8, 8), "blue")]
    for kind in ("GIF", "WEBP", "TIFF", "PNG", "AVIF"):
        data = encoded(
            PIL.Image.new("RGB", (8, 8), "red"), kind, save_all=True, append_images=others
        )
        assert np.abs(decode(data)[4, 4].astype(int) - RED).max() < 8, kind


def progressive(scans: int) -> bytes:
    """A JPEG whose last scan comes again and again."""
    data = encoded(PIL.Image.new("RGB", (64, 64)), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * scans + b"\xff\xd9"


PIXELS = "has more than 80 million pixels"


def canvas(width: int, height: int) -> bytes:
    """An animated WebP whose canvas is said to be so large."""
    red = PIL.Image.new("RGB", (20, 20), "red")
    data = bytearray(encoded(red, "WEBP", save_all=True, append_images=[scene().resize((20, 20))]))
    at = data.index(b"VP8X") + 12
    data[at : at + 6] = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: encoded(PIL.Image.new("1", (20_000, 20_000)), "PNG"), PIXELS),
        (
            lambda: encoded(PIL.Image.new("1", (20_000, 4_001)), "TIFF", compression="group4"),
            PIXELS,
        ),
        (lambda: png(2**31 - 1, 2**31 - 1), PIXELS),
        (lambda: png(8_001, 10_000), PIXELS),
        (lambda: gif((65_535, 65_535), (9, 9)), PIXELS),
        (lambda: gif((9, 9), (65_535, 65_535)), PIXELS),
        (lambda: canvas(16_000, 16_000), PIXELS),
        (lambda: progressive(200), "has more than 100 scans"),
    ],
    ids=["png", "tiff", "png header", "png limit", "gif", "gif frame", "webp", "scans"],
)
def test_work_is_bounded_before_it_begins(make: Callable[[], bytes], reason: str) -> None:
    data = make()
    begin = time.monotonic()
    with pytest.raises(PictureError, match=f"^{reason}$"):
        decode(data)
    assert time.monotonic() - begin < 1


def test_a_file_without_end() -> None:
    code = (
        "import resource, edge.sources.pictures as p, pathlib\n"
        "p.MAX_BYTES = 2**20\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "p.read(pathlib.Path('/dev/zero'))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stderr.splitlines()[-1].endswith("PictureError: has more than 1 million bytes")


def test_scans_are_those_of_the_picture_itself() -> None:
    data = encoded(scene(), "JPEG")
    video = b"\xff\xda\0\0" * 500  # phones append some seconds before the picture
    assert np.array_equal(decode(data + video), decode(data))
    assert decode(progressive(50)).shape == (64, 64, 3)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 65_000), (65_000, 1), (3, 40_000)])
def test_any_shape_is_a_picture(size: tuple[int, int]) -> None:
    assert decode(encoded(PIL.Image.new("1", size), "PNG")).shape == (*size[::-1], 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "PPM"])
def test_a_file_cut_short_is_broken(kind: str) -> None:
    data = encoded(scene(), kind)
    assert decode(data).shape == (360, 640, 3)
    for share in (0.2, 0.5, 0.9):
        with pytest.raises(PictureError, match=r"^is a broken picture$"):
            decode(data[: int(len(data) * share)])


def test_a_broken_header() -> None:
    for data in (png(0, 0), png(9, 9), png(9, 9, depth=7), b"\xff\xd8\xff\xe0", b"GIF89a"):
        with pytest.raises(PictureError, match=r"^is a broken picture$"):
            decode(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (bytes(1000), "is not a picture; JPEG, PNG, "),
        (b"hello", "is not a picture; JPEG, PNG, "),
        (b"<?xml version='1.0'?>\n<svg/>", "is an SVG drawing or other XML; JPEG, PNG, "),
        (b"\n<svg/>", "is an SVG drawing; "),
        (b"\xef\xbb\xbf<!DOCTYPE HTML>", "is a web page; "),
        (b"%PDF-1.4\n", "is a PDF; "),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC picture; "),
        (b"\0\0\0\x18ftypisom", "is a video; "),
        (b"PK\x03\x04", "is a zip file; "),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    ],
)
def test_other_files_are_named(data: bytes, reason: str) -> None:
    with pytest.raises(PictureError) as caught:
        decode(data)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"\xff" * 60,
        b"Exif\0\0",
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0" + b"\xff" * 40,
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\xff\xff\xff\xff\0\0\0\6" * 3,
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x03\0\0\0ab\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0",
    ],
)
def test_garbage_in_its_exif_data_does_not_spoil_a_picture(
    kind: str, exif: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    assert decode(encoded(PIL.Image.new("RGB", (20, 30)), kind, exif=exif)).shape == (30, 20, 3)
    assert capfd.readouterr().err == ""


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    file = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.png"))
    scene().save(file)
    assert pictures.read(file).shape == (360, 640, 3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".", "cannot be read (Is a directory)"),
        ("none.png", "cannot be read (No such file or directory)"),
        ("a\0b.png", "cannot be read (embedded null byte)"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(PictureError) as caught:
        pictures.read(tmp_path / name)
    assert str(caught.value) == reason


def test_a_daemon_with_a_camera_does_not_pay_for_it() -> None:
    code = "import edge.__main__, edge.sources.pictures, sys; print('PIL' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "False\n", run.stderr
