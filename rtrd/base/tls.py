"""TLS for what routers connect to: the RTR server (RFC 8210 section 9.2) and the BMP station."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rtrd.base.files import want_file
from rtrd.base.notation import unmapped

IP_SAN: Final = "IP Address"
MOST_NAMED: Final = 4
"""Addresses of a certificate that are said."""


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


def handshake_fault(error: ssl.SSLError) -> str:
    """Say why TLS could not be agreed on with a router."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    reason = error.reason or "UNKNOWN"
    if known := _HANDSHAKES.get(reason):
        return known
    plain = reason.replace("_", " ").lower()
    _, alert, what = plain.partition("alert ")
    return f"it refuses the TLS connection (TLS alert: {what})" if alert else f"its TLS is wrong: {plain}"


_HANDSHAKES: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate",
    "HTTP_REQUEST": "it speaks HTTP, and no TLS",
    "WRONG_VERSION_NUMBER": "it speaks no TLS",
    "UNSUPPORTED_PROTOCOL": "it speaks no TLS of version 1.2 or later",
    "UNEXPECTED_EOF_WHILE_READING": "it ended the connection in the TLS handshake",
}
"""By OpenSSL's reasons."""


def address_refusal(certificate: Mapping[str, Any] | None, address: str) -> str | None:
    """Say why a router's certificate is not for its address (RFC 8210 section 9.2); None: it is, or it showed none.

    `certificate`: as ssl's `getpeercert` has it.
    """
    if not certificate:
        return None
    found = [ipaddress.ip_address(value) for kind, value in certificate.get("subjectAltName", ()) if kind == IP_SAN]
    if unmapped(address) in found:
        return None
    named = f"names only {', '.join(map(str, found[:MOST_NAMED]))}" if found else "names no IP address"
    return f"its certificate {named} (subjectAltName), and not the router's own"
