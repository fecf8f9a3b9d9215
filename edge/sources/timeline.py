"""Computes when each frame of a recording was taken, from the time stamps in its file.

OpenCV makes up stamps for a file that has none, and the stamps of joined recordings jump. So time
begins with 0 at the first frame and moves forward with each further frame:

| stamp, compared with the one before | the frame comes |
| --- | --- |
| 1 ms to `LONGEST_GAP_S` later | that much later |
| the same, or up to `JITTER_S` earlier | one step later, 1 / fps |
| further away, in either direction | `LONGEST_GAP_S` later: two recordings were joined there |
| not a time: NaN, or 0 after others, which OpenCV reports for a missing one | one step later |

A stamp that jumps right after another jump is not used: its frame comes one step later.
"""

from collections.abc import Callable

LONGEST_GAP_S = 10.0
"""Longest gap that is believed, seconds; by its end everyone has left (`tracker.patience`)."""
JITTER_S = 1.0
"""Largest step back between frames that are stored out of order, seconds."""
TICK_S = 0.001
"""Resolution of many containers, seconds: stamps that differ by less are the same."""
LARGEST_MS = 1e13
"""Largest stamp that is a time, milliseconds: some files count from 1970, about 1.8e12 ms."""
SLOWEST_FPS, FASTEST_FPS = 1 / LONGEST_GAP_S, 240.0
"""Believable frame rates, frames per second: files without one claim 0, 1000 or 90000."""


class Timeline:
    """Turns the stamps of one recording into seconds since its first frame."""

    def __init__(self, fps: float, usual_fps: float, warn: Callable[[str], None]) -> None:
        """`usual_fps` replaces an `fps` that cannot be true; `warn` gets a line for each fault."""
        # NaN fails the comparison too
        self._step = 1 / (fps if SLOWEST_FPS <= fps <= FASTEST_FPS else usual_fps)
        self._warn = warn
        self._frame, self._now = -1, 0.0
        self._stamp: float | None = None
        """The last usable stamp, seconds."""
        self._origin = 0.0
        """The stamp of time 0."""
        self._jumped = self._doubted = False

    def place(self, stamp_ms: float) -> float:
        """When the next frame, which has this stamp, was taken: seconds since the first frame."""
        self._frame += 1
        stamp = self._usable(stamp_ms)
        if self._frame:
            self._now += self._step if stamp is None else self._passed(stamp)
        if stamp is not None:
            if self._stamp is None or self._jumped:
                self._origin = stamp - self._now
            self._stamp = stamp
        return self._now

    def _usable(self, stamp_ms: float) -> float | None:
        """The stamp in seconds; None if it is not one."""
        if not abs(stamp_ms) <= LARGEST_MS:  # or NaN
            self._doubt(f"{stamp_ms:g} ms is not a time stamp")
            return None
        # no warning: many videos end with such frames, which the decoder had held back
        missing = stamp_ms == 0 and self._stamp is not None and self._stamp > 0
        return None if missing else stamp_ms / 1000

    def _passed(self, stamp: float) -> float:
        """Seconds from the previous frame to one with this stamp."""
        if self._stamp is None:
            return self._step
        moved, jumped = stamp - self._stamp, self._jumped
        self._jumped = not -JITTER_S <= moved <= LONGEST_GAP_S
        if self._jumped:
            step = self._step if jumped else LONGEST_GAP_S
            self._report(f"the time stamp jumps by {moved:+.1f} s; {step:g} s pass instead")
            return step
        ahead = stamp - self._origin - self._now
        if ahead >= TICK_S:
            return ahead
        self._doubt(f"the time stamp moves by {moved:+.3f} s")
        return self._step

    def _doubt(self, why: str) -> None:
        if self._frame and not self._doubted:  # time 0 needs no stamp
            self._doubted = True
            self._report(f"{why}; such frames follow each other by {self._step:g} s")

    def _report(self, text: str) -> None:
        self._warn(f"frame {self._frame}, at {self._now:.1f} s: {text}")
