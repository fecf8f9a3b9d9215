"""Faces drawn: on the frames of a clip, on a picture, on a sheet of many."""

import contextlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from edge.errors import ConfigError, EdgeError
from edge.types import LABELS, UNKNOWN, Frame, Image, Track
from tools.evaluation.inference import ClassifiedFace

COLOURS = {"female": (80, 80, 255), "male": (255, 160, 60), UNKNOWN: (180, 180, 180)}
"""B, G, R of a box by its label."""
AGED = (80, 160, 60)
"""The same where only age is estimated."""
FONT, FONT_SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
"""Of what is written on a frame 640 pixels wide, whose capitals are then 10 pixels high."""
PAD_PX = 4
"""Around what is written, pixels of such a frame."""
READABLE_PX = 480
"""A frame must be this wide for labels beside a face."""
NO_FACES = "no faces"
DPI = 100
LETTER = 0.62
"""Mean width of a letter in a picture's labels, in units of the font's size."""
POINTS = 72 / DPI
"""Of a font, per pixel."""
WINDOW_PX = 1000
"""Longer side of a window for a picture, at most."""
LONGEST_GAP_S = 5.0
"""A camera that gives no picture for longer than this stands still for no longer in a film."""
COLUMNS = 8
"""Faces side by side on a sheet."""
WORST = 80
"""Most faces on a sheet of mistakes."""
NAME_LINE = 26
"""Letters of a file's name that fit below its face; it has two lines."""


# frames of a clip or camera


def annotated(frame: Frame, tracks: Sequence[Track]) -> Image:
    """The frame's picture with a box for each track seen in it: its number and labels so far.

    A picture narrower than `READABLE_PX` is enlarged, so that its labels can be read.
    """
    times = -(-READABLE_PX // frame.image.shape[1])
    picture = np.ascontiguousarray(frame.image.repeat(times, axis=0).repeat(times, axis=1))
    scale = _text_scale(picture)
    for track in tracks:
        label = UNKNOWN if track.votes == 0 else LABELS[track.log_odds > 0]
        age = "" if track.age == UNKNOWN else track.age
        text = f"{track.id} {label} {age}".rstrip() if track.confirmed else "face?"
        if track.stationary:
            text = "picture, not counted"
        sides = (track.box.x, track.box.y, track.box.w, track.box.h)
        x, y, w, h = (round(times * side) for side in sides)
        cv2.rectangle(picture, (x, y), (x + w, y + h), COLOURS[label], round(2 * scale))
        _write_label(picture, text, (x, y, y + h), COLOURS[label], scale)
    return picture


def _text_scale(picture: Image) -> float:
    """How many times larger than on a picture 640 wide its writing must be; never smaller."""
    return max(1.0, picture.shape[1] / 640)


def _write_label(
    picture: Image,
    text: str,
    beside: tuple[int, int, int],
    colour: tuple[int, int, int],
    scale: float,
) -> None:
    """Black on a field of `colour`, above or else below the box with this left side, top and
    bottom, and always within the picture."""
    left, above, below = beside
    height, width = picture.shape[:2]
    across, down, ascent = _text_size(text, scale)
    left = max(0, min(left, width - across))
    top = above - down if above >= down else min(below, height - down)
    top = max(0, min(top, height - down))
    cv2.rectangle(picture, (left, top), (left + across, top + down), colour, -1)
    _write(picture, text, left + round(PAD_PX * scale), top + ascent, (0, 0, 0), scale)


def _text_size(text: str, scale: float) -> tuple[int, int, int]:
    """Width and height of a line with its padding, and how far below its top letters stand."""
    (across, ascent), descent = cv2.getTextSize(text, FONT, FONT_SIZE * scale, _thick(scale))
    pad = round(PAD_PX * scale)
    return across + 2 * pad, ascent + descent + 2 * pad, ascent + pad


def captioned(picture: Image, parts: Sequence[str]) -> Image:
    """The same picture with white text on a dark strip along its lower edge.

    As many `parts` share a line as fit into it.
    """
    height, width = picture.shape[:2]
    scale = _text_scale(picture)
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]}   {part}" if lines else part
        if lines and _text_size(longer, scale)[0] <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    _, down, ascent = _text_size("Ag", scale)
    top = max(0, height - down * len(lines))
    picture[top:] //= 4
    for number, line in enumerate(lines):
        left, baseline = round(PAD_PX * scale), top + down * number + ascent
        _write(picture, line, left, baseline, (255, 255, 255), scale)
    return picture


def _write(
    picture: Image, text: str, x: int, y: int, colour: tuple[int, int, int], scale: float
) -> None:
    size = FONT_SIZE * scale
    cv2.putText(picture, text, (x, y), FONT, size, colour, _thick(scale), cv2.LINE_AA)


def _thick(scale: float) -> int:
    return max(1, round(scale))


class Film:
    """Writes pictures as a clip that runs as fast as they came."""

    closed = False
    """Nobody can close it, unlike a `Screen`."""

    def __init__(self, path: Path, fps: float | None = None) -> None:
        """Without `fps` the second picture tells how fast they come, and the first is left out."""
        self._path, self._fps = path, fps
        self._last: float | None = None
        self._due, self._written = 1.0, 0
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def __call__(self, picture: Image, mono: float) -> None:
        """One more, taken at `mono` seconds: written again where it is late, left out where early.

        One of another size than the first is shrunk or enlarged, with black beside it.

        Raises EdgeError where the file cannot be written.
        """
        if self._fps is None:
            if self._last is None:
                self._last = mono
                return
            self._fps, self._last = 1 / (mono - self._last), mono
        passed = 0.0 if self._last is None else mono - self._last
        self._last = mono
        if self._writer is None:
            self._size = (picture.shape[1], picture.shape[0])
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), code, self._fps, self._size)
            if not self._writer.isOpened():
                raise EdgeError(f"{self._path}: cannot be written as a video; name an .mp4 file")
        self._due += min(passed, LONGEST_GAP_S) * self._fps
        fitting = _fitted(picture, *self._size)  # a video has one size
        while self._written < round(self._due):
            self._writer.write(fitting)
            self._written += 1

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()


def _fitted(picture: Image, width: int, height: int) -> Image:
    """The picture as large as fits, in the middle of black."""
    if picture.shape[:2] == (height, width):
        return picture
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (max(1, round(scale * picture.shape[1])), max(1, round(scale * picture.shape[0])))
    right, below = width - size[0], height - size[1]
    sides = (below // 2, below - below // 2, right // 2, right - right // 2)
    return np.asarray(
        cv2.copyMakeBorder(cv2.resize(picture, size), *sides, cv2.BORDER_CONSTANT), np.uint8
    )


class Screen:
    """Shows picture after picture in a window."""

    def __init__(self, title: str) -> None:
        """Raises EdgeError where there is no screen."""
        need_screen()
        self._title = title
        self._shown: AxesImage | None = None

    def __call__(self, picture: Image, _mono: float) -> None:
        if self._shown is None:
            _, axes = plt.subplots(num=self._title, figsize=(10, 6), layout="constrained")
            axes.set_axis_off()
            self._shown = axes.imshow(picture[:, :, ::-1])
        self._shown.set_data(picture[:, :, ::-1])
        plt.pause(0.001)

    @property
    def closed(self) -> bool:
        """Whether the user has closed the window."""
        return self._shown is not None and not plt.fignum_exists(self._title)

    def close(self) -> None:
        plt.close(self._title)


def need_other(path: Path, sources: Iterable[str]) -> None:
    """Raises ConfigError where writing `path` would destroy one of `sources`."""
    for source in sources:
        with contextlib.suppress(OSError, ValueError):  # one of the two is not there
            if path.samefile(source):
                raise ConfigError(f"{path}: is to be looked at; name another file to write")


def need_screen() -> None:
    """Raises EdgeError where there is none."""
    if plt.get_backend().lower() == "agg":
        raise EdgeError("there is no screen here; --save writes a file instead")


# single pictures


def save_labelled(image: Image, looks: Sequence[ClassifiedFace], path: Path) -> None:
    """Write the picture with its faces, pixel for pixel. Raises EdgeError where that cannot be."""
    figure = Figure(dpi=DPI)
    _draw_labelled(image, looks, figure)
    _save(figure, path)


def show_labelled(image: Image, looks: Sequence[ClassifiedFace], title: str) -> None:
    """Show it in a window until the user closes that; a large one is made to fit."""
    figure = plt.figure(title, dpi=DPI / _enlarged(image))
    _draw_labelled(image, looks, figure)
    plt.show()
    plt.close(figure)


def _draw_labelled(image: Image, looks: Sequence[ClassifiedFace], figure: Figure) -> None:
    """A B G R picture and a box for each face; of those not sure, dashed and grey."""
    height, width = image.shape[:2]
    figure.set_size_inches(width / DPI, height / DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(image[:, :, ::-1], aspect="auto")
    larger = _enlarged(image)
    for look in looks:
        box, label = look.box, look.prediction.primary.label
        colour, line = _rgb(label), "--" if label == UNKNOWN else "-"
        axes.add_patch(
            Rectangle(
                (box.x, box.y),
                box.w,
                box.h,
                fill=False,
                edgecolor=colour,
                linewidth=2 * larger,
                linestyle=line,
            )
        )
        text = ", ".join(
            f"{name} {g.confidence:.2f}" for name, g in look.prediction.by_text.items()
        )
        above = box.y > 20 * larger
        # it reaches towards the middle of the picture, where there is more room
        right = box.cx > width / 2
        axes.annotate(
            text,
            (min(width, box.x + box.w) if right else max(0, box.x), max(0, box.y)),
            (0, 3 if above else -3),
            textcoords="offset points",
            horizontalalignment="right" if right else "left",
            verticalalignment="bottom" if above else "top",
            fontsize=min(9 * larger, width * POINTS / (LETTER * len(text))),
            color="black",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.5 * larger},
        )
    if not looks:
        axes.text(
            0.5,
            0.97,
            NO_FACES,
            transform=axes.transAxes,
            horizontalalignment="center",
            verticalalignment="top",
            fontsize=min(12 * larger, width * POINTS / (LETTER * len(NO_FACES))),
            color="black",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 3 * larger},
        )


def _enlarged(image: Image) -> float:
    """How many times larger than a window the picture is, so that its labels can be read there."""
    return max(1.0, max(image.shape[:2]) / WINDOW_PX)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A labelled face that was called what it is not."""

    file: str
    called: str
    confidence: float
    """Probability of what it was called."""
    crop: Image
    """The face as the model saw it, R G B or grey."""


def save_mistakes(mistakes: Sequence[Mistake], path: Path) -> None:
    """A sheet of the surest mistakes, the surest first. Raises EdgeError."""
    surest = sorted(mistakes, key=lambda mistake: -mistake.confidence)[:WORST]
    faces = [
        (m.crop, f"{m.called} {m.confidence:.2f}\n{fill(m.file[-2 * NAME_LINE :], NAME_LINE)}")
        for m in surest
    ]
    more = f", the surest {WORST}" if len(mistakes) > WORST else ""
    _save_sheet(faces, f"called wrongly: {len(mistakes)}{more}", path)


def _save_sheet(faces: Sequence[tuple[Image, str]], title: str, path: Path) -> None:
    rows = max(1, math.ceil(len(faces) / COLUMNS))
    figure = Figure(figsize=(1.6 * COLUMNS, 2.1 * rows + 0.4), dpi=DPI, layout="constrained")
    figure.suptitle(title)
    places = np.ravel(figure.subplots(rows, COLUMNS, squeeze=False))
    for axes in places:
        axes.set_axis_off()
    for axes, (crop, text) in zip(places, faces, strict=False):  # the last row may be short
        axes.imshow(crop, cmap="gray")
        axes.set_title(text, y=0, pad=-3, verticalalignment="top", fontsize=7)
    _save(figure, path)


def need_format(path: Path) -> None:
    """Raises EdgeError where a drawing cannot be written to a file of this suffix."""
    kinds = Figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds:
        raise EdgeError(f"{path}: cannot be written (not one of {', '.join(sorted(kinds))})")


def _save(figure: Figure, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise EdgeError(f"{path}: cannot be written ({reason})") from error


def _rgb(label: str) -> tuple[float, float, float]:
    blue, green, red = COLOURS.get(label, AGED)
    return red / 255, green / 255, blue / 255
