"""Patroni: a member of a PostgreSQL cluster that Patroni runs, with Debian's PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from exporter.demo.ports import free_port
from tests.systems.program import Program, program

PATRONI = Path(__file__).parents[2] / ".patroni-venv" / "bin" / "patroni"
#: Debian puts each version's programs into a folder of its own.
POSTGRESQL = Path("/usr/lib/postgresql")
#: PostgreSQL refuses to run as root. Debian's package makes this user.
USER = "postgres" if os.geteuid() == 0 else None

SCOPE = "main"
#: The shortest times that Patroni accepts.
TIMES = {"ttl": 20, "loop_wait": 1, "retry_timeout": 3}
SUPERUSER = {"username": "postgres", "password": "secret"}
REPLICATION = {"username": "replicator", "password": "secret"}


def configuration(folder: Path, name: str, hosts: str, api: str) -> str:
    """Patroni's configuration for a member whose files are all in its folder. JSON is YAML."""
    postgresql = f"127.0.0.1:{free_port()}"
    return json.dumps(
        {
            "scope": SCOPE,
            "name": name,
            "restapi": {"listen": api, "connect_address": api},
            "zookeeper": {"hosts": [hosts]},
            "bootstrap": {"dcs": {**TIMES, "postgresql": {"use_pg_rewind": True}}, "initdb": [{"encoding": "UTF8"}]},
            "postgresql": {
                "listen": postgresql,
                "connect_address": postgresql,
                "bin_dir": str(next(POSTGRESQL.glob("*/bin/postgres")).parent),
                "data_dir": str(folder / "data"),
                "pgpass": str(folder / "pgpass"),
                "authentication": {"superuser": SUPERUSER, "replication": REPLICATION},
                "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
                "parameters": {"shared_buffers": "16MB", "unix_socket_directories": str(folder)},
            },
        }
    )


@contextlib.contextmanager
def member(name: str, hosts: str) -> Iterator[Program]:
    """A member that is not yet started; afterwards neither it nor its PostgreSQL runs."""
    with program(USER) as made:
        api = f"127.0.0.1:{free_port()}"
        config = made.folder / "patroni.yml"
        config.write_text(configuration(made.folder, name, hosts, api))
        made.url = f"http://{api}/patroni"
        made.command = [str(PATRONI), str(config)]
        yield made
