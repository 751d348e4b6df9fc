"""Clients: how many connections each client's address has at a server, as AdminServer and `cons` list them.

The numbers of a server do not say whose its connections are. These lists have one entry for each connection; that of
`cons` has the question's own, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv6Address, ip_address

from exporter.servers.answers import check_refusal, lines_of, object_of
from exporter.servers.failures import CUT_SHORT, PollError

#: How many addresses are shown, those with most connections: an ensemble may have thousands.
SHOWN = 10
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
    if not text.endswith(("\n\n", "\r\n\r\n")):
        raise PollError("not_serving", CUT_SHORT)
    return _counted(_CONS.match(line) for line in lines_of(text))


def parse_connections(status: int, body: bytes) -> Clients:
    """The answer of AdminServer: two lists of objects. Raises PollError if it is a refusal."""
    said = object_of(status, body)
    entries = (entry for name in _LISTS if isinstance(said.get(name), list) for entry in said[name])
    addresses = (entry.get("remote_socket_address") for entry in entries if isinstance(entry, dict))
    return _counted(_ADMIN.fullmatch(address) for address in addresses if isinstance(address, str))


def most_connected(of_servers: Collection[Clients]) -> Clients:
    """The addresses with most connections to these servers; of equal ones always the same."""
    total: Counter[str] = Counter()
    for clients in of_servers:
        total.update(clients)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0]))[:SHOWN])


def _counted(found: Iterable[re.Match[str] | None]) -> Clients:
    return Counter(host for match in found if match and (host := _canonical(match["host"])))


def _canonical(host: str) -> str:
    """An address in the one form that it has everywhere, or a name; empty if it is neither."""
    address_alone, percent, scope = host.partition("%")
    try:
        address = ip_address(host if _NAME.fullmatch(scope) else address_alone + percent)
    except ValueError:
        return host.lower() if _NAME.fullmatch(host) else ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)
