"""Make docs/demo.webp, the demo as an animated picture. Run by hand, with `make tools` installed.

python -m tests.system.demo_film docs/demo.webp
python -m tests.system.demo_film film.webp --cycle 3 --seconds 20 --frames frames
"""

import argparse
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from selenium import webdriver

from edge import wiring
from edge.health import Health
from edge.sources.demo import CYCLE_S, Scene
from edge.sources.frame import frame_of
from edge.types import CaptureSettings, Frame, Track
from tests.support.chromium import open_chromium
from tests.support.commands import wait_for
from tests.support.dashboard import NOON
from tests.support.paths import ROOT
from tools.evaluation.replay import load_unrestricted
from tools.plotting.film import annotated

FPS = 8
"""Pictures a second."""
PAGE_FPS = 4
"""Of them, those with a new look at the page: a browser takes its time for each."""
WINDOW = (1180, 712)
"""Size of the browser's window, pixels."""
PAGE = (1100, 664)
"""Size of the page in the film, pixels."""
SCENE = (400, 225)
"""Size of what the camera sees, pixels."""
GAP = 12
GROUND, CARD, INK, SOFT, LINE = "#f4f5f8", "#ffffff", "#131722", "#5a6272", "#e3e6ec"
"""Colors of the page."""
LINE_PX = 20
Picture = Image.Image
V = TypeVar("V")


@dataclass
class Timed:
    """What there was to see, each with the moment since when, seconds of `time.monotonic`."""

    pictures: list[tuple[float, Picture]] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)

    def windows(self) -> list[float]:
        """When each whole window was printed."""
        return [moment for moment, line in self.lines if "  really " in line]

    def scene_began(self) -> float:
        """A window is printed soon after its last second, some later than others."""
        return min(at - CYCLE_S * number for number, at in enumerate(self.windows(), 1))


@contextmanager
def demo(timed: Timed) -> Iterator[None]:
    """The demo with its page, at noon."""
    program = subprocess.Popen(
        [sys.executable, "-u", "tools/demo.py", "--source", "demo"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | {"TZ": NOON},
    )  # fmt: skip

    def read() -> None:
        assert program.stdout is not None
        for line in program.stdout:
            timed.lines.append((time.monotonic(), line.rstrip()))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        program.send_signal(signal.SIGINT)
        program.wait(20)
        reader.join()


def film_page(driver: webdriver.Chrome, timed: Timed, until: float) -> None:
    """Take pictures of the page until this second of the scene."""
    while not timed.windows() or time.monotonic() < timed.scene_began() + until:
        at = time.monotonic()
        picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
        timed.pictures.append((at, picture.resize(PAGE, Image.Resampling.LANCZOS)))
        time.sleep(max(0.0, at + 1 / PAGE_FPS - time.monotonic()))


def record(until: float) -> Timed:
    """The demo's lines and its page, until this second of the scene."""
    timed = Timed()
    driver = open_chromium("--hide-scrollbars")
    size = {"width": WINDOW[0], "height": WINDOW[1], "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        with demo(timed):
            wait_for(lambda: any("page  " in line for _, line in timed.lines), "no page")
            (line,) = (line for _, line in timed.lines if line.startswith("page  "))
            driver.get(f"{line.split()[1].rstrip(';')}#light")
            film_page(driver, timed, until)
    finally:
        driver.quit()
    return timed


def seen(start: float, end: float) -> list[tuple[float, Picture]]:
    """What the camera sees, with the daemon's boxes, by the second of the scene."""
    pictures: list[tuple[float, Picture]] = []

    def on_frame(frame: Frame, tracks: Sequence[Track]) -> None:
        drawn = Image.fromarray(np.ascontiguousarray(annotated(frame, tracks)[:, :, ::-1]))
        pictures.append((frame.mono, drawn.resize(SCENE, Image.Resampling.LANCZOS)))

    config = load_unrestricted(ROOT / "config.yaml", "demo")
    pipeline = wiring.pipeline(
        config, wiring.models(config), Health(), on_window=lambda _: None, on_frame=on_frame
    )
    pipeline.run(frames(start, end, config.camera.fps))
    return pictures


def frames(start: float, end: float, fps: float) -> Iterator[Frame]:
    """As the daemon gets them, but as fast as they can be drawn."""
    scene, settings = Scene(), CaptureSettings()
    for seq in range(round(start * fps), round(end * fps)):
        yield frame_of(seq, seq / fps, seq / fps, scene.draw(seq / fps), settings)


def latest(items: Sequence[tuple[float, V]], moment: float) -> V:
    """What there was at a moment."""
    return next((item for at, item in reversed(items) if at <= moment), items[0][1])


def composed(scene: Picture, lines: Sequence[str], page: Picture) -> Picture:
    """One picture of the film: the camera's view beside what the demo prints, above the page."""
    film = Image.new("RGB", (PAGE[0] + 2 * GAP, SCENE[1] + PAGE[1] + 3 * GAP), GROUND)
    film.paste(scene, (GAP, GAP))
    left, right, below = SCENE[0] + 2 * GAP, film.width - GAP, GAP + SCENE[1]
    pen = ImageDraw.Draw(film)
    pen.rounded_rectangle((left, GAP, right, below), 10, CARD, LINE)
    most = (SCENE[1] - 2 * GAP) // LINE_PX
    for number, line in enumerate(["$ make demo", *lines][-most:]):
        color = INK if "counted" in line or line.startswith("$") else SOFT
        pen.text((left + GAP, 2 * GAP + LINE_PX * number), line, color, font("DejaVuSansMono", 11))
    film.paste(page, (GAP, below + GAP))
    return film


def is_right(line: str) -> bool:
    """Whether the people counted are those who really walked past, if both are known."""
    found = re.search(r"counted (.+?)   really (.+?)   in all", line)
    return found is None or found[1] == found[2]


def font(name: str, px: int) -> ImageFont.FreeTypeFont:
    """One that comes with Matplotlib."""
    return ImageFont.truetype(f"{mpl.get_data_path()}/fonts/ttf/{name}.ttf", px)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--cycle", type=int, default=5, help="group it begins with (5)")
    parser.add_argument("--seconds", type=float, default=13, help="of the film (13)")
    parser.add_argument("--quality", type=int, default=80, help="1 to 100 (80)")
    parser.add_argument("--frames", type=Path, metavar="FOLDER", help="write each picture, too")
    args = parser.parse_args()
    start = CYCLE_S * args.cycle + 1
    end = start + args.seconds
    timed = record(end)
    scene, began = seen(CYCLE_S * args.cycle, end), timed.scene_began()
    film = []
    for number in range(round(FPS * args.seconds)):
        moment = start + number / FPS
        lines = [line for at, line in timed.lines if at <= began + moment]
        page = latest(timed.pictures, began + moment)
        film.append(composed(latest(scene, moment), lines, page))
    film[0].save(
        args.film, save_all=True, append_images=film[1:], duration=round(1000 / FPS), loop=0,
        quality=args.quality, method=6, minimize_size=True, allow_mixed=True,
    )  # fmt: skip
    if args.frames:
        args.frames.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(film):
            picture.save(args.frames / f"{number:03}.png")
    if any(not is_right(line) for _, line in timed.lines):
        print("the machine was too busy for the demo: a number is wrong; do it again")
    print(f"{args.film}: {len(film)} pictures, {args.film.stat().st_size} bytes")


if __name__ == "__main__":
    main()
