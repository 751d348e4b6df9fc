"""One poll of a server: the best source that answers, why others did not, and an end in time whatever a server does."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from exporter.config.settings import Tls
from exporter.servers import asking
from exporter.servers.asking import LIMIT
from exporter.servers.failures import failure_of
from exporter.servers.poll import SOURCES, Options, Poll, poll
from exporter.servers.probe import probe
from exporter.servers.server import FIRST_RETRY, LAST_RETRY, Server
from exporter.servers.tls import Context
from tests.servers import recorded
from tests.servers.fakes import Behaviour, Fake, endless, faking, hang_up, http, silence, trickle, words

#: Long enough for a busy machine, where nothing waits for its end.
PATIENT = Options(30.0)
#: Short, where it does.
HASTY = Options(0.3)

LEADER = {name: recorded.text("3.9.5", f"{name}.leader") for name in ("mntr", "srvr")}
NOT_SERVING = recorded.text("3.9.5", "mntr.not_serving")
MONITOR = recorded.json("3.9.5", "admin.monitor")


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


async def polled(behave: Behaviour, options: Options = PATIENT, sources: tuple[str, ...] = SOURCES[1:]) -> Poll:
    """What one poll of a fake server brings; it leaves no connection open."""
    async with faking(behave) as fake:
        found = await poll(fake.target, options, sources)
        await closed(fake)
        return found


async def closed(fake: Fake) -> None:
    """Waits until no connection is open, for those that only end with it."""
    for _ in range(500):
        if not fake.open or fake.behave is silence:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("a connection is open")


def reasons(found: Poll) -> dict[str, str]:
    return {problem.source: problem.reason for problem in found.problems}


def test_mntr_is_asked_first() -> None:
    found = run(polled(words({**LEADER, "ruok": "imok"})))
    assert (found.source, found.is_up, reasons(found)) == ("mntr", True, {})
    assert found.answer.numbers["zk_znode_count"] == 11


def test_srvr_answers_where_mntr_is_not_allowed() -> None:
    found = run(polled(words({"srvr": LEADER["srvr"]})))
    assert (found.source, found.is_up, reasons(found)) == ("srvr", True, {"mntr": "not_allowed"})
    assert found.answer.numbers["zk_znode_count"] == 11


def test_ruok_says_at_least_that_the_server_is_there() -> None:
    found = run(polled(words({"ruok": "imok"})))
    assert (found.source, found.is_up) == ("ruok", True)
    assert reasons(found) == {"mntr": "not_allowed", "srvr": "not_allowed"}
    assert not found.answer.numbers


def test_a_server_that_allows_no_word_is_there_too() -> None:
    found = run(polled(words({})))
    assert (found.source, found.is_up) == (None, True)
    assert reasons(found) == dict.fromkeys(["mntr", "srvr", "ruok"], "not_allowed")


def test_the_same_problem_is_named_once() -> None:
    async def script(_fake: Fake, server: Server, clock: Clock) -> None:
        await server.poll()
        problem = "mntr, srvr, ruok: the server's 4lw.commands.whitelist does not have the word"
        assert server.stats(clock()).problem == problem

    following(words({}), script)


def test_a_server_without_a_quorum_is_asked_once() -> None:
    found = run(polled(words({"mntr": NOT_SERVING})))
    assert (found.source, found.is_up, reasons(found)) == (None, False, {"mntr": "not_serving"})


def test_a_server_that_hangs_up_is_asked_once() -> None:
    found = run(polled(hang_up))
    assert (found.source, found.is_up, reasons(found)) == (None, False, {"mntr": "not_serving"})


@pytest.mark.parametrize("behave", [silence, trickle])
def test_a_server_that_does_not_answer_in_time(behave: Behaviour) -> None:
    began = time.monotonic()
    found = run(polled(behave, HASTY))
    assert (found.source, found.is_up, reasons(found)) == (None, False, {"mntr": "timeout"})
    assert time.monotonic() - began < 10


def test_an_endless_answer_is_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LIMIT", 100_000)

    async def behave(word: bytes, writer: asyncio.StreamWriter) -> None:
        await (words(LEADER) if word == b"srvr" else endless)(word, writer)

    found = run(polled(behave))
    assert (found.source, reasons(found)) == ("srvr", {"mntr": "other"})
    assert found.problems[0].text == "the answer has more than 100000 bytes"


def test_the_limit_has_room_for_thousands_of_znodes_below_the_root() -> None:
    lines = LEADER["mntr"] + "".join(f"zk_sum_name-{i:036}_read_per_namespace\t{i}\n" for i in range(30_000))
    assert len(lines) < LIMIT
    assert len(run(polled(words({"mntr": lines}))).answer.numbers) > 30_000


@pytest.mark.parametrize("garbage", [b"\x00\xff" * 1000, b"SSH-2.0-OpenSSH_9.2\r\n", b"\n" * 1000, b"zk_a\tb\n"])
def test_garbage_is_a_failure(garbage: bytes) -> None:
    found = run(polled(words({"mntr": garbage, "srvr": garbage, "ruok": garbage})))
    assert (found.source, found.is_up) == (None, False)
    assert reasons(found) == dict.fromkeys(["mntr", "srvr", "ruok"], "other")


def test_nobody_listens() -> None:
    async def ask() -> Poll:
        async with faking(silence) as fake:
            target = fake.target
        return await poll(target, PATIENT, SOURCES[1:])

    found: Poll = run(ask())
    assert (found.is_up, reasons(found)) == (False, {"mntr": "refused"})


def test_a_server_with_two_addresses_answers_at_either() -> None:
    async def ask() -> Poll:
        async with faking(words(LEADER)) as fake:
            return await poll(fake.target._replace(addresses=("127.0.0.2", "127.0.0.1")), PATIENT, SOURCES[1:])

    assert run(ask()).source == "mntr"


# AdminServer


def with_admin(fake: Fake, options: Options = PATIENT, scheme: str = "http") -> Options:
    return replace(options, admin=f"{scheme}://{{host}}:{fake.port}")


def admin_and_words(admin: Behaviour, client: Behaviour, options: Options = PATIENT) -> tuple[Poll, list[bytes]]:
    async def ask() -> tuple[Poll, list[bytes]]:
        async with faking(admin) as of_admin, faking(client) as fake:
            return await poll(fake.target, with_admin(of_admin, options), SOURCES), of_admin.asked

    found: tuple[Poll, list[bytes]] = run(ask())
    return found


def test_adminserver_is_asked_before_the_words() -> None:
    found, asked = admin_and_words(http(MONITOR), words(LEADER))
    assert (found.source, found.is_up, reasons(found)) == ("admin", True, {})
    assert found.answer.texts["zk_server_state"] == "standalone"
    assert asked[0].startswith(b"GET /commands/monitor HTTP/1.1\r\nHost: 127.0.0.1:")


def test_the_date_of_an_answer_says_how_the_clock_goes() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    found, _ = admin_and_words(http(MONITOR, headers=f"Date: {date}\r\n"), silence)
    assert found.answer.clock_offset == pytest.approx(86400, abs=PATIENT.timeout)


@pytest.mark.parametrize("headers", ["", "Date: \r\n", "Date: tomorrow\r\n", "Date: Tue, 99 Nov 2026 14:30:07 GMT\r\n"])
def test_a_date_that_is_none_costs_only_the_clock(headers: str) -> None:
    found, _ = admin_and_words(http(MONITOR, headers=headers), silence)
    assert (found.source, found.answer.clock_offset, found.answer.malformed) == ("admin", None, 0)
    assert found.answer.numbers["zk_znode_count"] > 0


def test_words_say_nothing_of_the_clock() -> None:
    assert run(polled(words(LEADER))).answer.clock_offset is None


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (http(b"<html>", "404 Not Found"), "other"),
        (http(b"", "403 Forbidden"), "not_allowed"),
        (
            http(b'{"error": "This ZooKeeper instance is not currently serving requests"}', "503 Unavailable"),
            "not_serving",
        ),
        (http(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n"), "other"),
        (words({"GET ": "nonsense"}), "other"),
        (hang_up, "not_serving"),
        (endless, "other"),
    ],
)
def test_words_are_asked_where_adminserver_gives_nothing(behave: Behaviour, reason: str) -> None:
    found, _ = admin_and_words(behave, words(LEADER))
    assert (found.source, reasons(found)) == ("mntr", {"admin": reason})


def test_words_are_asked_where_adminserver_is_silent() -> None:
    found, _ = admin_and_words(silence, words(LEADER), replace(PATIENT, timeout=3.0))
    assert (found.source, reasons(found)) == ("mntr", {"admin": "timeout"})


def test_an_endless_answer_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LIMIT", 100_000)
    found, _ = admin_and_words(http(b" " * 200_000), words({}))
    assert found.problems[0].text == "the answer has more than 100000 bytes"


def test_chunks_are_understood() -> None:
    async def behave(_request: bytes, writer: asyncio.StreamWriter) -> None:
        chunks = [MONITOR[i : i + 1000] for i in range(0, len(MONITOR), 1000)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n")
        await writer.drain()

    assert admin_and_words(behave, silence)[0].source == "admin"


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    made, file = trustme.CA(), tmp_path_factory.mktemp("authority") / "ca.pem"
    made.cert_pem.write_to_path(str(file))
    return made, file


def server_context(authority: trustme.CA, name: str = "127.0.0.1", clients: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    return context


def over_tls(tls: Tls) -> Options:
    return replace(PATIENT, uses_tls=True, context=Context(tls))


def ask_over_tls(context: ssl.SSLContext | None, options: Options, behave: Behaviour | None = None) -> Poll:
    async def ask() -> Poll:
        async with faking(behave or words(LEADER), context) as fake:
            return await poll(fake.target, options, SOURCES[1:])

    found: Poll = run(ask())
    return found


def test_words_go_over_tls(authority: tuple[trustme.CA, Path]) -> None:
    found = ask_over_tls(server_context(authority[0]), over_tls(Tls(ca_file=authority[1])))
    assert (found.source, reasons(found)) == ("mntr", {})


def test_a_certificate_is_verified(authority: tuple[trustme.CA, Path]) -> None:
    found = ask_over_tls(server_context(trustme.CA()), over_tls(Tls(ca_file=authority[1])))
    assert reasons(found) == {"mntr": "tls"}
    assert found.problems[0].text.startswith("TLS: the certificate is not trusted: ")
    other = server_context(authority[0], "other.example")
    assert "mismatch" in ask_over_tls(other, over_tls(Tls(ca_file=authority[1]))).problems[0].text
    assert ask_over_tls(other, over_tls(Tls(ca_file=authority[1], check_hostname=False))).source == "mntr"
    assert ask_over_tls(other, over_tls(Tls(insecure_skip_verify=True))).source == "mntr"


def test_a_client_certificate_is_presented(authority: tuple[trustme.CA, Path], tmp_path: Path) -> None:
    context = server_context(authority[0], clients=True)
    # asyncio's server hangs up instead of sending an alert.
    assert not ask_over_tls(context, over_tls(Tls(ca_file=authority[1]))).is_up
    issued = authority[0].issue_cert("exporter.example")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    tls = Tls(ca_file=authority[1], cert_file=cert, key_file=key, key_password=SecretStr("unused"))
    assert ask_over_tls(context, over_tls(tls)).source == "mntr"


def test_files_that_come_later_are_read_then(authority: tuple[trustme.CA, Path], tmp_path: Path) -> None:
    options, context = over_tls(Tls(ca_file=tmp_path / "ca.pem")), server_context(authority[0])
    found = ask_over_tls(context, options)
    assert reasons(found) == {"mntr": "tls"}
    assert found.problems[0].text == "TLS: a file of the configuration cannot be used: No such file or directory"
    (tmp_path / "ca.pem").write_bytes(authority[1].read_bytes())
    assert ask_over_tls(context, options).source == "mntr"
    made = options.context.current()
    assert options.context.current() is made


async def nonsense(_first: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"nonsense")
    await writer.drain()


def test_a_port_without_tls_is_noticed(authority: tuple[trustme.CA, Path]) -> None:
    found = ask_over_tls(None, over_tls(Tls(ca_file=authority[1])), nonsense)
    assert reasons(found) == {"mntr": "tls"}
    # A ZooKeeper hangs up on what it takes for a request that is too long, and on TLS when it has no quorum.
    assert reasons(ask_over_tls(None, over_tls(Tls(ca_file=authority[1])), hang_up)) == {"mntr": "not_serving"}


def test_adminserver_over_https(authority: tuple[trustme.CA, Path]) -> None:
    async def ask() -> Poll:
        async with faking(http(MONITOR), server_context(authority[0])) as admin, faking(silence) as fake:
            options = replace(PATIENT, context=Context(Tls(ca_file=authority[1])))
            return await poll(fake.target, with_admin(admin, options, "https"), SOURCES)

    assert run(ask()).source == "admin"


# From poll to poll


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def following(
    behave: Behaviour, script: Callable[[Fake, Server, Clock], Awaitable[None]], lists_clients: bool = False
) -> None:
    async def follow() -> None:
        async with faking(behave) as fake:
            clock = Clock()
            await script(fake, Server(fake.target, PATIENT, clock, lists_clients=lists_clients), clock)

    run(follow())


def test_one_connection_a_poll_is_enough_once_a_source_is_found() -> None:
    async def script(fake: Fake, server: Server, clock: Clock) -> None:
        await server.poll()
        assert fake.asked == [b"mntr", b"srvr"]
        await server.poll()
        await server.poll()
        assert fake.asked[2:] == [b"srvr", b"srvr"]
        stats = server.stats(clock())
        assert (stats.source, stats.failures["not_allowed"]) == ("srvr", 1)
        assert stats.problem == "mntr: the server's 4lw.commands.whitelist does not have the word"
        # A better source is tried soon, then ever less often, and whenever this one fails.
        fake.asked.clear()
        for after in (FIRST_RETRY, 2 * FIRST_RETRY, LAST_RETRY, LAST_RETRY):
            clock.now += after
            await server.poll()
            await server.poll()
        assert fake.asked == [b"mntr", b"srvr", b"srvr"] * 4
        fake.behave = words(LEADER)
        clock.now += LAST_RETRY
        fake.asked.clear()
        await server.poll()
        assert fake.asked == [b"mntr"]
        assert (server.stats(clock()).source, server.stats(clock()).problem) == ("mntr", "")

    following(words({"srvr": LEADER["srvr"]}), script)


def test_after_a_failure_the_best_source_is_tried_first() -> None:
    async def script(fake: Fake, server: Server, clock: Clock) -> None:
        await server.poll()
        fake.behave = hang_up
        await server.poll()
        stats = server.stats(clock())
        assert (stats.is_up, stats.source, dict(stats.numbers), dict(stats.texts)) == (False, None, {}, {})
        assert stats.problem == "srvr: the server closed the connection without an answer"
        fake.asked.clear()
        fake.behave = words(LEADER)
        await server.poll()
        assert fake.asked == [b"mntr"]
        assert server.stats(clock()).failures == {
            **dict.fromkeys(["refused", "timeout", "tls", "dns", "other"], 0),
            "not_allowed": 1,
            "not_serving": 1,
        }

    following(words({"srvr": LEADER["srvr"]}), script)


def test_malformed_lines_are_counted() -> None:
    async def script(_fake: Fake, server: Server, clock: Clock) -> None:
        await server.poll()
        await server.poll()
        assert (server.stats(clock()).is_up, server.stats(clock()).malformed_lines) == (True, 4)

    following(words({"mntr": LEADER["mntr"] + "what\nzk_this\tis\n"}), script)


def test_no_number_outlives_its_poll() -> None:
    async def script(_fake: Fake, server: Server, clock: Clock) -> None:
        assert server.stats(clock()).is_up is None
        await server.poll()
        polled_at = clock()
        assert server.stats(polled_at).is_up
        clock.now += 100
        old = server.stats(polled_at + 1)
        assert (old.is_up, dict(old.numbers), dict(old.texts), old.problem) == (None, {}, {}, "not polled in time")
        assert old.failures["timeout"] == 0

    following(words(LEADER), script)


def test_what_the_exporter_lacks_says_nothing_about_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def exhausted(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async def script(_fake: Fake, server: Server, clock: Clock) -> None:
        await server.poll()
        assert server.stats(clock()).is_up
        monkeypatch.setattr(asyncio, "open_connection", exhausted)
        await server.poll()
        stats = server.stats(clock())
        assert (stats.is_up, dict(stats.numbers)) == (None, {})
        assert stats.problem == "mntr: too many open files (of the exporter)"

    following(words(LEADER), script)


# Errors


def test_errors_of_connections_have_a_reason_each() -> None:
    errors: dict[str, list[Exception]] = {
        "dns": [socket.gaierror(-2, "Name or service not known")],
        "timeout": [TimeoutError()],
        "refused": [ConnectionRefusedError()],
        "not_serving": [ConnectionResetError(), BrokenPipeError()],
        "tls": [ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")],
        "other": [OSError(113, "No route to host"), OSError(24, "Too many open files"), ValueError("odd")],
    }
    for reason, of_reason in errors.items():
        for error in of_reason:
            assert failure_of(error).reason == reason
    assert failure_of(OSError(24, "")).text == "too many open files (of the exporter)"


# Whose the connections are


CONS = recorded.text("3.9.5", "cons.leader")


@pytest.mark.parametrize("source", ["mntr", "srvr"])
def test_clients_come_with_the_numbers_of_their_poll(source: str) -> None:
    async def script(fake: Fake, server: Server, clock: Clock) -> None:
        await server.poll()
        assert (server.stats(clock()).clients or {})["127.0.0.1"] >= 1
        fake.behave = hang_up
        await server.poll()
        assert server.stats(clock()).clients is None

    following(words({source: LEADER[source], "cons": CONS}), script, lists_clients=True)


@pytest.mark.parametrize(
    "cons",
    [None, "", "This ZooKeeper instance is not currently serving requests\n", CONS.rstrip("\n"), b"\x00" * 100],
)
def test_a_server_that_lists_no_clients_is_seldom_asked_for_them(cons: str | bytes | None) -> None:
    async def script(fake: Fake, server: Server, clock: Clock) -> None:
        for after in (0.0, FIRST_RETRY, 2 * FIRST_RETRY, LAST_RETRY, LAST_RETRY):
            clock.now += after
            await server.poll()
            await server.poll()
        assert fake.asked == [b"mntr", b"cons", b"mntr"] * 5
        stats = server.stats(clock())
        # That is no failure of the poll: the numbers are there.
        assert (stats.is_up, stats.problem, stats.clients, sum(stats.failures.values())) == (True, "", None, 0)
        fake.behave = words({**LEADER, "cons": CONS})
        clock.now += LAST_RETRY
        await server.poll()
        assert server.stats(clock()).clients

    answers = LEADER if cons is None else {**LEADER, "cons": cons}
    following(words(answers), script, lists_clients=True)


def test_a_list_that_takes_too_long_costs_only_the_list() -> None:
    async def behave(word: bytes, writer: asyncio.StreamWriter) -> None:
        await (silence if word == b"cons" else words(LEADER))(word, writer)

    async def follow() -> None:
        async with faking(behave) as fake:
            server = Server(fake.target, HASTY, lists_clients=True)
            while not server.stats(0).is_up:
                await server.poll()
            assert server.stats(0).clients is None

    run(follow())


def test_a_list_of_many_thousand_connections_is_read() -> None:
    line = " /127.0.0.1:{port}[1](queued=0,recved=1,sent=1,sid=0x10000b2d9de0001,lop=SESS,est=1796027963466,to=10000)\n"
    cons = "".join(line.format(port=port) for port in range(60_000)) + "\n"
    assert len(cons) > LIMIT

    async def script(_fake: Fake, server: Server, clock: Clock) -> None:
        await server.poll()
        assert server.stats(clock()).clients == {"127.0.0.1": 60_000}

    following(words({**LEADER, "cons": cons}), script, lists_clients=True)


def test_a_server_that_says_only_imok_is_not_asked_for_clients() -> None:
    async def script(fake: Fake, server: Server, _clock: Clock) -> None:
        await server.poll()
        assert fake.asked == [b"mntr", b"srvr", b"ruok"]

    following(words({"ruok": "imok", "cons": CONS}), script, lists_clients=True)


def test_adminserver_lists_clients_too() -> None:
    async def behave(request: bytes, writer: asyncio.StreamWriter) -> None:
        said = recorded.json("3.9.5", "admin.connections") if b"/commands/connections " in request else MONITOR
        await http(said)(request, writer)

    async def follow() -> None:
        async with faking(behave) as admin, faking(silence) as fake:
            server = Server(fake.target, with_admin(admin), lists_clients=True)
            await server.poll()
            assert server.stats(0).clients == {"127.0.0.1": 2}

    run(follow())


def test_a_probe_gives_numbers_alone() -> None:
    async def ask() -> list[bytes]:
        async with faking(words({**LEADER, "cons": CONS})) as fake:
            await probe(fake.target, PATIENT, 30)
            return fake.asked

    assert run(ask()) == [b"mntr"]
