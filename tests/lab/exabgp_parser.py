"""What ExaBGP's own parser makes of commands on stdin. Run by the Python that has the ExaBGP to ask.

For each command one line of JSON: a list of [path id, next hop, the attributes as they go on the wire, as text].
"""

import json
import sys
from unittest import mock

from exabgp.bgp.message.open.asn import ASN
from exabgp.reactor.api import API

try:
    from exabgp.logger import log

    log.silence()
except ImportError:  # 4.2
    from exabgp.configuration.setup import environment
    from exabgp.logger import Logger

    environment.setup("")
    for level in ("debug", "info", "notice", "warning", "error", "critical", "report"):
        setattr(Logger, level, lambda *_: None)

api = API(None)
session = mock.MagicMock(asn4=True, local_as=ASN(65001), peer_as=ASN(65001), msg_size=65535, nexthop=[])
for line in sys.stdin:
    selector, _, command = line.strip().partition(" announce ")
    try:
        is_route = command.startswith("route ")
        changes = api.api_route(f"announce {command}") if is_route else api.api_attributes(f"announce {command}", [])
        answer: object = [
            # str() as ExaBGP does it for its log: a value that it can't print is a command that it doesn't answer
            [
                each.nlri.path_info.path_info.hex(),
                str(each.nlri.nexthop),
                each.attributes.pack(session, True).hex(),
                str(each.attributes),
            ]
            for each in changes
        ]
    except Exception as error:  # noqa: BLE001  whatever it is, ExaBGP would not announce the route
        answer = repr(error)
    print(json.dumps(answer), flush=True)
