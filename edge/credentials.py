"""Credentials that systemd hands to the service (`LoadCredential=`)."""

import os
from pathlib import Path

STORE = Path("etc", "credstore")
"""Where systemd looks for credentials, below the root folder."""
IDENTITY, AUTHORITY = "mqtt-identity", "mqtt-ca"
"""The device's certificate with its private key, in one file so that one is never there without
the other; and the certificate of the authority that signs the broker's."""


def credential(name: str) -> Path | None:
    """The file that holds the credential; None if the service was given none of this name."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    file = Path(folder, name) if folder else None
    return file if file is not None and file.is_file() else None


def stored(name: str, root: Path) -> Path:
    """The file below the folder `root` that systemd hands to the service under this name."""
    return root / STORE / f"edge-tally.{name}"
