"""The bridge script over TLS: exactly the certificate that it was told of, or one that the phone trusts."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import MakePhone
from tests.e2e.scripted import Relay


def certificate(folder: Path, name: str) -> tuple[Path, str]:
    """A certificate with its key in one file, and its fingerprint."""
    path = folder / f"{name}.pem"
    key = folder / f"{name}.key"
    subprocess.run(  # noqa: S603 (our own certificate)
        ["openssl", "req",  # noqa: S607 (whichever it is)
         "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-keyout", str(key), "-out", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    der = ssl.PEM_cert_to_DER_cert(path.read_text())
    path.write_text(key.read_text() + path.read_text())
    return path, hashlib.sha256(der).hexdigest()


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A certificate that nobody has signed."""
    return certificate(tmp_path_factory.mktemp("tls"), "relay.invalid")


@pytest.fixture
def tls_relay(pinned: tuple[Path, str]) -> Iterator[Relay]:
    """A relay of the tests that is reached over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pinned[0])
    relay = Relay(tls=context)
    yield relay
    relay.close()


def test_pinned(tls_relay: Relay, make_phone: MakePhone, pinned: tuple[Path, str]) -> None:
    """The certificate with the right fingerprint is trusted, and all works as without TLS."""
    digits = pinned[1].upper()
    fingerprint = ":".join(digits[at : at + 2] for at in range(0, 64, 2))
    phone = make_phone(tls_relay.server(fingerprint=fingerprint))
    talk = tls_relay.greeted()
    phone.says("(dialect 4.0, TLS)")
    phone.hear("a")
    talk.ack(talk.hear("chat"))
    talk.reply("m/0", "one")
    assert talk.acked() == ["m/0"]
    talk.close()
    tls_relay.greeted()


@pytest.mark.parametrize("fingerprint", ["0" * 64, None], ids=["another one", "none"])
def test_another_certificate(tls_relay: Relay, make_phone: MakePhone, fingerprint: str | None) -> None:
    """To a relay with another certificate, or with one that nobody signed, not a word is said."""
    phone = make_phone(tls_relay.server(fingerprint=fingerprint))
    phone.hear("secret things")
    for _ in range(2):
        try:
            talk = tls_relay.accept()
        except OSError:
            continue
        with pytest.raises((EOFError, OSError)):
            talk.read()
    phone.says("certificate is another one" if fingerprint else "PKIX path building failed", 2)
    assert "connected" not in phone.logs
