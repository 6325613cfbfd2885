"""The processes that rtrd and rtrlib start of themselves, found in their code, and a program that starts each."""

import ast
import re
from collections.abc import Iterator

from tests.lab import ROOT

FOLDERS = (ROOT / "rtrd", ROOT / "ffi" / "rtrlib")
HELPER = ROOT / "ffi" / "rtrlib" / "children.py"

PROGRAMS = {"rtrlib.client", "rtrlib.validator"}
"""What people start with `python -m`, by their own choice of Python."""

STARTERS = {"subprocess", "multiprocessing", "pty", "concurrent.futures.process"}
STARTS = re.compile(
    r"^(create_subprocess_\w+|exec[lv]\w*|spawn[lv]\w*|posix_spawnp?|fork|forkpty|system|popen|startfile)$"
)

MAY_START = {
    "rtrd/base/apart.py",
    "ffi/rtrlib/process_link.py",
    # ssh, by a child of ours that becomes it.
    "ffi/rtrlib/ssh.py",
    "ffi/rtrlib/ssh_child.py",
    # zstd, which unpacks what Python can't.
    "rtrd/mrt/files.py",
    # The demo starts the programs of others, and `rtrd` as a user does.
    "rtrd/demo/lab.py",
    "rtrd/demo/chain.py",
    "rtrd/demo/frr.py",
    "rtrd/demo/routers.py",
    "rtrd/demo/show.py",
    # `rtrd check` asks systemctl for the unit's user, and looks at files with that user's eyes, in a fork of itself.
    "rtrd/config/accounts.py",
    "rtrd/config/host.py",
}

START_EACH = """
import asyncio, errno, select, sys
from rtrd.base import apart

async def start(module):
    try:
        await apart.run(module, "/no/such/path", OSError)
    except OSError as error:
        # Its own sentence: it found all that it imports.
        assert "/no/such/path" in str(error) and "the process" not in str(error), f"{module}: {error}"
    else:
        raise AssertionError(f"{module} read /no/such/path")

for module in sys.argv[1:]:
    asyncio.run(start(module))

from rtrlib.link import Resume
from rtrlib.process_link import ProcessLink
from rtrlib.servers import Intervals, TCPServer
link = ProcessLink(TCPServer("127.0.0.1", 1), Intervals(), Resume())
link.ping()
events = []
while "Connection refused" not in str(events):
    assert select.select(link.filenos(), [], [], 20)[0], events
    events += link.read(65536, 0)[1]  # raises, with its last words, when it has ended
link.close()

import os, tempfile
from pathlib import Path
from rtrlib.servers import SSHServer
from rtrlib.ssh import SSHKeys, SSHProcess
with tempfile.TemporaryDirectory() as folder:
    ssh = Path(folder, "ssh")
    ssh.write_text("#!/bin/sh\\necho I am ssh >&2\\n")
    ssh.chmod(0o755)
    os.environ["PATH"] = folder + os.pathsep + os.environ["PATH"]
    process = SSHProcess(SSHServer("127.0.0.1", 1, username="rtr", private_key="id"), SSHKeys(b"", None))
    assert select.select([process.stderr()], [], [], 20)[0]
    why = process.why()
    process.close()
    assert why and "I am ssh" in why[1], why
import rtrd
print(rtrd.__file__)
"""
"""Run with the names of the modules. The child with librtr says that nothing listens on port 1; ssh is a script."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Give each file of ours but the helper, and its code."""
    for folder in FOLDERS:
        for file in sorted(folder.rglob("*.py")):
            if file != HELPER:
                yield str(file.relative_to(ROOT)), ast.parse(file.read_text())


def started(code: ast.Module) -> set[str]:
    """Find the modules that some code has `children.module` or `apart.run` start."""
    found = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("children.module", "apart.run"):
            first = node.args[0]
            if isinstance(first, ast.Constant):
                found.add(str(first.value))
    return found


def children() -> list[str]:
    """Give every module that is a child of ours."""
    return sorted(set().union(*(started(code) for _, code in sources())))


def starts_by_itself(code: ast.Module) -> list[str]:
    """Find what names this Python, or can start a process: `line 12: sys.executable`."""
    found = []
    for node in ast.walk(code):
        names: list[str] = []
        if isinstance(node, ast.Attribute):
            names = [node.attr] if node.attr == "executable" or STARTS.match(node.attr) else []
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names if each.name in STARTERS]
        elif isinstance(node, ast.ImportFrom):
            inner = [each.name for each in node.names if each.name == "executable" or STARTS.match(each.name)]
            names = [str(node.module)] if node.module in STARTERS else inner
        found += [f"line {node.lineno}: {name}" for name in names]  # type: ignore[attr-defined]
    return found


def with_a_main() -> set[str]:
    """Give every module that runs as a program."""
    found = set()
    for file, code in sources():
        if any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in code.body):
            found.add(file.removeprefix("ffi/").removesuffix(".py").replace("/", "."))
    return found
