"""A cache that sends Serial Notifies without end is read a little each second, and TCP holds up the rest."""

import select
import socket

from rtrlib.link import Resume, SessionState
from rtrlib.native_link import NOTIFIES, NOTIFIES_IN, NativeLink
from rtrlib.rtr_socket import RTRSocketState
from rtrlib.servers import Intervals, TCPServer
from rtrlib.vrp import VRP
from tests.unit.test_native_session import RESET_QUERY, end, notify, response, serial_query, whole_set

READ = 65536
FLOOD = notify(7) * (NOTIFIES + 1)


class Connected:
    """A link under the test's clock, and its cache."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = TCPServer("127.0.0.1", listening.getsockname()[1])
            self.link = NativeLink(server, Intervals(3600, 600, 7200), Resume(max_version=1), 1 << 20, 1)
            self.now = 100.0
            self.link.tick(self.now)
            self.cache, _ = listening.accept()
        self.states: list[int] = []
        self.has_to_do()
        self.link.read(READ, self.now)
        assert self.cache.recv(READ) == RESET_QUERY

    def has_to_do(self, seconds: float = 10) -> bool:
        """The link's descriptor is readable."""
        return bool(select.select(self.link.filenos(), [], [], seconds)[0])

    def hears(self, octets: bytes) -> None:
        self.cache.sendall(octets)
        left = len(octets)
        while left:
            assert self.has_to_do()
            took, events = self.link.read(READ, self.now)
            left -= took
            self.states += [event.state for event in events if isinstance(event, SessionState)]

    def close(self) -> None:
        self.link.close()
        self.cache.close()


def test_a_flood_rests_until_its_second_is_over() -> None:
    one = Connected()
    try:
        one.hears(whole_set(VRP("192.0.2.0/24", 24, 64500)))
        assert one.states[-1] == RTRSocketState.ESTABLISHED
        one.now += 5
        one.hears(FLOOD)
        one.cache.sendall(FLOOD)
        assert not one.has_to_do(0.1)
        due = one.link.deadline()
        assert due is not None
        assert one.now < due <= one.now + NOTIFIES_IN
        one.now = due
        one.link.tick(one.now)
        assert one.has_to_do()
        assert one.link.read(READ, one.now)[0] == len(FLOOD)
        one.now += NOTIFIES_IN
        one.link.tick(one.now)
        one.hears(notify(8))  # what it is for is not lost
        assert one.cache.recv(READ) == serial_query(7)
        one.hears(response() + end(8))
        assert one.states[-1] == RTRSocketState.ESTABLISHED
    finally:
        one.close()


def test_the_end_of_a_cache_is_seen_while_it_rests() -> None:
    one = Connected()
    try:
        one.hears(whole_set(VRP("192.0.2.0/24", 24, 64500)))
        one.hears(FLOOD)
        one.cache.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.cache.close()
        assert one.has_to_do()
        [ended] = one.link.read(READ, one.now)[1]
        assert "reset" in str(ended)
    finally:
        one.close()
