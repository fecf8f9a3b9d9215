"""Pictures and figures written to files, in the formats that Matplotlib knows."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import EdgeError
from edge.types import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def need_format(path: Path) -> None:
    """Raises EdgeError if a picture cannot be written to a file with this suffix."""
    from matplotlib.figure import Figure  # slow to import

    formats = Figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise EdgeError(f"{path}: cannot be written (not one of {', '.join(sorted(formats))})")


def save_picture(picture: Image, path: Path) -> None:
    """Write a B G R picture, pixel for pixel. Raises EdgeError."""
    from matplotlib.image import imsave  # slow to import

    _save(path, lambda: imsave(path, picture[:, :, ::-1]))


def save_figure(figure: "Figure", path: Path) -> None:
    """Raises EdgeError if the file cannot be written."""
    _save(path, lambda: figure.savefig(path))


def _save(path: Path, write: Callable[[], None]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise EdgeError(f"{path}: cannot be written ({reason})") from error
