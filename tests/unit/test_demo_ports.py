"""Ports for the programs of tests and of `rtrd demo`: nobody else's connection or program takes them meanwhile."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from rtrd.demo.ports import BLOCK, LOWEST, RANGE, Ports, free_port

ADDRESS = "127.0.0.1"


def test_the_kernel_gives_them_to_no_connection() -> None:
    first_of_the_kernel = int(RANGE.read_text("ascii").split()[0])
    assert all(LOWEST <= free_port(ADDRESS) < first_of_the_kernel for _ in range(2 * BLOCK))


def test_two_that_ask_at_once_get_different_ones() -> None:
    script = f"from rtrd.demo.ports import free_port; print([free_port({ADDRESS!r}) for _ in range({BLOCK})]); input()"
    others = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    given = [{free_port(ADDRESS) for _ in range(BLOCK)}]
    for other in others:
        assert other.stdout is not None
        given.append({int(port) for port in other.stdout.readline().strip("[]\n").split(",")})
    for other in others:
        other.communicate("\n")
    assert len(set().union(*given)) == sum(len(some) for some in given)
    assert all(len(some) > BLOCK // 2 for some in given)


def test_a_forked_process_has_its_own() -> None:
    before = free_port(ADDRESS)
    reads, writes = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writes, str(free_port(ADDRESS)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    with os.fdopen(reads) as pipe:
        os.close(writes)
        assert int(pipe.read()) // BLOCK != before // BLOCK


def test_one_that_is_used_is_passed_over() -> None:
    first = LOWEST - BLOCK
    with socket.socket() as used:
        used.bind((ADDRESS, first))
        given = Ports(range(first, first + 1, BLOCK))
        assert given.free(ADDRESS) == first + 1


def test_where_none_is_left_the_kernel_names_one() -> None:
    assert Ports(range(0)).free("::1") > 0
