"""Clients: how many connections each client's address has at a server, as AdminServer and `cons` list them.

The numbers of a server do not say whose its connections are. These lists have one entry for each connection, the
question's own included.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address, ip_address

from exporter.servers.answers import check_refusal, lines_of, object_of
from exporter.servers.failures import CUT_SHORT, PollError

#: How many addresses are kept, those with most connections: a server may have thousands.
KEPT = 10
#: How a line of `cons` begins: Java's text of the client's address, with the name before it if that is known.
_CONS = re.compile(r" [^/\[]*/\[?(?P<host>[^\[\]]+)\]?:[0-9]+\[")
#: The same in AdminServer's list: the address, or only the name if that is known.
_ADMIN = re.compile(r"\[?(?P<host>[^\[\]]+)\]?:[0-9]+")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
#: The two lists in AdminServer's answer.
_LISTS = ("connections", "secure_connections")

#: Connections by address.
Clients = Mapping[str, int]


def parse_cons(text: str) -> Clients:
    """The answer to `cons`: a line for each connection. Raises PollError if it is a refusal, or is cut short."""
    check_refusal(text)
    if not text.endswith("\n\n"):
        raise PollError("not_serving", CUT_SHORT)
    return _most(_CONS.match(line) for line in lines_of(text))


def parse_connections(status: int, body: bytes) -> Clients:
    """The answer of AdminServer: two lists of objects. Raises PollError if it is a refusal."""
    said = object_of(status, body)
    entries = (entry for name in _LISTS if isinstance(said.get(name), list) for entry in said[name])
    addresses = (entry.get("remote_socket_address") for entry in entries if isinstance(entry, dict))
    return _most(_ADMIN.fullmatch(address) for address in addresses if isinstance(address, str))


def _most(found: Iterable[re.Match[str] | None]) -> Clients:
    """The addresses with most connections; of equal ones always the same."""
    counts = Counter(host for match in found if match and (host := _canonical(match["host"])))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:KEPT])


def _canonical(host: str) -> str:
    """An address in the one form that it has everywhere, or a name; empty if it is neither."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower() if _NAME.fullmatch(host) else ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)
