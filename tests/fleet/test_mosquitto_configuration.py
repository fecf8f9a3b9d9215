"""The configuration docs/fleet/mosquitto.conf, run with the shipped access rules."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fleet.brokers import free_port, program
from tests.fleet.certificates import FOREIGN, OWN, check
from tests.fleet.node import Node
from tests.support.paths import ROOT


def revoked(certificates: Path, folder: Path) -> Path:
    """The authority's list of revoked certificates: none."""
    authority = x509.load_pem_x509_certificate((certificates / "ca.crt").read_bytes())
    key = serialization.load_pem_private_key((certificates / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder(authority.subject, now, now + timedelta(1))
    file = folder / "revoked.crl"
    file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return file


def test_the_certificates_name_is_the_user_of_the_access_rules(
    tmp_path: Path, certificates: Path
) -> None:
    port = free_port(["127.0.0.1"])
    text = (ROOT / "docs" / "fleet" / "mosquitto.conf").read_text()
    for old, new in {
        "listener 8883": f"listener {port}",
        "/etc/mosquitto/certs/broker": str(certificates / "server"),
        "/etc/mosquitto/certs/authority.crt": str(certificates / "ca.crt"),
        "/etc/mosquitto/certs/revoked.crl": str(revoked(certificates, tmp_path)),
        "/etc/mosquitto/acl": str(tmp_path / "acl"),
        "/var/lib/mosquitto": str(tmp_path),
    }.items():
        assert old in text
        text = text.replace(old, new)
    # as root, mosquitto would switch to a user that may not write here
    config = tmp_path / "mosquitto.conf"
    config.write_text(text + "user root\n" * (os.geteuid() == 0))
    (tmp_path / "acl").write_bytes((ROOT / "docs" / "mosquitto" / "acl").read_bytes())
    (tmp_path / "acl").chmod(0o700)
    command = [program("mosquitto"), "-c", str(config)]
    node = Node("mosquitto", "127.0.0.1", port, command, tmp_path / "log")
    node.start()
    try:
        node.wait_ready()
        assert check(port, certificates, "lobby", OWN) == "5"
        assert "Not authorized" in check(port, certificates, "lobby", FOREIGN)
    finally:
        node.kill()
