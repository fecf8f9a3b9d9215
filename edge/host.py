"""What the machine tells of itself."""

import os
from pathlib import Path

TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
"""Bit field of the Raspberry Pi's firmware; 0 means never throttled since boot."""
CLOCK_SYNCED = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd makes this file once the clock was set in this boot."""
BOOT = Path("/proc/sys/kernel/random/boot_id")


def memory_mb() -> float:
    """Resident memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def clock_synced() -> bool:
    """Whether systemd-timesyncd has set this machine's clock since it booted."""
    return CLOCK_SYNCED.exists()


def boot_id() -> str:
    """Another one each time the machine starts; empty where it does not tell."""
    return _text(BOOT)


def temperature_c(file: Path = TEMPERATURE) -> float | None:
    """Of the processor, degrees Celsius; None where the machine does not tell."""
    text = _text(file)
    return round(int(text) / 1000, 1) if text else None


def throttled(file: Path = THROTTLED) -> int | None:
    """The firmware's bits, of which the lowest four are about now: too little power, frequency
    capped, throttled, soft temperature limit
    (https://www.raspberrypi.com/documentation/computers/os.html#get_throttled)."""
    text = _text(file)
    return int(text, 16) if text else None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
