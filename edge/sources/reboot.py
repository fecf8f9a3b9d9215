"""The last resort for a camera that no restart of the daemon brings back: restart the machine."""

import contextlib
import json
import logging
import os
import subprocess
import time
from pathlib import Path

from edge.errors import SourceError
from edge.types import Frame, Frames

log = logging.getLogger(__name__)

STARTS = 3
"""So many starts in a row without a single frame."""
REST_S = 6 * 3600.0
"""Between one restart of the machine and the next; a camera that is broken stays broken."""
COMMAND = ("systemctl", "reboot")
COMMAND_S = 10.0


class RebootGuard:
    """Remembers on disk how many starts in a row saw no frame, and when the machine was restarted.

    What cannot be remembered does not happen: without a place to write there is no restart.
    """

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / "camera.json"

    def watch(self, frames: Frames) -> Frames:
        """The same frames; where they end with a SourceError before the first one, it is noted."""
        seen = False
        try:
            for frame in frames:
                if not seen and isinstance(frame, Frame):
                    seen = True
                    self._works()
                yield frame
        except SourceError:
            if not seen:
                self._failed()
            raise
        finally:
            frames.close()

    def _works(self) -> None:
        starts, rebooted = self._read()
        if starts:
            self._write(0, rebooted)

    def _failed(self) -> None:
        starts, rebooted = self._read()
        now = time.time()
        # whichever way the clock was set since: a Raspberry Pi has none of its own
        due = starts + 1 >= STARTS and abs(now - rebooted) > REST_S
        noted = self._write(0, now) if due else self._write(starts + 1, rebooted)
        if due and noted:
            log.error("camera: %d starts without a frame; restarting the machine", starts + 1)
            self._reboot()

    def _reboot(self) -> None:
        try:
            subprocess.run(  # noqa: S603  # a fixed command
                COMMAND, check=True, timeout=COMMAND_S, capture_output=True, text=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            told = (getattr(error, "stderr", None) or str(error)).strip()
            log.error("%s: %s", " ".join(COMMAND), told)

    def _read(self) -> tuple[int, float]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            noted = json.loads(self._file.read_text())
            return int(noted["starts_without_frame"]), float(noted["rebooted"])
        return 0, 0.0

    def _write(self, starts: int, rebooted: float) -> bool:
        """Whether it is on the disk for sure."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_suffix(".new")
            with fresh.open("w") as file:
                json.dump({"starts_without_frame": starts, "rebooted": round(rebooted)}, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._file)
        except OSError as error:
            log.warning("%s: cannot be written (%s)", self._file, error.strerror)
            return False
        return True
