"""Recordings of every kind of message that a server sends, to mutate: ``frames.json`` has them in hexadecimal.

`python -m tests.zookeeper.corpus` records them again, from a server that it starts.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.security import make_digest_acl

from exporter.demo.server import ZooKeeperServer
from exporter.zookeeper.client import Client
from exporter.zookeeper.kazoo.seam import adapt
from exporter.zookeeper.messages import Message
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import (
    AddWatch,
    Check,
    Exists,
    GetChildren,
    GetData,
    MultiRead,
    RemoveWatches,
    Request,
    Sync,
)
from tests.support import eventually

PATH = Path(__file__).with_name("frames.json")

#: The exporter's requests whose answers are recorded, by the names of the recordings.
OWN: dict[str, Request] = {
    "addWatch": AddWatch("/tree"),
    "multiRead": MultiRead("/tree", ["", "/b", "/nothing"], ["", "/a"]),
    "getData": GetData("/tree", "/a"),
    "getChildren": GetChildren("/tree", ""),
    "exists": Exists("/tree/nothing"),
    "check": Check("/tree"),
    "sync": Sync("/tree"),
    "removeWatches": RemoveWatches("/tree"),
}


def load() -> dict[str, bytes]:
    """The recorded frames, without their lengths, by the request that they answer; watch events are ``event N``."""
    return {name: bytes.fromhex(frame) for name, frame in json.loads(PATH.read_text()).items()}


@contextlib.contextmanager
def _recording(client: KazooClient, frames: dict[str, bytes]) -> Iterator[None]:
    """Notes the first frame for each kind of request, and each event, until the block ends."""
    reception, inside = Session.attach(client)._reception, adapt(client)
    take, read = reception.on_frame, inside.read

    def on_frame(frame: bytes) -> Any:
        frames.setdefault(_name(inside, frame), frame)
        return take(frame)

    def on_handshake(length: int, timeout: Any) -> Any:
        data = read(length, timeout)
        if length > 4:
            frames.setdefault("handshake" if "handshake" not in frames else "handshake auth", data)
        return data

    reception.on_frame = on_frame  # type: ignore[method-assign]
    inside.read = on_handshake
    yield


def _name(client: Client, frame: bytes) -> str:
    xid = int.from_bytes(frame[:4], "big", signed=True)
    if xid == -1:
        return f"event {int.from_bytes(frame[16:20], 'big')}"
    if xid == -2:
        return "ping"
    if xid == -4:
        return "auth"
    request = client.pending[0][0]
    own = next((name for name, one in OWN.items() if one is request), None)
    failed = " failed" if int.from_bytes(frame[12:16], "big", signed=True) else ""
    return own or f"kazoo {type(request).__name__}{failed}"


def record() -> dict[str, bytes]:
    """Makes a server send every kind of message to one of our clients."""
    frames: dict[str, bytes] = {}
    with ZooKeeperServer(config={"tickTime": "200"}) as server:
        client = KazooClient(server.hosts, timeout=1.0, auth_data=[("digest", "user:secret")])
        with _recording(client, frames):
            client.start()
            answers: list[Message] = []
            session = Session.attach(client)
            for path in ("/tree/a/deep", "/tree/b", "/tree/ünï"):
                client.ensure_path(path)
            client.set("/tree/a", b"data of a")
            for number, request in enumerate(OWN.values(), 1):
                session.submit(request, answers.append)
                eventually(lambda number=number: len(answers) == number)  # type: ignore[misc]
            _call_everything(client)
            client.add_auth("digest", "other:secret")
            eventually(lambda: "ping" in frames)
            client.stop()
            client.close()
    return frames


def _call_everything(client: KazooClient) -> None:
    seen: list[object] = []
    client.get("/tree/a", watch=seen.append)
    client.get_children("/tree", watch=seen.append)
    client.get_children("/tree", include_data=True)
    client.exists("/tree/new", watch=seen.append)
    client.create("/tree/new", b"1")
    client.create("/tree/newer", b"2", include_data=True)
    client.set("/tree/a", b"3")
    client.get_acls("/tree")
    client.set_acls("/tree/b", [make_digest_acl("user", "secret", all=True)])
    client.sync("/tree")
    client.get("/tree/newer", watch=seen.append)
    client.delete("/tree/newer")
    with contextlib.suppress(KazooException):
        client.get("/tree/nothing")
    transaction = client.transaction()
    transaction.create("/tree/t", b"4")
    transaction.set_data("/tree/t", b"5")
    transaction.check("/tree/t", 1)
    transaction.delete("/tree/t")
    transaction.commit()
    refused = client.transaction()
    refused.delete("/tree/nothing")
    refused.commit()
    eventually(lambda: len(seen) == 4)


if __name__ == "__main__":
    recorded = {name: frame.hex() for name, frame in sorted(record().items())}
    PATH.write_text(json.dumps(recorded, indent=1) + "\n")
    print(f"{len(recorded)} frames: {', '.join(recorded)}")
