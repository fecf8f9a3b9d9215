"""Reports the daemon's state to systemd; does nothing unless systemd started it."""

import os
import socket


def notify(*lines: str) -> None:
    """Send assignments such as `READY=1` or `STATUS=...` to the socket that systemd names.

    Protocol: sd_notify(3). An address that begins with @ is in the abstract namespace.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifier:
        try:
            notifier.sendto("\n".join(lines).encode(), address)
        except OSError:
            # counting must not depend on systemd listening
            return
