"""What an ExaBGP answers to rtrd's first words."""

from rtrd.exabgp.window import Window

SUMMARY_HEADER = b"Peer            AS        up/down state       |     #sent     #recvd\n"


def greeting(window: Window) -> bytes:
    """The comment, `version` twice, and the password."""
    password = (SUMMARY_HEADER * bit + b"done\n" for bit in window._password)
    return b"done\n" + b"exabgp 5.0.15\ndone\n" * 2 + b"".join(password)
