"""A live camera's newest pictures, on the machine's clock; a camera that is lost is opened again.

A thread of its own opens and reads the camera, for a driver may hang for ever; whoever waits for
pictures never waits for it.
"""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edge.errors import SourceError
from edge.types import Image, NoFrame

log = logging.getLogger(__name__)

THREAD = "camera"
JOIN_S = 1.0
"""How long a camera's last picture is waited for at the end."""
FIRST_RETRY_S = 1.0
"""Twice as long after each further failure, up to `LONGEST_RETRY_S`."""
LONGEST_RETRY_S = 60.0
LATE_S = 1.5
"""A frame may come so late before time passes without it, as long as it vouches for its window."""
TICK_S = 1.0
"""How often time passes while no frames come."""
HANGS = 3.0
"""A camera says by itself that it is silent within so many times its timeout, or it hangs."""
FROZEN = 6.0
"""The same picture for so many times the timeout is none: a sensor's noise is never the same."""
FLAT = 2.0
"""But a picture that varies less than this, in grey levels, is dark or covered, not frozen."""


class Camera(Protocol):
    """An opened camera."""

    def read(self, over: Callable[[], bool]) -> tuple[Image, Image | None]:
        """The next picture, and its grey copy where the camera makes one; may wait for it.

        Raises SourceError where none comes, or where it is `over`.
        """

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture and when it was read, as in `Frame`."""

    mono: float
    utc: float
    image: Image
    gray: Image | None


def newest(
    open_camera: Callable[[], Camera],
    *,
    fps: Callable[[], float],
    timeout: float,
    give_up: float,
    stopped: Callable[[], bool],
) -> Generator[Shot | NoFrame, None, None]:
    """The newest picture at most `fps()` times per second, until `stopped()`.

    While none comes there is a `NoFrame` each second, and the camera is opened again after a while.
    Raises the camera's SourceError after `give_up` seconds without a picture, with its first
    failure where that is 0, and at once what no waiting mends.
    """
    with contextlib.closing(_Reader(open_camera, timeout, retry=give_up > 0)) as reader:
        heard = told = due = time.monotonic()
        lost = False
        while not stopped():
            shot = reader.take(due)
            now = time.monotonic()
            if shot is not None:
                if lost:
                    log.warning("camera: works again, after %.0f s", now - heard)
                heard = told = shot.mono
                due, lost = max(due + 1 / fps(), shot.mono), False
                yield shot
                continue
            silent, failure = now - heard, reader.failure
            if failure is not None and (give_up == 0 or not isinstance(failure, SourceError)):
                raise failure
            if failure is not None and silent >= give_up:
                raise SourceError(f"{failure}; given up after {silent:.0f} s") from failure
            if silent > give_up + HANGS * timeout:
                raise SourceError(f"camera: hangs; no picture for {silent:.0f} s")
            lost = failure is not None or silent > timeout
            if silent >= LATE_S and now - told >= TICK_S:
                yield NoFrame(now, time.time(), now - told, "lost" if lost else "ok")
                told = now


class _Reader:
    """Opens a camera and reads it on a thread, so that an old picture never waits in a buffer."""

    def __init__(self, open_camera: Callable[[], Camera], timeout: float, *, retry: bool) -> None:
        self._open, self._timeout, self._retry = open_camera, timeout, retry
        self._fresh = threading.Condition()
        self._shot: Shot | None = None
        self.failure: Exception | None = None
        """Why there are no pictures at the moment; None where they come or may still."""
        self._last: Image | None = None
        self._changed = 0.0
        self._over = threading.Event()
        # a daemon thread: one that hangs must not keep the process alive
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._thread.start()

    def take(self, due: float) -> Shot | None:
        """The newest picture not yet taken, not before `due`; None where there is none for long."""
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
        pause = 0.0
        while not self._over.is_set():
            opened = time.monotonic()
            try:
                self._read()
            except SourceError as error:
                self._fail(error)
                if not self._retry:
                    return
            except Exception as error:
                self._fail(error)  # it is raised where pictures are waited for
                return
            if self._over.is_set():
                return
            if time.monotonic() - opened > LONGEST_RETRY_S:
                pause = 0.0  # it has worked
            pause = min(max(FIRST_RETRY_S, 2 * pause), LONGEST_RETRY_S)
            log.warning("%s; next try in %.0f s", self.failure, pause)
            # cameras that one outage took away do not all come back at one moment
            self._over.wait(pause * random.uniform(0.9, 1.1))  # noqa: S311  # no secret

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
        rows = shot.image[::8]  # noise is everywhere
        if self._last is None or not np.array_equal(rows, self._last):
            self._last, self._changed = rows.copy(), shot.mono
        elif shot.mono - self._changed > FROZEN * self._timeout and rows.std() > FLAT:
            raise SourceError(f"camera: the same picture for {shot.mono - self._changed:.0f} s")

    def _fail(self, error: Exception) -> None:
        with self._fresh:
            self.failure = error
            self._fresh.notify()
