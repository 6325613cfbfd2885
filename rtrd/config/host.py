"""What a configuration names, looked at on this host: files, folders, sockets, groups, with the eyes of who runs rtrd.

A fault is what `rtrd run` refuses, a warning what would fail later.
"""

from __future__ import annotations

import grp
import json
import os
import re
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

from rtrd.base.endpoint import Endpoint
from rtrd.base.faults import FileFault, Severity
from rtrd.base.files import mode_of, want_file
from rtrd.base.socket_paths import DEFAULT_SOCKET
from rtrd.config import Examined
from rtrd.config.accounts import Account, UnknownUserError, asked, unit_makes, unit_of
from rtrd.config.checks import listening
from rtrd.config.yaml_reader import FAULTY, Node
from rtrlib.exceptions import LibrtrMissingError
from rtrlib.key_files import check_modes
from rtrlib.tcp_auth import missing

_FIRST_FREE_PORT: Final = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_CAP_NET_BIND_SERVICE: Final = 10
_LOW_PORT: Final = "use a higher one, or give the unit CAP_NET_BIND_SERVICE, as its file says"


class _Question(NamedTuple):
    """Something on the host that a place in the file names."""

    place: Node
    path: Path
    look: Callable[[Path, str], str | None]
    severity: Severity = "warning"


def look(examined: Examined, path: Path, who: Account, *, in_exabgp: bool = False) -> list[FileFault]:
    """Find what of the host doesn't fit the file, as `who` sees it. `in_exabgp`: no unit of ours makes folders."""
    questions = list(_questions(examined.root, by_unit=not in_exabgp))
    findings = [
        FileFault(str(path), each.place.line, f"{each.place.path}: {answer}", each.severity)
        for each, answer in zip(questions, _answers(questions, who), strict=True)
        if answer is not None
    ]
    findings += [FileFault(str(path), line, what) for line, what in _groups(examined.root)]
    for line, what, severity in _of_the_kernel(examined.root):
        findings.append(FileFault(str(path), line, what, severity))
    findings += [FileFault(str(path), line, what, "warning") for line, what in _low_ports(examined.root, path, who)]
    return findings


def _low_ports(root: Node, config: Path, who: Account) -> Iterator[tuple[int, str]]:
    """Say of ports that only root may listen at, or a unit with a capability for them."""
    low = [place for place in listening(root) if isinstance(place.value, Endpoint) and place.value.port]
    low = [place for place in low if place.value.port < _first_free_port()]
    if (
        not low
        or who.uid == 0
        or (who.is_us and _may_bind())
        or "cap_net_bind" in asked(unit_of(config), "AmbientCapabilities")
    ):
        return
    for place in low:
        what = f"the user {who.name} may not listen at a port below {_first_free_port()}"
        yield place.line, f"{place.path}: {place.value}: {what}: {_LOW_PORT}"


def _first_free_port() -> int:
    try:
        return int(_FIRST_FREE_PORT.read_text())
    except (OSError, ValueError):
        return 1024


def _may_bind() -> bool:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> _CAP_NET_BIND_SERVICE & 1)


def _questions(root: Node, *, by_unit: bool) -> Iterator[_Question]:
    for group in _items(root, "caches", "groups"):
        for server in _items(group, "servers"):
            yield from _paths(server, ("key",), _file if server.get("engine") == "librtr" else _key_file)
            yield from _paths(server, ("ca", "certificate", "host-key"), _file)
            yield from _signing(server, "warning")
    for file in _items(root, "slurm"):
        yield from _paths_of(file, _readable, "fault")
    relay = root.keys.get("rtr-server")
    if relay is not None and "tls" in relay.keys:
        yield from _paths(relay.keys["tls"], ("certificate", "key", "client-ca"), _file, "fault")
        yield from _paths(relay.keys["tls"], ("key",), _modes)
    for clients in _items(root, "rtr-server", "clients"):
        yield from _signing(clients, "fault")
    if "events" in root.keys:
        yield from _paths(root.keys["events"], ("ca", "certificate"), _file)
        yield from _paths(root.keys["events"], ("password-file", "key"), _key_file)
    yield from _folders(root, by_unit=by_unit)
    if "bird" in root.keys:
        bird = root.keys["bird"]
        socket = bird.keys.get("socket") or Node(bird.line, f"{bird.path}.socket", Path("/run/bird/bird.ctl"))
        yield from _paths_of(socket, _socket_to_use)


def _folders(root: Node, *, by_unit: bool) -> Iterator[_Question]:
    """Ask of the folders in which rtrd writes."""
    made = unit_makes if by_unit else _nobody_makes
    yield from _paths(root, ("state",), partial(_writable_folder, made))
    yield from _paths(root, ("control",), partial(_socket_to_listen, made))
    if not by_unit and "control" not in root.keys:
        yield _Question(Node(0, "control", None), Path(DEFAULT_SOCKET), partial(_default_socket, made))


def _signing(found: Node, severity: Severity) -> Iterator[_Question]:
    """Ask of the files with keys of TCP."""
    yield from _paths(found, ("md5-password-file",), _key_file, severity)
    if "tcp-ao" in found.keys:
        yield from _paths(found.keys["tcp-ao"], ("key-file",), _key_file, severity)


def _items(found: Node, *keys: str) -> Sequence[Node]:
    for key in keys:
        if key not in found.keys:
            return ()
        found = found.keys[key]
    return found.items


def _paths(
    found: Node, keys: Sequence[str], look: Callable[[Path, str], str | None], severity: Severity = "warning"
) -> Iterator[_Question]:
    for key in keys:
        if key in found.keys:
            yield from _paths_of(found.keys[key], look, severity)


def _paths_of(
    place: Node, look: Callable[[Path, str], str | None], severity: Severity = "warning"
) -> Iterator[_Question]:
    if isinstance(place.value, Path):
        yield _Question(place, place.value, look, severity)


def look_at(path: Path, who: Account) -> str | None:
    """Say why this user can't read a file that we see; None: it can."""
    try:
        mode = mode_of(path)
    except OSError:
        return None
    if mode is None or not stat.S_ISREG(mode):
        return None
    return _answers([_Question(Node(0, "", path), path, _readable)], who)[0]


def _answers(questions: Sequence[_Question], who: Account) -> list[str | None]:
    """Look as this user: the kernel knows of groups and access lists what no sum of mode bits does."""

    def answer(each: _Question) -> str | None:
        try:
            return each.look(each.path, who.name)
        except OSError as error:  # a folder above that nobody may look into, for one
            return f"{each.path}: {_why(error, who.name)}"

    def answers() -> list[str | None]:
        return [answer(each) for each in questions]

    if who.is_us:
        return answers()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.initgroups(who.name, who.gid)
            os.setgid(who.gid)
            os.setuid(who.uid)
            with os.fdopen(writing, "w", encoding="utf-8") as pipe:
                json.dump(answers(), pipe)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise UnknownUserError(f"only root can look as the user {who.name!r}")
    found: list[str | None] = json.loads(said)
    return found


def _file(path: Path, user: str) -> str | None:
    try:
        want_file(path)
    except OSError as error:
        return f"{path}: {_why(error, user)}"
    return None if os.access(path, os.R_OK) else f"{path}: the user {user} may not read it"


def _key_file(path: Path, user: str) -> str | None:
    return _file(path, user) or _modes(path, user)


def _modes(path: Path, _user: str) -> str | None:
    """Look whether others may read a key."""
    mode = mode_of(path)
    why = check_modes(path.stat()) if mode is not None and stat.S_ISREG(mode) else None
    return f"{path}: it {why}" if why is not None else None


def _readable(path: Path, user: str) -> str | None:
    """Look only whether a file may be read: who reads SLURM files says all else of them."""
    there = mode_of(path) is not None
    return f"{path}: the user {user} may not read it" if there and not os.access(path, os.R_OK) else None


def _nobody_makes(_path: Path) -> bool:
    return False


def _writable_folder(made: Callable[[Path], bool], path: Path, user: str) -> str | None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None if made(path) else f"{path}: there is no such folder; a restart would begin without VRPs"
    except OSError as error:
        return f"{path}: {_why(error, user)}"
    if not stat.S_ISDIR(mode):
        return f"{path}: it is not a folder"
    return None if os.access(path, os.W_OK | os.X_OK) else f"{path}: the user {user} may not write to this folder"


def _is_folder(path: Path) -> bool:
    mode = mode_of(path)
    return mode is not None and stat.S_ISDIR(mode)


def _default_socket(made: Callable[[Path], bool], path: Path, user: str) -> str | None:
    why = _socket_to_listen(made, path, user)
    return why and f"{why}, so no command will find rtrd: name one in a folder of that user"


def _socket_to_listen(made: Callable[[Path], bool], path: Path, user: str) -> str | None:
    folder = path.parent
    if (mode := mode_of(path)) is not None and not stat.S_ISSOCK(mode):
        return f"{path}: it exists and is not a socket: rtrd won't start, and leaves it alone"
    if _is_folder(folder):
        return None if os.access(folder, os.W_OK | os.X_OK) else f"{path}: the user {user} may not write to its folder"
    if made(folder):
        return None
    above = next(each for each in folder.parents if mode_of(each) is not None)
    if _is_folder(above) and os.access(above, os.W_OK | os.X_OK):
        return None  # rtrd makes it
    return f"{path}: there is no folder {folder}, and the user {user} can't make it"


def _socket_to_use(path: Path, user: str) -> str | None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return f"{path}: there is no {'such socket' if _is_folder(path.parent) else f'folder {path.parent}'}"
    except OSError as error:
        return f"{path}: {_why(error, user)}"
    if not stat.S_ISSOCK(mode):
        return f"{path}: it is not a socket"
    if os.access(path, os.W_OK):
        return None
    group = _group_name(path.stat().st_gid)
    return f"{path}: the user {user} may not use it; make it a member of the group {group}: adduser {user} {group}"


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _why(error: OSError, user: str) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return f"the user {user} may not look into its folder"
    return str(error.strerror)


def _of_the_kernel(root: Node) -> Iterator[tuple[int, str, Severity]]:
    """Say what is wanted and this kernel has not: signed TCP, addresses, devices."""
    for group in _items(root, "caches", "groups"):
        for server in _items(group, "servers"):
            for line, what in (
                *_unsigned(server),
                *_from_where(server),
                *_without_ssh(server),
                *_without_librtr(server),
            ):
                yield line, what, "warning"
    for clients in _items(root, "rtr-server", "clients"):
        for line, what in _unsigned(clients):
            yield line, what, "fault"
    for place in listening(root):
        if isinstance(place.value, Endpoint) and (why := _not_here(place)) is not None:
            yield place.line, why, "warning"


def _not_here(place: Node) -> str | None:
    """Say why nobody can listen at an address now, whatever the port."""
    host = place.value.host
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind(socket.getaddrinfo(host, 0, flags=socket.AI_NUMERICHOST)[0][4])
    except OSError as error:
        return f"{place.path}: {host} is not an address of this host now: {error.strerror}"
    return None


def _without_ssh(server: Node) -> Iterator[tuple[int, str]]:
    if server.get("transport") == "ssh" and server.get("engine") != "librtr" and shutil.which("ssh") is None:
        yield server.line, f"{server.path}: transport ssh needs the program ssh: apt install openssh-client"


def _without_librtr(server: Node) -> Iterator[tuple[int, str]]:
    if server.get("engine") == "librtr":
        try:
            import_module("rtrlib.librtr")
        except LibrtrMissingError as error:
            yield server.line_of("engine"), f"{server.path}.engine: {error}"


def _unsigned(found: Node) -> Iterator[tuple[int, str]]:
    if "md5-password-file" in found.keys and (why := missing(None)):
        yield found.line_of("md5-password-file"), f"{found.path}.md5-password-file: {why}"
    ao = found.get("tcp-ao")
    if ao is not FAULTY and (why := missing(ao.algorithm)):
        yield found.line_of("tcp-ao"), f"{found.path}.tcp-ao: {why}"


def _from_where(server: Node) -> Iterator[tuple[int, str]]:
    """Try to connect from there, short of connecting."""
    family = socket.AF_INET6 if ":" in str(server.get("source")) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        for key in ("device", "source"):
            value = server.get(key)
            if value is FAULTY:
                continue
            try:
                if key == "device":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, value.encode() + b"\0")
                else:
                    probe.bind((value, 0))
            except OSError as error:
                yield server.line_of(key), f"{server.path}.{key}: {value}: {error.strerror}"


def _groups(root: Node) -> Iterator[tuple[int, str]]:
    group = root.keys.get("control-group")
    if group is None or not isinstance(group.value, str) or (group.value.isascii() and group.value.isdigit()):
        return
    try:
        grp.getgrnam(group.value)
    except KeyError:
        yield group.line, f"{group.path}: there is no group {group.value!r}"
