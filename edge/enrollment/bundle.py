"""A device's bundle: configuration, certificates and private key in one text file.

It consists of blocks like those of a PEM file, so `openssl x509 -in FILE` shows the device's
certificate, and comments. This module needs nothing but the standard library: the installer reads
bundles before the daemon's libraries are there.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from edge.errors import ConfigError

CONFIG, CERTIFICATE, KEY = "EDGE TALLY CONFIGURATION", "CERTIFICATE", "PRIVATE KEY"
"""Labels of the blocks. The first certificate is the device's, the second its authority's."""
MAX_BYTES = 256 * 1024
"""Largest bundle; those of tools/fleet.py have about 2 kB."""

BEGIN = re.compile(r"-----BEGIN ([ -~]{1,64}?)-----\s*")


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds, as text."""

    certificate: str
    authority: str
    key: str | None = field(default=None, repr=False)
    """None if the device has it already."""
    config: str | None = None
    """config.yaml; None if the device keeps its own."""

    def text(self, *comments: str) -> str:
        """The bundle as a file holds it, after comments of one line each."""
        blocks = ["".join(f"# {comment}\n" for comment in comments)]
        if self.config is not None:
            blocks.append(_block(CONFIG, self.config))
        blocks += [self.certificate, self.authority]
        if self.key is not None:
            blocks.append(self.key)
        return "\n".join(blocks)


def read(path: Path) -> Bundle:
    """Read a bundle that may have any content. Raises ConfigError that names the file."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
            raise ConfigError(f"{path}: is not a file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: is no bundle: larger than {MAX_BYTES // 1024} kB")
    try:
        return parse(content.decode("utf-8-sig"))
    except UnicodeError as error:
        raise ConfigError(f"{path}: is no bundle: not UTF-8") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(text: str) -> Bundle:
    """Raises ConfigError if `text` is anything but a bundle; the message quotes no content."""
    blocks = _blocks(text)
    certificates, keys, configs = (blocks.get(label, []) for label in (CERTIFICATE, KEY, CONFIG))
    if len(certificates) != 2:
        raise ConfigError(
            f"holds {len(certificates)} certificates, not 2: the device's, then its authority's"
        )
    for label, found in ((KEY, keys), (CONFIG, configs)):
        if len(found) > 1:
            raise ConfigError(f"holds {label} {len(found)} times")
    key = _block(KEY, keys[0]) if keys else None
    certificate, authority = (_block(CERTIFICATE, body) for body in certificates)
    return Bundle(certificate, authority, key, configs[0] if configs else None)


def key_in(pem: str) -> str | None:
    """The private key in a PEM file, if there is one."""
    match = re.search(f"-----BEGIN {KEY}-----.*?-----END {KEY}-----\n", pem, re.DOTALL)
    return match and match[0]


def _blocks(text: str) -> dict[str, list[str]]:
    """The content of all blocks by label, in order."""
    blocks: dict[str, list[str]] = {}
    # not splitlines(), which ends lines at characters that YAML and PEM do not know as line ends
    lines = enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1)
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        match = BEGIN.fullmatch(line)
        if match is None:
            raise ConfigError(f"is no bundle: line {number} is in no block")
        label = match[1]
        if label not in (CONFIG, CERTIFICATE, KEY):
            hint = ": must not be protected by a passphrase" if label.startswith("ENC") else ""
            raise ConfigError(f"line {number}: unknown block {label}{hint}")
        body: list[str] = []
        for _, inner in lines:
            if inner.rstrip() == f"-----END {label}-----":
                break
            body.append(inner)
        else:
            raise ConfigError(f"line {number}: the block {label} does not end: the file was cut")
        blocks.setdefault(label, []).append("".join(f"{inner}\n" for inner in body))
    return blocks


def _block(label: str, body: str) -> str:
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n"
