"""TLS as a router speaks it with a cache (RFC 8210 section 9.2): what it trusts and shows, and one connection.

A connection is a state machine without a socket: octets of the network and octets of RTR, in and out.
"""

from __future__ import annotations

import os
import ssl
from typing import Final, NoReturn

from rtrlib.faults import Fault, FaultError
from rtrlib.key_files import KeyFileError, read_file, read_key
from rtrlib.servers import TLSServer, is_address

__all__ = ["TLSChannel", "client_context"]

RECORD_TYPES: Final = range(20, 25)
"""The first octet of all that a peer says which speaks TLS (RFC 8446 section 5.1)."""
READ_SIZE: Final = 65536
UNSENT_LIMIT: Final = 1 << 18
"""Octets that may wait to be sent: a peer that asks for answers and reads none gets no more of them."""

EXPIRED, NOT_YET_VALID = 10, 9
OTHER_NAME: Final = {62, 64}
NO_ISSUER: Final = {2, 18, 19, 20, 21}
"""Of X509_verify_cert_error_string(3)."""
OLD: Final = {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "WRONG_SSL_VERSION"}
OF_OURS: Final = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
"""In the name of an alert: our certificate is what the cache does not take."""


def client_context(server: TLSServer) -> ssl.SSLContext:
    """Read the files of a server's options. KeyFileError: one of them can't be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which wants a certificate, of a name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 8210: CN-ID is not used
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # what the operator names is trusted, root or not
    context.options |= ssl.OP_NO_RENEGOTIATION
    if server.ca is None:
        context.load_default_certs()
    else:
        _trust(context, server.ca)
    if server.certificate is not None and server.key is not None:
        _show(context, server.certificate, server.key)
    return context


def _trust(context: ssl.SSLContext, path: str) -> None:
    octets = read_file("CA", path)
    try:
        context.load_verify_locations(cadata=octets.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        raise KeyFileError(f"the CA {path} is not usable: expected certificates in PEM") from error


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Take our certificate and key; OpenSSL wants files, and gets what was read here."""
    files = [read_file("certificate", certificate), read_key("key", key)]
    fds: list[int] = []
    try:
        for octets in files:
            fds.append(os.memfd_create("rtrlib"))
            os.write(fds[-1], octets)
        context.load_cert_chain(f"/proc/self/fd/{fds[0]}", f"/proc/self/fd/{fds[1]}", _no_password)
    except ssl.SSLError as error:
        why = "they do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "expected PEM"
        raise KeyFileError(f"the certificate {certificate} with the key {key} is not usable: {why}") from error
    except ValueError as error:
        raise KeyFileError(f"the key {key} is encrypted: nobody can be asked for its password") from error
    except OSError as error:
        raise KeyFileError(f"the certificate {certificate} cannot be used: {error.strerror}") from error
    finally:
        for fd in fds:
            os.close(fd)


def _no_password() -> str:
    """Refuse a key that wants one: OpenSSL would ask at the terminal."""
    raise ValueError("encrypted")


class TLSChannel:
    """One connection. A FaultError ends it; what is to be sent then is still to be taken."""

    def __init__(self, server: TLSServer, context: ssl.SSLContext) -> None:
        self.is_open = False
        """The handshake is over: RTR may be spoken."""
        self.is_over = False
        """The peer has said that nothing more comes (close_notify)."""
        shows = server.certificate is not None
        self.hint = " (it may refuse our certificate)" if shows else " (it may want a certificate of ours)"
        self._name = (server.server_name or server.host).partition("%")[0].rstrip(".")
        self._shows = shows
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=self._name)
        self._heard = False
        self._shake()

    def receive(self, octets: bytes) -> bytes:
        """Take octets of the network; gives what of RTR was in them. FaultError: this can't go on."""
        if not self._heard and octets:
            self._heard = True
            if octets[0] not in RECORD_TYPES:
                what = "RTR" if octets[0] < 3 else "something else"
                raise FaultError(f"the cache speaks no TLS at this port: it sent {what}", Fault.UNREACHABLE)
        self._in.write(octets)
        if not self.is_open:
            self._shake()
        return self._decrypt() if self.is_open else b""

    def send(self, octets: bytes) -> None:
        """Take octets of RTR."""
        if octets:
            try:
                self._tls.write(octets)
            except ssl.SSLError:
                return  # reading says what is wrong with the connection

    def take_octets(self) -> bytes:
        """Give what is to be sent, once."""
        return self._out.read()

    def end(self) -> None:
        """Say that nothing more comes (close_notify)."""
        if self.is_open:
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                return  # the peer need not say so, too

    def ended(self, error: str) -> str:
        """Say that the connection ended before the handshake was over; `error`: how, if not orderly."""
        what = f"broke in the TLS handshake: {error}" if error else "was closed in the TLS handshake"
        hint = "" if self._heard else "; does the cache speak TLS at this port?"
        return f"the connection {what}{hint}"

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            self._fail(error)
        self.is_open = True

    def _decrypt(self) -> bytes:
        parts = []
        try:
            while part := self._tls.read(READ_SIZE):
                parts.append(part)
            self.is_over = True
        except ssl.SSLZeroReturnError:
            self.is_over = True
        except ssl.SSLWantReadError:
            pass  # that is all for now
        except ssl.SSLError as error:
            self._fail(error)
        if self._out.pending > UNSENT_LIMIT:
            raise FaultError("the cache asks for more answers than it reads (TLS)", Fault.PROTOCOL)
        return b"".join(parts)

    def _fail(self, error: ssl.SSLError) -> NoReturn:
        raise FaultError(self._why(error), Fault.UNREACHABLE) from error

    def _why(self, error: ssl.SSLError) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the cache's certificate {self._distrust(error)}"
        reason = error.reason or "UNKNOWN"
        plain = reason.replace("_", " ").lower()
        if reason in OLD:
            return "the cache speaks no TLS of version 1.2 or later"
        if reason == "EXCESSIVE_MESSAGE_SIZE":
            return "the cache's certificates are too large (more than 100 kB)"
        if "ALERT" not in reason:
            return f"the cache's TLS is wrong: {plain}"
        alert = plain.partition("alert ")[2]
        if any(part in reason for part in OF_OURS):
            if not self._shows:
                return f"the cache wants a certificate of ours, and none is configured (TLS alert: {alert})"
            return f"the cache refuses our certificate (TLS alert: {alert})"
        return f"the cache refuses the TLS connection (TLS alert: {alert})"

    def _distrust(self, error: ssl.SSLCertVerificationError) -> str:
        code = error.verify_code
        if code == EXPIRED:
            return "has expired"
        if code == NOT_YET_VALID:
            return "is not valid yet: are both clocks right?"
        if code in OTHER_NAME:
            kind = "address" if is_address(self._name) else "DNS name"
            return f"is not for {self._name}: its subjectAltName has no such {kind}"
        if code in NO_ISSUER:
            return f"is of no CA that is trusted: {error.verify_message}"
        return f"is not accepted: {error.verify_message}"
