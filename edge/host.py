"""What the machine reports of itself: board, memory, clock, boot, temperature, addresses."""

import contextlib
import ctypes
import ipaddress
import mmap
import os
import re
from pathlib import Path

TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
"""Bit field of the Raspberry Pi's firmware; 0 means never throttled since boot."""
CLOCK_SYNCED = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd creates this file once it has set the clock in this boot."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BOARD = Path("/proc/device-tree/model")
"""Text that ends with a NUL; only machines with a device tree have it, as Raspberry Pis do."""
UNCHANGED_FILE = re.compile(
    r"^(?P<begin>[0-9a-f]+)-(?P<end>[0-9a-f]+) r-.. \S+ \S+ \S+ +(?P<path>/.+)\n"
    r"(?:[A-Z].*\n)*?Anonymous: +0 kB\n(?:[A-Z].*\n)*?Swap: +0 kB$",
    re.MULTILINE,
)
"""A mapping in /proc/self/smaps whose pages are all in its file and cannot be written.

The loader writes addresses into pages of a library and then protects them: they are in memory or
swapped out, and nowhere else.
"""


def board_model() -> str | None:
    """The board, such as "Raspberry Pi 4 Model B Rev 1.4"; None if the machine does not say."""
    return _read(BOARD) or None


def memory_mb() -> float:
    """Resident memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def trim_memory() -> None:
    """Give back to the system what was needed only to start, if the C library can."""
    with contextlib.suppress(AttributeError, OSError):  # musl cannot
        ctypes.CDLL(None).malloc_trim(0)


def unload_mapped(file: Path | None = None) -> None:
    """Give back the memory of a file that this process has mapped to read or run it.

    Without a file, of all of them, such as the code of libraries that only the start ran. Their
    content stays in reach: what is needed again is loaded again.
    """
    name = None if file is None else str(file.resolve())
    with contextlib.suppress(AttributeError, OSError):
        madvise = ctypes.CDLL(None).madvise
        mappings = Path("/proc/self/smaps").read_text(errors="replace")
        for mapping in UNCHANGED_FILE.finditer(mappings):
            begin, end = (int(address, 16) for address in mapping.group("begin", "end"))
            if name in (None, mapping["path"]):
                size = ctypes.c_size_t(end - begin)
                madvise(ctypes.c_void_p(begin), size, mmap.MADV_DONTNEED)


def clock_synced() -> bool:
    """Whether systemd-timesyncd has set this machine's clock since it booted."""
    return CLOCK_SYNCED.exists()


def boot_id() -> str:
    """Changes each time the machine starts; empty if it has none."""
    return _read(BOOT_ID)


def temperature_c(file: Path = TEMPERATURE) -> float | None:
    """Of the processor, degrees Celsius; None if the machine does not report it."""
    text = _read(file)
    return round(int(text) / 1000, 1) if text else None


def throttled(file: Path = THROTTLED) -> int | None:
    """The firmware's bits; None if the machine does not report them.

    The lowest four are about now: too little power, frequency capped, throttled, soft temperature
    limit (https://www.raspberrypi.com/documentation/computers/os.html#get_throttled).
    """
    text = _read(file)
    return int(text, 16) if text else None


def is_loopback(host: str) -> bool:
    """Whether a host name or address stands for this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip("\0 \t\r\n")
    except OSError:
        return ""
