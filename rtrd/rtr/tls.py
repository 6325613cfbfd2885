"""TLS for the RTR server (RFC 8210 section 9.2)."""

from __future__ import annotations

import ssl
from pathlib import Path

from rtrd.base.files import want_file


class TLSError(Exception):
    """Files that TLS can't be spoken with; the text says which and why."""


def server_context(certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    """Give the server's side: TLS 1.2 or later.

    `certificate`: PEM, with what a router needs to check it. `client_ca`: routers must show a certificate that one of
    these CAs signed, which the RFC demands; None: any router is served. Raises TLSError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A router connects once in months, so it needs no tickets to resume with. And asyncio leaves them unsent while
    # nothing is read, counts them as ours, and so pauses a connection for good.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    for what, path in (("certificate", certificate), ("key", key), ("client CA", client_ca)):
        try:
            if path is not None:
                want_file(path)
        except OSError as error:
            raise TLSError(f"{what} {path}: {error.strerror}") from error
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise TLSError(f"certificate {certificate} with key {key}: {_why(error)}") from error
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except OSError as error:
            raise TLSError(f"client CA {client_ca}: {_why(error)}") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_password() -> str:
    """Refuse a key that wants one: OpenSSL would ask at the terminal."""
    raise ValueError("the key is encrypted: a service can't be asked for the password")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not usable: {error.reason or error}".replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error)
