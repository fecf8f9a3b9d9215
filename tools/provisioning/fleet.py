"""The folder of a fleet: its authority, what was signed, and the files that carry it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.errors import ConfigError
from tools.cli.stages import locked
from tools.provisioning.authority import Authority, Role, certificate_pem
from tools.provisioning.registry import Issued, Registry

CERTIFICATE, KEY, REVOKED = "authority.crt", "authority.key", "revoked.crl"
PAIRS = {Role.BROKER: "brokers", Role.CLIENT: "clients"}
"""Folders of certificates with their keys, which are not in bundles."""


class Fleet:
    """A fleet whose authority was made."""

    def __init__(self, folder: Path, registry: Registry, passphrase: bytes | None) -> None:
        """`passphrase` protects the authority's private key; None if it has none."""
        self._folder, self._registry, self._passphrase = folder, registry, passphrase

    @property
    def certificate(self) -> x509.Certificate:
        """The authority's. Raises ConfigError if there is none."""
        try:
            return x509.load_pem_x509_certificate(self._authority_file(CERTIFICATE))
        except ValueError as error:
            raise ConfigError(f"{self.path(CERTIFICATE)}: is no certificate") from error

    @cached_property
    def authority(self) -> Authority:
        """Raises ConfigError if it cannot be read."""
        try:
            return Authority.load(self.certificate, self._authority_file(KEY), self._passphrase)
        except ConfigError as error:
            raise ConfigError(f"{self.path(KEY)}: {error}") from error

    @property
    def issued(self) -> list[Issued]:
        """All certificates that were signed, in order."""
        return self._registry.certificates()

    @property
    def newest(self) -> dict[str, Issued]:
        """The newest certificate of each name."""
        return {certificate.name: certificate for certificate in self.issued}

    @property
    def completed(self) -> frozenset[str]:
        """Files that an earlier run had left, and this one has written."""
        return self._registry.completed

    def path(self, name: str) -> Path:
        """Of a file of the fleet."""
        return self._folder / name

    def sign(
        self, role: Role, names: list[str], public: ec.EllipticCurvePublicKey, days: float,
        site: str = "",
    ) -> Issued:  # fmt: skip
        """A certificate that `commit` is still to record."""
        signed = self.authority.sign(role, names, public, days)
        return Issued(
            signed.serial_number, role, names[0], site, datetime.now().astimezone(),
            signed.not_valid_after_utc, certificate_pem(signed),
        )  # fmt: skip

    def commit(
        self,
        outputs: Mapping[str, str | None],
        issued: Iterable[Issued] = (),
        revoked: Mapping[int, datetime] | None = None,
    ) -> None:
        """Record certificates and revocations and write files. Raises EdgeError."""
        self._registry.commit(outputs, issued, revoked)

    def _authority_file(self, name: str) -> bytes:
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError as error:
            raise ConfigError(
                f"{self._folder}: has no {name}: make an authority with `fleet.py authority`"
            ) from error
        except OSError as error:
            raise ConfigError(f"{error.filename}: cannot be read ({error.strerror})") from error


@contextmanager
def opened(folder: Path, passphrase: bytes | None) -> Iterator[Fleet]:
    """A fleet, which no other run changes meanwhile; what an earlier run left is completed.

    Raises ConfigError if there is none, EdgeError if a file cannot be written.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder: make an authority with `fleet.py authority`")
    with locked(folder), closing(Registry(folder)) as registry:
        registry.complete()
        yield Fleet(folder, registry, passphrase)


def create(folder: Path, name: str, days: float, passphrase: bytes | None) -> bool:
    """Make a fleet's folder with its authority; return False if it was there already.

    Raises ConfigError if there is an authority of another name, EdgeError if a file cannot be
    written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made ({error.strerror})") from error
    with opened(folder, passphrase) as fleet:
        if fleet.path(CERTIFICATE).exists():
            present = authority_name(fleet.certificate)
            if present != name:
                raise ConfigError(f"{folder}: has an authority already, by the name {present}")
            return False
        authority = Authority.create(name, days)
        fleet.commit(
            {
                KEY: authority.private_pem(passphrase),
                CERTIFICATE: certificate_pem(authority.certificate),
                REVOKED: authority.revocations([]),
            }
        )
        return True


def authority_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
