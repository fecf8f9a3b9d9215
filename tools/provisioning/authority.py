"""A certificate authority: signs the certificates of devices, brokers and dashboards."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.errors import ConfigError

CLOCK_SLACK = timedelta(days=1)
"""How far a clock may be behind this machine's without refusing what was just signed."""
MAX_NAME = 64
"""Longest common name, characters (X.520)."""


class Role(StrEnum):
    """What a certificate is for; nothing else accepts it."""

    DEVICE = "device"
    CLIENT = "client"
    BROKER = "broker"


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority's certificate and private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, name: str, days: float) -> "Authority":
        """A new authority that is valid for this many days."""
        key, now = new_key(), datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _unsigned(subject, subject, key.public_key(), now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(
        cls, certificate: x509.Certificate, key: bytes, passphrase: bytes | None
    ) -> "Authority":
        """With its private key from PEM.

        Raises ConfigError if the passphrase is wrong or the key is not that of the certificate.
        """
        try:
            private = serialization.load_pem_private_key(key, passphrase)
        except TypeError as error:
            need = "is protected: name" if passphrase is None else "is not protected: leave out"
            raise ConfigError(f"{need} --passphrase-file") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ConfigError("cannot be read: wrong passphrase?") from error
        fits = private.public_key() == certificate.public_key()
        if not fits or not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ConfigError("is not the key of the authority's certificate")
        return cls(certificate, private)

    def private_pem(self, passphrase: bytes | None) -> str:
        return key_pem(self.key, passphrase)

    def sign(
        self, role: Role, names: Sequence[str], public: ec.EllipticCurvePublicKey, days: float
    ) -> x509.Certificate:
        """A certificate for the first of `names`, valid for as many days or as the authority is.

        Raises ConfigError if the authority has expired.
        """
        now, ends = datetime.now(UTC), self.certificate.not_valid_after_utc
        if now >= ends:
            raise ConfigError(f"the authority's certificate expired on {ends:%Y-%m-%d}")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:MAX_NAME])])
        server = role is Role.BROKER
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        until = min(now + timedelta(days=days), ends)
        return (
            _unsigned(self.certificate.subject, subject, public, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )

    def revocations(self, revoked: Iterable[tuple[int, datetime]]) -> str:
        """The list (CRL, PEM) of revoked serial numbers, with the times of revocation in UTC.

        It stays valid as long as the authority: an expired list would lock out every device.
        """
        entries = sorted(revoked, key=lambda entry: entry[1])
        # OpenSSL keeps an older list in memory and prefers the later one, if that has begun
        changed = entries[-1][1] if entries else self.certificate.not_valid_before_utc
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(changed - CLOCK_SLACK)
            .next_update(self.certificate.not_valid_after_utc)
            .add_extension(x509.CRLNumber(len(entries) + 1), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        for serial, when in entries:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(_PEM).decode()


_PEM = serialization.Encoding.PEM


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> str:
    """The private key as PKCS #8, encrypted if there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def certificate_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(_PEM).decode()


def public_key(certificate_pem: str) -> ec.EllipticCurvePublicKey:
    """The public key of a certificate that was signed here. Raises ConfigError if it was not."""
    try:
        key = x509.load_pem_x509_certificate(certificate_pem.encode()).public_key()
    except ValueError as error:
        raise ConfigError("a bundle's certificate is damaged: delete the bundle") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ConfigError("a bundle's certificate was not signed here: delete the bundle")
    return key


def _unsigned(
    issuer: x509.Name, subject: x509.Name, public: ec.EllipticCurvePublicKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - CLOCK_SLACK)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(**allowed: bool) -> x509.KeyUsage:
    nothing = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
         "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        False,
    )  # fmt: skip
    return x509.KeyUsage(**nothing | allowed)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
