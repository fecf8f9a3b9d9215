"""Certificates, and a name that stands for several brokers."""

import socket
import subprocess
from pathlib import Path

import pytest

from tests.fleet.brokers import CLUSTER
from tests.fleet.devices import NAME, answer_for


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.crt")
    for name in ("server", "lobby", "dashboard", "stranger"):
        addresses = ",".join(f"IP:{address}" for address in CLUSTER)
        names = f"subjectAltName=DNS:{NAME},{addresses}\n" if name == "server" else "\n"
        (folder / "names").write_text(names)
        files = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("req", *key, "-subj", f"/CN={name}", *files)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-extfile", "names", "-out", f"{name}.crt")  # fmt: skip
    return folder


@pytest.fixture(autouse=True)
def one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)  # undone afterwards
    answer_for(NAME, CLUSTER)
