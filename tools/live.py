"""Watch the real pipeline on a camera or clip: boxes, labels, speed, running counts.

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
from tools.evaluation.replay import is_endless, load_unrestricted, with_progress
from tools.plotting.boxes import draw_caption
from tools.plotting.film import Film, annotated
from tools.plotting.screen import Screen
from tools.replay import by_label

SPEED_FRAMES = 20
"""The speed is measured over this many frames."""


class LiveView:
    """Shows each frame with the counts so far."""

    def __init__(self, view: Film | Screen) -> None:
        self.people = People()
        self._view = view
        self._times: deque[float] = deque(maxlen=SPEED_FRAMES)

    def on_visit(self, visit: Visit) -> None:
        """Count a person who has left."""
        self.people += People(**{visit.label: 1})

    def on_frame(self, frame: Frame, tracks: Sequence[Track]) -> None:
        """Show a frame that was analyzed."""
        in_view = sum(track.is_visitor for track in tracks)
        parts = [
            f"in view {in_view}",
            f"counted {by_label(self.people)}",
            "a person counts on leaving",
            f"{self._fps():.1f} frames per second",
        ]
        self._view(draw_caption(annotated(frame, tracks), parts), frame.mono)

    def _fps(self) -> float:
        """Frames per second on this machine, drawing included; not the rate of the clip."""
        self._times.append(time.monotonic())
        elapsed = self._times[-1] - self._times[0]
        return (len(self._times) - 1) / elapsed if elapsed else 0.0


def watch(config: Config, live: LiveView, stopped: Callable[[], bool]) -> None:
    """Run until the source ends or `stopped()`. Raises EdgeError."""
    pipeline = wiring.pipeline(
        config,
        wiring.models(config),
        Health(),
        on_window=lambda _: None,  # the view counts each visit at once, a window only later
        on_visit=live.on_visit,
        on_frame=live.on_frame,
    )
    # without `recover` a camera's first failure ends the view, and never restarts the machine
    with closing(wiring.frames(config, stopped, recover=False)) as frames:
        watched = frames if is_endless(config.source) else with_progress(frames, config)
        with closing(watched):
            pipeline.run(takewhile(lambda _: not stopped(), watched))


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
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    try:
        config = load_unrestricted(args.config, source)
        if args.save:
            outputs.need_other("--save", args.save, [config.source])
            outputs.need_free("--save", args.save, force=args.force)
        # a recording's rate follows from its frames
        endless = is_endless(config.source)
        fps = config.camera.fps if endless else None
        if endless:
            print(f"{redacted_source(config.source)}: Ctrl-C ends it", file=sys.stderr)
        view = Film(args.save, fps) if args.save else Screen("live")
        live = LiveView(view)
        with closing(view):
            watch(config, live, lambda: stopped.is_set() or view.closed)
    except EdgeError as error:
        print(f"live: {error}", file=sys.stderr)
        return error.exit_code
    print(f"counted   {by_label(live.people)}")
    return 0


if __name__ == "__main__":
    run_command(main)
