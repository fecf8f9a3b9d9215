"""Watch the real pipeline at work on a camera or clip: boxes, labels, speed, running counts.

python tools/live.py
python tools/live.py --source clip.mp4 --save seen.mp4
"""

import argparse
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import takewhile
from pathlib import Path

from edge import wiring
from edge.config import Config
from edge.errors import EdgeError
from edge.health import Health
from edge.sources.name import redacted_source
from edge.types import Frame, People, Track, Visit
from tools.cli import outputs
from tools.cli.exit import add_verbose, run_command
from tools.cli.options import add_config, add_sources, named_source
from tools.plotting.drawing import Film, Screen, annotated, captioned, need_other
from tools.replay import configured, is_endless, recorded, split

SPEED_OVER = 20
"""Frames over which the speed is measured."""


class Live:
    """Draws each frame with what was counted up to it."""

    def __init__(self, view: Film | Screen) -> None:
        self.people = People()
        self._view = view
        self._times: deque[float] = deque(maxlen=SPEED_OVER)

    def on_visit(self, visit: Visit) -> None:
        """Somebody has left, and counts now."""
        self.people += People(**{visit.label: 1})

    def on_frame(self, frame: Frame, tracks: Sequence[Track]) -> None:
        """One frame was analysed."""
        here = sum(track.confirmed and not track.stationary for track in tracks)
        parts = [
            f"in view {here}",
            f"counted {split(self.people)}",
            "a person counts on leaving",
            f"{self._fps():.1f} frames per second",
        ]
        self._view(captioned(annotated(frame, tracks), parts), frame.mono)

    def _fps(self) -> float:
        """Of this machine, drawing included, whatever the clip's own is."""
        self._times.append(time.monotonic())
        elapsed = self._times[-1] - self._times[0]
        return (len(self._times) - 1) / elapsed if elapsed else 0.0


def watch(config: Config, live: Live, stopped: Callable[[], bool]) -> None:
    """Run until the source ends or `stopped()`. Raises EdgeError."""
    pipeline = wiring.pipeline(
        config,
        wiring.models(config),
        Health(),
        on_window=lambda _: None,  # a window shows late and in part what is drawn at once
        on_visit=live.on_visit,
        on_frame=live.on_frame,
    )
    # without `recover` a camera's first failure ends it, and the machine is never restarted
    with closing(wiring.frames(config, stopped, recover=False)) as frames:
        shown = frames if is_endless(config.source) else recorded(frames, config)
        with closing(shown):
            pipeline.run(takewhile(lambda _: not stopped(), shown))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_sources(parser, "auto, a file, a URL, demo, ...; default: the configuration's")
    add_config(parser)
    parser.add_argument(
        "--save", type=Path, metavar="MP4", help="write a clip instead of showing a window"
    )
    outputs.add_arguments(parser)
    add_verbose(parser)
    args = parser.parse_args()
    source = named_source(parser, args)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    try:
        config = configured(args.config, source)
        if args.save:
            need_other(args.save, [config.source])
            outputs.need_free("--save", args.save, force=args.force)
        # a recording's own frames show how fast they follow
        endless = is_endless(config.source)
        fps = config.camera.fps if endless else None
        if endless:
            print(f"{redacted_source(config.source)}: Ctrl-C ends it", file=sys.stderr)
        view = Film(args.save, fps) if args.save else Screen("live")
        live = Live(view)
        with closing(view):
            watch(config, live, lambda: over.is_set() or view.closed)
    except EdgeError as error:
        print(f"live: {error}", file=sys.stderr)
        return error.exit_code
    print(f"counted   {split(live.people)}")
    return 0


if __name__ == "__main__":
    run_command(main)
