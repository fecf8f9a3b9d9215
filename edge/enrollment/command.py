"""`edge enroll`: a device gets its identity and configuration from a bundle."""

import argparse
import os
import tempfile
from pathlib import Path

from edge import credentials, wiring
from edge.atomic_file import replace_verified, write_atomically
from edge.config import load_config
from edge.enrollment import bundle, identity
from edge.enrollment.identity import Identity
from edge.errors import ConfigError, EdgeError
from edge.strict_yaml import read_keys

CONFIG = Path("etc", "edge-tally", "config.yaml")
"""The service's configuration, below the root folder."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="as tools/fleet.py makes it")
    parser.add_argument(
        "--root", type=Path, default=Path("/"), metavar="FOLDER", help="of the system (/)"
    )
    parser.add_argument("--keep", action="store_true", help="do not delete BUNDLE")


def enroll(path: Path, root: Path, *, keep: bool) -> int:
    """Install the bundle at `path` below `root`, and delete it unless `keep` is set.

    A device that has this name already keeps its configuration. Everything is proved before
    anything is replaced. Returns 0. Raises ConfigError if the bundle does not fit this device,
    EdgeError if a file cannot be read or written.
    """
    content, config = bundle.read(path), root / CONFIG
    try:
        installed = identity.installed_key(root)
        device = identity.prove(content, installed)
        renews = installed is not None and _configured_name(config) == device.name
        if content.config is None and not renews:
            raise ConfigError(
                f"renews the certificate of {device.name}, which is not the device here: a "
                "device's first bundle holds its configuration"
            )
        text = None if renews else content.config
        _validate(text, config, device, content.authority)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        _install(root, device, content.authority, text)
        if not keep:
            _destroy(path)
    except OSError as error:
        raise EdgeError(f"{error.filename}: cannot be written ({error.strerror})") from error
    print(f"device    {device.name}: its certificate is valid until {device.expires:%Y-%m-%d}")
    print(f"config    {config}: {'from the bundle' if text else 'as it was'}")
    return 0


def _configured_name(config: Path) -> object:
    """The name that a configuration gives the device; None if there is none."""
    return read_keys(config).get("device") if config.exists() else None


def _validate(text: str | None, config: Path, device: Identity, authority: str) -> None:
    """Try the configuration with its identity, as the daemon does before it reloads it.

    `text` is the new configuration; None for the one at `config`. Raises ConfigError.
    """
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    with tempfile.TemporaryDirectory() as folder:
        for name, pem in _credentials(device, authority).items():
            write_atomically(Path(folder, name), pem.encode(), private=True)
        if text is not None:
            config = Path(folder, "configuration")
            config.write_text(text, encoding="utf-8")
        os.environ["CREDENTIALS_DIRECTORY"] = folder  # as systemd does for the service
        try:
            settings = load_config(config)
            _check_names(device.name, settings.device, settings.mqtt.tls.cert_file, folder)
            wiring.validate_parts(settings)
        except ConfigError as error:
            raise ConfigError(str(error).replace(f"{folder}/", "")) from error
        finally:
            os.environ.pop("CREDENTIALS_DIRECTORY")
            if given is not None:
                os.environ["CREDENTIALS_DIRECTORY"] = given


def _check_names(name: str, configured: str, cert_file: Path | None, folder: str) -> None:
    """Raises ConfigError if the device would not log in to the broker by its name."""
    if configured != name:
        raise ConfigError(f"device: {configured}: the certificate is that of {name}")
    if cert_file is None:
        raise ConfigError("mqtt.tls.enabled: must be true: a certificate is the login")
    if cert_file.parent != Path(folder):
        raise ConfigError("mqtt.tls.cert_file: leave it out; the bundle has the certificate")


def _credentials(device: Identity, authority: str) -> dict[str, str]:
    return {credentials.AUTHORITY: authority, credentials.IDENTITY: device.pem}


def _install(root: Path, device: Identity, authority: str, config: str | None) -> None:
    """Put the files where the service reads them; after a power cut the bundle is still there."""
    for name, pem in _credentials(device, authority).items():
        stored = credentials.stored(name, root)
        stored.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(stored, pem.encode(), private=True)
    if config is not None:
        _replace_config(root / CONFIG, config.encode())


def _replace_config(path: Path, content: bytes) -> None:
    """Replace the configuration; owner and mode stay, and the one before is config.yaml.old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_atomically(path, content)
    elif path.read_bytes() != content:
        old = path.with_name(f"{path.name}.old")
        old.unlink(missing_ok=True)
        old.hardlink_to(path)
        replace_verified(path, content, lambda _: None)


def _destroy(path: Path) -> None:
    """Overwrite and delete a file; on flash the old content may stay in cells that are not used."""
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
