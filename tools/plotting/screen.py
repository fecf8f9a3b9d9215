"""Pictures in a window.

Matplotlib is slow to import: it is imported when a window is asked for.
"""

from typing import TYPE_CHECKING

from edge.errors import EdgeError
from edge.types import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

DPI = 100
MAX_WINDOW_PX = 1000
"""Longer side of a window that shows a single picture."""


def need_screen() -> None:
    """Raises EdgeError if there is no screen."""
    import matplotlib.pyplot as plt

    if plt.get_backend().lower() == "agg":
        raise EdgeError("there is no screen here; --save writes a file instead")


class Screen:
    """Shows one picture after another in the same window."""

    def __init__(self, title: str) -> None:
        """Raises EdgeError if there is no screen."""
        need_screen()
        self._title = title
        self._image: AxesImage | None = None

    def __call__(self, picture: Image, _mono: float) -> None:
        """Show a B G R picture."""
        import matplotlib.pyplot as plt

        if self._image is None:
            self._image = _fill(plt.figure(self._title, figsize=(10, 6)), picture)
        self._image.set_data(picture[:, :, ::-1])
        plt.pause(0.001)

    @property
    def closed(self) -> bool:
        """Whether the user has closed the window."""
        import matplotlib.pyplot as plt

        return self._image is not None and not plt.fignum_exists(self._title)

    def close(self) -> None:
        import matplotlib.pyplot as plt

        plt.close(self._title)


def show_until_closed(picture: Image, title: str) -> None:
    """Show a B G R picture, shrunk to the window, until the user closes it."""
    import matplotlib.pyplot as plt

    height, width = picture.shape[:2]
    scale = DPI * max(1.0, max(height, width) / MAX_WINDOW_PX)
    figure = plt.figure(title, figsize=(width / scale, height / scale), dpi=DPI)
    _fill(figure, picture)
    plt.show()
    plt.close(figure)


def _fill(figure: "Figure", picture: Image) -> "AxesImage":
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    return axes.imshow(picture[:, :, ::-1])
