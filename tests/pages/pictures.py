"""`python -m tests.pages.pictures [--minutes N] [--folder FOLDER]`: rewrites docs/*page*.png.

They show the demo's tree with one unreadable znode, some time after its server was killed and started again.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

from kazoo.client import KazooClient
from kazoo.security import make_acl
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from exporter import __version__
from exporter.config.settings import OPTIONS, Ensemble, Tree
from exporter.daemon.fleet import Fleet
from exporter.demo.command import RULES
from exporter.demo.server import ZooKeeperServer
from exporter.demo.world import ROOTS, World
from tests.web.running import Running, running

DOCS = Path(__file__).parents[2] / "docs"
CLOSED = "/services/ledger/keys"
BROWSED = {"ensemble": "shop", "tree": "/config", "path": "/config/production/orders"}


@dataclass(frozen=True)
class Picture:
    """What is shown on which screen: as much of a long page as fits, or all of it."""

    name: str
    address: str = "/"
    scheme: Literal["light", "dark"] = "light"
    width: int = 1100
    height: int = 600
    whole: bool = True


PICTURES = (
    Picture("landing-page"),
    Picture("landing-page-dark", scheme="dark"),
    Picture("landing-page-phone", width=390, height=844, whole=False),
    Picture("browser-page", f"/browse?{urlencode(BROWSED)}", height=960, whole=False),
)


def main() -> None:
    """Lets the tree change for some time, kills its server halfway, and takes the pictures at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.pages.pictures")
    parser.add_argument("--minutes", type=float, default=11.0, help="how long the tree lives, about (default 11)")
    parser.add_argument("--folder", type=Path, default=DOCS, metavar="FOLDER", help="where to write (default docs)")
    arguments = parser.parse_args()
    with scene(arguments.minutes * 60) as server, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for picture in PICTURES:
            print(take(chromium, server, picture, arguments.folder))
        chromium.close()


@contextlib.contextmanager
def scene(seconds: float) -> Iterator[Running]:
    """The pages after all of that."""
    with ZooKeeperServer() as zookeeper:
        world = World(zookeeper.hosts)
        world.start()
        try:
            close(zookeeper.hosts)
            options = replace(OPTIONS, keep_data=True)
            trees = tuple(Tree(root, root, rules=RULES.get(root, ()), options=options) for root in ROOTS)
            fleet = Fleet([Ensemble("shop", zookeeper.hosts, trees)])
            with running(*fleet, expose_data=True, version=__version__) as server:
                fleet.start()
                time.sleep(seconds / 2)
                zookeeper.kill()
                time.sleep(5)
                zookeeper.start()
                time.sleep(seconds / 2)
                yield server
            fleet.stop()
        finally:
            world.stop()


def close(hosts: str) -> None:
    """Adds a znode to the tree that the exporter may not read."""
    client = KazooClient(hosts)
    client.start()
    client.create(CLOSED, acl=[make_acl("world", "anyone", create=True, delete=True)], makepath=True)
    client.stop()
    client.close()


def take(browser: Browser, server: Running, picture: Picture, folder: Path) -> Path:
    """Takes one picture, and returns its file."""
    path = folder / f"{picture.name}.png"
    screen = ViewportSize(width=picture.width, height=picture.height)
    context = browser.new_context(color_scheme=picture.scheme, viewport=screen, device_scale_factor=2)
    page = context.new_page()
    page.goto(server.url + picture.address)
    page.screenshot(path=path, full_page=picture.whole)
    context.close()
    return path


if __name__ == "__main__":
    main()
