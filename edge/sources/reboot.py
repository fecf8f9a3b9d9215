"""Restarts the machine: the last resort for a camera that no restart of the daemon revives."""

import contextlib
import json
import logging
import subprocess
import time
from pathlib import Path

from edge.atomic_file import write_atomically
from edge.errors import SourceError
from edge.types import Frame, Frames

log = logging.getLogger(__name__)

MAX_FAILED_STARTS = 3
"""After this many starts in a row without a frame, the machine is restarted."""
MIN_REBOOT_INTERVAL_S = 6 * 3600.0
"""Least time between two restarts of the machine, seconds: some cameras stay broken."""
COMMAND = ("systemctl", "reboot")
COMMAND_TIMEOUT_S = 10.0
"""Longest wait for the command, seconds."""


class RebootGuard:
    """Remembers on disk how many starts in a row had no frame, and when it restarted the machine.

    If it cannot save that, it never restarts the machine: it could do so for ever.
    """

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / "camera.json"

    def guard(self, frames: Frames) -> Frames:
        """The same frames; a SourceError before the first one is recorded as a failed start."""
        has_frame = False
        try:
            for frame in frames:
                if not has_frame and isinstance(frame, Frame):
                    has_frame = True
                    self._record_success()
                yield frame
        except SourceError:
            if not has_frame:
                self._record_failure()
            raise
        finally:
            frames.close()

    def _record_success(self) -> None:
        starts, rebooted = self._read()
        if starts:
            self._write(0, rebooted)

    def _record_failure(self) -> None:
        starts, rebooted = self._read()
        now = time.time()
        # abs: a Raspberry Pi has no clock of its own, so its time may have gone back
        due = starts + 1 >= MAX_FAILED_STARTS and abs(now - rebooted) > MIN_REBOOT_INTERVAL_S
        saved = self._write(0, now) if due else self._write(starts + 1, rebooted)
        if due and saved:
            log.error("camera: %d starts without a frame; restarting the machine", starts + 1)
            self._reboot()

    def _reboot(self) -> None:
        try:
            subprocess.run(  # noqa: S603  # a fixed command
                COMMAND, check=True, timeout=COMMAND_TIMEOUT_S, capture_output=True, text=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            reason = (getattr(error, "stderr", None) or str(error)).strip()
            log.error("%s: %s", " ".join(COMMAND), reason)

    def _read(self) -> tuple[int, float]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(self._file.read_text())
            return int(record["starts_without_frame"]), float(record["rebooted"])
        return 0, 0.0

    def _write(self, starts: int, rebooted: float) -> bool:
        """Save the record. Returns whether that worked."""
        record = {"starts_without_frame": starts, "rebooted": round(rebooted)}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, json.dumps(record).encode())
        except OSError as error:
            log.warning("%s: cannot be written (%s)", self._file, error.strerror)
            return False
        return True
