"""A package index behind an authority that no machine knows, as in companies whose proxy opens TLS."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Where it is, and the certificate of its authority. Nothing is in it."""

    url: str
    certificate: Path


@contextmanager
def index(address: str, folder: Path) -> Iterator[Index]:
    """One that answers at an address of this machine, on a free port."""
    certificate = _certificate(address, folder)
    empty = folder / "index"
    empty.mkdir()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    with ThreadingHTTPServer(
        (address, 0), lambda *given: SimpleHTTPRequestHandler(*given, directory=str(empty))
    ) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Index(url=f"https://{address}:{server.server_port}/", certificate=certificate)
        finally:
            server.shutdown()


def _certificate(address: str, folder: Path) -> Path:
    """A certificate that is its own authority, with its key beside it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "An authority of our own")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    own = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "authority.crt"
    file.write_bytes(made.public_bytes(pem))
    file.with_suffix(".key").write_bytes(own)
    return file
