"""Months in minutes: does memory stay flat, and do counts survive a week of trouble?

    python tests/system/soak.py memory --frames 100000
    python tests/system/soak.py week --days 7

`memory` runs the whole daemon on a looped clip. `week` runs everything except the face detector,
which a schedule of visits replaces, against a real mosquitto: the broker goes away, the camera is
lost, and the clock jumps. Exits with 1 if memory grew by 5 MB or more after the first 1000 frames,
or a window was lost.
"""

import argparse
import contextlib
import itertools
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from edge import wiring
from edge.config import Config, load_config
from edge.delivery.courier import Courier
from edge.delivery.jsonl_publisher import JsonLinesPublisher
from edge.delivery.mqtt_publisher import MqttPublisher
from edge.health import Health
from edge.host import memory_mb
from edge.pipeline import Pipeline
from edge.reporter import Reporter
from edge.sources.recordings import open_file
from edge.tracking.tracker import Tracker
from edge.types import Box, Face, Frame, NoFrame, Visit
from tests.support.broker import Mosquitto, Subscriber
from tests.support.commands import wait_for
from tests.support.paths import ROOT
from tests.system.storm import LONGEST_S, YEAR_S, Outcome, judge, people_walk_past

DAY_S = 86_400
GROWTH_MB = 5.0
WIDTH = 240
"""Width in pixels to which the clip is scaled down: more frames per second, the same code."""


def settings(folder: Path, **keys: str) -> Config:
    file = folder / "config.yaml"
    file.write_text(
        f"{{site: soak, device: cam-1, state_dir: {folder}/state, privacy: {{min_people: 1}},"
        f" classifier: {{model: {ROOT}/models/gender.tflite}},"
        f" detector: {{judge: {ROOT}/models/face.tflite}}}}"
    )
    return load_config(file, **keys)


# memory


def looped(clip: Path) -> Iterator[Frame]:
    """Yield the clip in an endless loop, with time going on."""
    frames = []
    for frame in open_file(clip):
        size = (WIDTH, round(frame.image.shape[0] * WIDTH / frame.image.shape[1]))
        image = np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        frames.append(replace(frame, image=image, gray=gray))
    length = frames[-1].mono + 5.0  # everybody has left before it starts again
    for turn in itertools.count():
        for frame in frames:
            yield replace(
                frame,
                mono=frame.mono + turn * length,
                utc=frame.utc + turn * length,
                image=frame.image.copy(),
            )


def memory(folder: Path, clip: Path, frames: int, warm: int = 1000) -> tuple[float, float]:
    """Return resident memory, MiB, after `warm` frames and after `frames`."""
    config = settings(folder, source="demo")
    measured: list[float] = []
    visits: list[None] = []
    health, wake = Health(), threading.Event()

    def on_frame(frame: Frame, tracks: Sequence[object]) -> None:
        reporter.on_frame(frame, tracks)
        number = health.frames_total
        if number == warm or (number > warm and number % max(1, frames // 10) == 0):
            measured.append(memory_mb())
            print(f"{number:7} frames  {measured[-1]:.1f} MB, {len(visits)} visits", flush=True)

    with contextlib.ExitStack() as stack:
        models = wiring.models(config)
        outbox = wiring.outbox(config.state_dir, config.outbox)
        stack.callback(outbox.close)
        publisher = JsonLinesPublisher(stack.enter_context(Path(os.devnull).open("w")))
        courier = Courier(outbox, publisher, wake)
        stack.callback(courier.close, 10)
        reporter = Reporter(
            messages=wiring.messages(config, models),
            outbox=outbox,
            publisher=publisher,
            courier=courier,
            health=health,
            health_seconds=config.health.seconds,
            time_synced=lambda: True,
        )
        pipeline = wiring.pipeline(
            config,
            models,
            health,
            on_window=reporter.on_window,
            on_frame=on_frame,
            on_visit=lambda _visit: visits.append(None),
        )
        pipeline.run(itertools.islice(looped(clip), frames))
    return measured[0], measured[-1]


# a week


@dataclass
class Trouble:
    """Random events in simulated time, the same for each seed."""

    days: float
    seed: int
    now: float = 0.0
    """Simulated seconds since the start."""
    jumps: int = 0
    losses: int = 0
    ahead: float = field(default_factory=time.time)
    """Seconds by which the wall clock is ahead of the time since the start."""

    def frames(self) -> Iterator[Frame | NoFrame]:
        """Yield a frame each second, or a moment without one while the camera is lost."""
        chance = random.Random(self.seed)
        picture = np.zeros((36, 64, 3), np.uint8)
        lost_until = 0.0
        for second in range(round(self.days * DAY_S)):
            self.now = float(second)
            if chance.random() < 4 / DAY_S:
                self.losses += 1
                lost_until = self.now + chance.uniform(5, 3600)
            if chance.random() < 2 / DAY_S:
                self.jumps += 1
                self.ahead = time.time() + chance.choice([-20, -1, 0, 0, 3, 12]) * YEAR_S
            utc = self.now + self.ahead
            if self.now < lost_until:
                yield NoFrame(self.now, utc, 1.0, "lost")
            else:
                yield Frame(second, self.now, utc, picture, picture[:, :, 0])

    def detect(self, frame: Frame, _expected: Sequence[Box] = ()) -> list[Face]:
        """Return a face that walks past for six seconds out of forty."""
        number, since = divmod(frame.mono, 40)
        if since >= 6:
            return []
        left = 100 * (number % 5) + 2 * since
        return [Face(Box(left, 100, 60, 60), 1.0)]


def week(folder: Path, days: float, seed: int = 1) -> Outcome:
    """Run `days` of windows with a broker that goes away several times a day."""
    (folder / "broker").mkdir()
    broker = Mosquitto(folder / "broker")
    broker.start()
    dashboard = Subscriber(broker.port, "tally/+/+/+/window")
    file = settings(folder, source="demo")
    config = file.model_copy(
        update={"mqtt": file.mqtt.model_copy(update={"host": "127.0.0.1", "port": broker.port})}
    )
    trouble = Trouble(days, seed)
    visits: list[Visit] = []
    over = threading.Event()
    outages = 0

    def go_away() -> None:
        nonlocal outages
        chance = random.Random(seed)
        while not over.wait(chance.uniform(1, 6)):
            broker.kill() if chance.random() < 0.5 else broker.stop()
            outages += 1
            over.wait(chance.uniform(0, 4))
            broker.start()

    killer = threading.Thread(target=go_away)
    with contextlib.ExitStack() as stack:
        wake, health = threading.Event(), Health()
        outbox = wiring.outbox(config.state_dir, config.outbox)
        stack.callback(outbox.close)
        messages = wiring.messages(config)
        publisher: MqttPublisher = wiring.mqtt_publisher(config, messages, wake.set)
        stack.callback(publisher.close, messages.availability("stopped"))
        courier = Courier(outbox, publisher, wake)
        stack.callback(courier.close, 10)
        reporter = Reporter(
            messages=messages,
            outbox=outbox,
            publisher=publisher,
            courier=courier,
            health=health,
            health_seconds=600,
            time_synced=lambda: True,
        )
        stack.callback(reporter.close)
        pipeline = Pipeline(
            detect=trouble.detect,
            tracker=Tracker(),
            classify=None,
            counter=wiring.counter(config),
            health=health,
            on_window=reporter.on_window,
            on_frame=reporter.on_frame,
            on_no_frame=reporter.on_no_frame,
            on_visit=visits.append,
        )
        killer.start()
        pipeline.run(trouble.frames())
        over.set()
        killer.join()
        wait_for(lambda: len(outbox) == 0, "windows stay in the outbox", LONGEST_S)
    rows = [message.payload for message in dashboard.messages]
    wait_for(lambda: judge(dashboard, folder / "state").lost == 0, "windows are missing", LONGEST_S)
    outcome = judge(dashboard, folder / "state")
    dashboard.close()
    broker.stop()
    print(
        f"{days:g} days: broker away {outages} times, camera lost {trouble.losses} times, "
        f"clock set {trouble.jumps} times; {len(visits)} visits, {len(rows)} messages"
    )
    assert outcome.people == len(visits), "people were lost between the camera and the window"
    return outcome


def main() -> int:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    remember = commands.add_parser("memory")
    remember.add_argument("--frames", type=int, default=100_000)
    remember.add_argument("--clip", type=Path, help="default: the demo's scene")
    through = commands.add_parser("week")
    through.add_argument("--days", type=float, default=7)
    through.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edge-tally-soak-") as folder:
        if args.command == "week":
            outcome = week(Path(folder), args.days, args.seed)
            print(outcome)
            return 0 if outcome.good else 1
        clip = args.clip or people_walk_past(Path(folder) / "clip.mp4", seconds=30)
        before, after = memory(Path(folder), clip, args.frames)
        print(f"grown by {after - before:.1f} MB")
        return 0 if after - before < GROWTH_MB else 1


if __name__ == "__main__":
    sys.exit(main())
