"""Ordinary: routine events of an ensemble and its exporters, which must send no notification."""

from __future__ import annotations

import contextlib
import itertools
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kazoo.client import KazooClient

from tests.faults.ensemble import Ensemble, Member
from tests.oncall.stage import Place
from tests.support import eventually, wipe

#: Folders of the releases for an upgrade, if they exist.
RELEASES = ("/opt/zookeeper/3.6.3", "/opt/zookeeper/3.9.5")
#: Services, each of which has one ephemeral znode in each of two data centres.
SERVICES = 20

Step = Callable[[Place], None]


def releases() -> list[str]:
    """The releases to upgrade between; none if they are not installed."""
    return [home for home in RELEASES if Path(home).is_dir()]


def prepare(place: Place) -> None:
    """Adds znodes to the trees."""
    with place.client() as client:
        for number in range(SERVICES):
            client.ensure_path(place.path("services", f"service-{number}"))


def live(place: Place) -> None:
    """Runs the steps one after the other, evenly spread over the hour."""
    steps = STEPS if place.form.is_real else QUICK_STEPS
    pause = place.form.hour / (len(steps) + 1)
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        for centre in ("east", "west"):
            stack.enter_context(registered(place, centre))
        stack.enter_context(changing(place))
        for number, step in enumerate(steps, 1):
            _wait_until(begun + number * pause)
            step(place)
        _wait_until(begun + place.form.hour)


def _wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


@contextlib.contextmanager
def registered(place: Place, centre: str) -> Iterator[KazooClient]:
    """A session with an ephemeral znode for each service."""
    with place.client() as client:
        for number in range(SERVICES):
            client.create(place.path("services", f"service-{number}", centre), b"", ephemeral=True)
        yield client


def changing(place: Place) -> contextlib.AbstractContextManager[None]:
    """Makes a change every half a second."""
    numbers = itertools.count(1)

    def change(client: KazooClient) -> None:
        number = next(numbers)
        with contextlib.suppress(Exception):
            client.set(place.path("services", f"service-{number % SERVICES}"), b"%d" % number)

    return place.repeating(0.5, change)


def heal(ensemble: Ensemble) -> None:
    """Starts the servers that do not run, and waits until all serve, which takes long on a busy machine."""

    def is_healed() -> bool:
        ensemble.heal()
        return True

    eventually(is_healed, timeout=180)


def leader_last(ensemble: Ensemble) -> list[Member]:
    """The servers in the order of their restarts, the leader last."""
    leader = ensemble.leader
    return [*(member for member in ensemble.members if member is not leader), leader]


# The steps


def restart_servers(place: Place) -> None:
    """Restarts one server after the other, the leader last."""
    for member in leader_last(place.ensemble):
        member.kill()
        heal(place.ensemble)


def restart_leader(place: Place) -> None:
    place.ensemble.leader.kill()
    heal(place.ensemble)


def restart_exporter(place: Place) -> None:
    place.replicas[0].kill()
    place.replicas[0].start()


def reload(place: Place) -> None:
    for replica in place.replicas:
        replica.process.send_signal(signal.SIGHUP)


def restart_prometheus(place: Place) -> None:
    place.stage.restart_prometheus()


def deploy(place: Place) -> None:
    """Moves half of the ephemeral znodes to another session."""
    with place.client() as client:
        for number in range(SERVICES):
            path = place.path("services", f"service-{number}", "west")
            client.delete(path)
            client.create(path, b"new")


def pause(place: Place) -> None:
    process = place.replicas[1].process
    process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    process.send_signal(signal.SIGCONT)


def recreate_root(place: Place) -> None:
    with place.client() as client:
        znodes = len(client.get_children(place.path("config")))
        wipe(client, place.path("config"))
        client.create(place.path("config"))
        for number in range(znodes):
            client.create(place.path("config", f"znode-{number}"), b"0")


def change_much(place: Place) -> None:
    with place.client() as client:
        done = 0
        while done < place.form.changes:
            path = place.path("services", f"service-{done % SERVICES}")
            for result in [client.set_async(path, b"x") for _ in range(500)]:
                result.get()
            done += 500


def drain_node(place: Place) -> None:
    """Drains the machine of a server and an exporter: both stop, and start again half a minute later."""
    server = place.ensemble.followers[0]
    place.replicas[0].process.stop()
    server.kill()
    time.sleep(30)
    place.replicas[0].start()
    heal(place.ensemble)


def upgrade(place: Place) -> None:
    """Restarts each server with the newest installed release, the leader last."""
    newest = releases()[-1] if releases() else None
    for member in leader_last(place.ensemble):
        member.kill()
        member.home = newest
        time.sleep(5)
        heal(place.ensemble)


STEPS: tuple[Step, ...] = (
    *(restart_servers, restart_leader, restart_exporter, reload, deploy, pause),
    *(recreate_root, change_much, restart_prometheus, drain_node, upgrade),
)
#: Those that are shorter than the waits of the rules in the short form, and do not affect other causes' servers.
QUICK_STEPS: tuple[Step, ...] = (deploy, reload, change_much, recreate_root)
