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
DPI = 100
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
    """The frame's picture with a box for each track seen in it: its number and labels so far."""
    picture = frame.image.copy()
    for track in tracks:
        label = UNKNOWN if track.votes == 0 else LABELS[track.log_odds > 0]
        age = "" if track.age == UNKNOWN else track.age
        said = f"{label} {age}".rstrip() if track.confirmed else "?"
        text = "static" if track.static else f"{track.id} {said}"
        x, y, w, h = (round(v) for v in (track.box.x, track.box.y, track.box.w, track.box.h))
        cv2.rectangle(picture, (x, y), (x + w, y + h), COLOURS[label], 2)
        _write(picture, text, x, max(12, y - 5), COLOURS[label])
    return picture


def captioned(picture: Image, text: str) -> Image:
    """The same picture with a line of white text on a dark strip along its lower edge."""
    height, width = picture.shape[:2]
    scale = width / 640
    picture[max(0, height - round(22 * scale)) :] //= 4
    _write(picture, text, round(6 * scale), height - round(7 * scale), (255, 255, 255), scale)
    return picture


def _write(
    picture: Image, text: str, x: int, y: int, colour: tuple[int, int, int], scale: float = 1
) -> None:
    thick = max(1, round(scale))
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.45 * scale
    cv2.putText(picture, text, (x, y), font, size, colour, thick, cv2.LINE_AA)


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

    def __call__(self, picture: Image, mono: float) -> None:
        """One more, taken at `mono` seconds: written again where it is late, left out where early.

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
            height, width = picture.shape[:2]
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), code, self._fps, (width, height))
            if not self._writer.isOpened():
                raise EdgeError(f"{self._path}: cannot be written as a video; name an .mp4 file")
        self._due += min(passed, LONGEST_GAP_S) * self._fps
        while self._written < round(self._due):
            self._writer.write(picture)
            self._written += 1

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()


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
        above = box.y > 20 * larger
        axes.annotate(
            ", ".join(f"{name} {g.confidence:.2f}" for name, g in look.prediction.by_text.items()),
            (max(0, box.x), max(0, box.y)),
            (0, 3 if above else -3),
            textcoords="offset points",
            verticalalignment="bottom" if above else "top",
            fontsize=9 * larger,
            color="black",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.5 * larger},
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
