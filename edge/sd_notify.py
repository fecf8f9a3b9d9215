"""Tell systemd how the daemon is (sd_notify); does nothing where systemd did not start it."""

import os
import socket


def notify(*lines: str) -> None:
    """Send assignments such as `READY=1` or `STATUS=...` to the socket that systemd named.

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
            # the daemon's work must not depend on who listens
            return
