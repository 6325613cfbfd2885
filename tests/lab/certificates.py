"""Certificates for tests of TLS, made by openssl: a CA, and what it signs."""

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

from rtrd.demo.lab import find_program

OPENSSL = "as root: apt-get install openssl"


class Signed(NamedTuple):
    """A certificate and its key, PEM files."""

    certificate: Path
    key: Path


class CA:
    """A CA in a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._own = self._request(name, "-x509", "-days", "30", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.certificate = self._own.certificate

    def sign(self, name: str, names: str = "IP:127.0.0.1", *more: str) -> Signed:
        """Give a certificate for these subjectAltNames; `more`: further options of `openssl req`."""
        san = ("-addext", f"subjectAltName={names}") if names else ()
        return self._request(name, "-x509", "-days", "30", *self._ca(), "-extensions", "usr_cert", *san, *more)  # no CA

    def sign_expired(self, name: str, names: str) -> Signed:
        """Give a certificate that expired yesterday."""
        made = self._request(name, "-addext", f"subjectAltName={names}")
        argv = [find_program("openssl", OPENSSL), "x509", "-req", "-in", str(made.certificate), *self._ca()]
        argv += [*self._yesterday(), "-copy_extensions", "copyall", "-out", str(made.certificate)]
        subprocess.run(argv, check=True, capture_output=True, timeout=30)
        return made

    @staticmethod
    def _yesterday() -> list[str]:
        """Give the options of what has expired: OpenSSL 3.5 refuses the `-days -1` of 3.0, which has no other."""
        argv = [find_program("openssl", OPENSSL), "x509", "-help"]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30)
        new = "-not_after" in done.stdout + done.stderr
        return ["-not_before", "20240101000000Z", "-not_after", "20240102000000Z"] if new else ["-days", "-1"]

    def _ca(self) -> tuple[str, ...]:
        return ("-CA", str(self._own.certificate), "-CAkey", str(self._own.key))

    def _request(self, name: str, *more: str) -> Signed:
        made = Signed(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        argv = [find_program("openssl", OPENSSL), "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        argv += ["-nodes", "-subj", f"/CN={name}", "-out", str(made.certificate), "-keyout", str(made.key), *more]
        subprocess.run(argv, check=True, capture_output=True, timeout=30)
        return made

    @staticmethod
    def cache(shows: Signed) -> ssl.SSLContext:
        """Give what a cache needs that wants no certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*shows)
        return context

    def router(self, shows: Signed | None) -> ssl.SSLContext:
        """Give what a router needs: it trusts this CA, and shows a certificate or none."""
        context = ssl.create_default_context(cafile=self.certificate)
        if shows is not None:
            context.load_cert_chain(*shows)
        return context
