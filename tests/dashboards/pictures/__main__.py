"""`python -m tests.dashboards.pictures [--minutes N] [--folder FOLDER]`: rewrites docs/dashboard-*.png."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.dashboards.conftest import CHOSEN
from tests.dashboards.grafana import ALL, NAMES, Grafana, load
from tests.dashboards.pictures.draw import draw
from tests.dashboards.scene import Scene, playing

DOCS = Path(__file__).parents[3] / "docs"


def main() -> None:
    """Plays a scene with faults, and draws the dashboards while a session is down."""
    parser = argparse.ArgumentParser(prog="python -m tests.dashboards.pictures")
    parser.add_argument("--minutes", type=float, default=8.0, help="how long the scene lasts, about (default 8)")
    parser.add_argument("--folder", type=Path, default=DOCS, metavar="FOLDER", help="where to write (default docs)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, playing(Path(folder)) as scene:
        start = time.time()
        act(scene, arguments.minutes * 60 / 8.5)
        end = time.time()
        for name in NAMES:
            path = arguments.folder / f"dashboard-{name}.png"
            variables = {"job": ALL, "instance": ALL, **CHOSEN[name]}
            draw(load(name), Grafana(scene.prometheus.url, int(start), int(end), variables, step=2.0), path)
            print(path)


def act(scene: Scene, pause: float) -> None:
    """Quiet periods, a cut connection, an expired session, a paused exporter, and finally an unreachable ensemble."""
    time.sleep(2 * pause)
    scene.cut()
    time.sleep(pause)
    scene.expire()
    time.sleep(2 * pause)
    with scene.replica_paused():
        time.sleep(pause / 2)
    time.sleep(pause)
    scene.cut()
    time.sleep(pause)
    scene.go_dark()
    time.sleep(pause)


if __name__ == "__main__":
    main()
