"""A cache of a real tree holds the znodes that the globs select."""

from __future__ import annotations

import pytest

from exporter import TreeCache
from exporter.config.globs import Globs
from tests.config.test_globs import ZNODES, below
from tests.conftest import ClientFactory


@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_a_cache_holds_what_the_globs_say_and_keeps_to_it(client_factory: ClientFactory, mode: str) -> None:
    client = client_factory()
    for path in ZNODES:
        client.create(path)
    globs = Globs(["/services/*/instances"], ["/services/db"])
    with TreeCache(client, "/services", create_root=False, mode=mode, selector=globs) as cache:
        assert cache.wait_initialized(10)
        expected = ["/services", *below("web", "web/instances", "web/instances/1", "web/instances/1/locks")]
        assert sorted(cache) == expected
        for path in below("web/new", "db/new", "web/instances/3"):
            client.create(path)
        while "/services/web/instances/3" not in list(cache):
            pass
        assert sorted(cache) == [*expected, "/services/web/instances/3"]
