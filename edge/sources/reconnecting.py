"""Takes a live camera's newest pictures, and opens the camera again if it is lost.

A separate thread opens and reads the camera: a driver may hang for ever, and the main loop must not
wait for it.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edge.backoff import Backoff
from edge.errors import SourceError
from edge.types import Image, NoFrame

log = logging.getLogger(__name__)

THREAD_NAME = "camera"
JOIN_S = 1.0
"""Longest wait for the camera's last picture when the program ends, seconds."""
FIRST_RETRY_S = 1.0
"""Seconds before a lost camera is opened again; doubles with each failure."""
LONGEST_RETRY_S = 60.0
"""Longest wait before it is opened again, seconds. A camera that lasted longer has worked."""
RETRY_JITTER = (0.9, 1.1)
"""Range of the random factor on each wait."""
LATE_S = 1.5
"""Seconds without a picture until `NoFrame` moments begin: each frame covers this long."""
TICK_S = 1.0
"""Seconds between two `NoFrame` moments."""
HANG_TIMEOUTS = 3.0
"""A camera that reports neither a picture nor a failure for this many timeouts hangs."""
FROZEN_TIMEOUTS = 6.0
"""A picture that repeats unchanged for this many timeouts is frozen: sensor noise varies."""
FLAT_GRAY_LEVELS = 2.0
"""Standard deviation, gray levels: a picture with less is dark or covered, and may repeat."""


class Camera(Protocol):
    """An opened camera."""

    def read(self, over: Callable[[], bool]) -> tuple[Image, Image | None]:
        """The next picture, and its gray copy if the camera makes one; may wait for it.

        Raises SourceError if none comes, or once it is `over`.
        """

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture and when it was read, as in `Frame`."""

    mono: float
    utc: float
    image: Image
    gray: Image | None


def newest_shots(
    open_camera: Callable[[], Camera],
    *,
    fps: Callable[[], float],
    timeout: float,
    give_up: float,
    stopped: Callable[[], bool],
) -> Generator[Shot | NoFrame, None, None]:
    """The newest picture, at most `fps()` times per second, until `stopped()`.

    While none comes, there is a `NoFrame` each second, and a lost camera is opened again. Raises
    the camera's SourceError after `give_up` seconds without a picture, or at its first failure if
    `give_up` is 0. Raises any other error at once: waiting would not help.
    """
    with contextlib.closing(_Reader(open_camera, timeout, retry=give_up > 0)) as reader:
        last_shot = last_tick = due = time.monotonic()
        lost = False
        while not stopped():
            shot = reader.take(due)
            now = time.monotonic()
            if shot is not None:
                if lost:
                    log.warning("camera: works again, after %.0f s", now - last_shot)
                last_shot = last_tick = shot.mono
                due, lost = max(due + 1 / fps(), shot.mono), False
                yield shot
                continue
            silent_s, failure = now - last_shot, reader.failure
            if failure is not None and (give_up == 0 or not isinstance(failure, SourceError)):
                raise failure
            if failure is not None and silent_s >= give_up:
                raise SourceError(f"{failure}; given up after {silent_s:.0f} s") from failure
            if silent_s > give_up + HANG_TIMEOUTS * timeout:
                raise SourceError(f"camera: hangs; no picture for {silent_s:.0f} s")
            lost = failure is not None or silent_s > timeout
            if silent_s >= LATE_S and now - last_tick >= TICK_S:
                yield NoFrame(now, time.time(), now - last_tick, "lost" if lost else "ok")
                last_tick = now


class _Reader:
    """Opens and reads a camera on a thread, so that no old picture waits in a buffer."""

    def __init__(self, open_camera: Callable[[], Camera], timeout: float, *, retry: bool) -> None:
        self._open, self._timeout, self._retry = open_camera, timeout, retry
        self._fresh = threading.Condition()
        self._shot: Shot | None = None
        self.failure: Exception | None = None
        """Why there are no pictures now; None while they come or may still come."""
        self._last: Image | None = None
        self._changed = 0.0
        self._over = threading.Event()
        # a daemon thread: if it hangs, it must not keep the process alive
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self._thread.start()

    def take(self, due: float) -> Shot | None:
        """The newest picture not yet taken, not before `due`; None if none comes within 0.2 s."""
        time.sleep(max(0.0, due - time.monotonic()))
        with self._fresh:
            if self._shot is None and (self.failure is None or self._retry):
                self._fresh.wait(0.2)
            shot, self._shot = self._shot, None
        return shot

    def close(self) -> None:
        self._over.set()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, RETRY_JITTER)
        while not self._over.is_set():
            opened = time.monotonic()
            try:
                self._read()
            except SourceError as error:
                self._fail(error)
                if not self._retry:
                    return
            except Exception as error:
                self._fail(error)  # the main loop raises it
                return
            if self._over.is_set():
                return
            if time.monotonic() - opened > LONGEST_RETRY_S:
                backoff.reset()  # it has worked
            delay_s = backoff.next()
            log.warning("%s; next try in %.0f s", self.failure, delay_s)
            self._over.wait(delay_s)

    def _read(self) -> None:
        with contextlib.closing(self._open()) as camera:
            while not self._over.is_set():
                image, gray = camera.read(self._over.is_set)
                shot = Shot(time.monotonic(), time.time(), image, gray)
                self._refuse_frozen(shot)
                with self._fresh:
                    self._shot, self.failure = shot, None
                    self._fresh.notify()

    def _refuse_frozen(self, shot: Shot) -> None:
        rows = shot.image[::8]  # noise is everywhere, so a part of the picture is enough
        if self._last is None or not np.array_equal(rows, self._last):
            self._last, self._changed = rows.copy(), shot.mono
        elif (
            shot.mono - self._changed > FROZEN_TIMEOUTS * self._timeout
            and rows.std() > FLAT_GRAY_LEVELS
        ):
            raise SourceError(f"camera: the same picture for {shot.mono - self._changed:.0f} s")

    def _fail(self, error: Exception) -> None:
        with self._fresh:
            self.failure = error
            self._fresh.notify()
