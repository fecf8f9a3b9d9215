"""Credentials that systemd hands to the service (`LoadCredential=`)."""

import os
from pathlib import Path


def credential(name: str) -> Path | None:
    """The file that holds the credential; None if the service was given none of this name."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    file = Path(folder, name) if folder else None
    return file if file is not None and file.is_file() else None
