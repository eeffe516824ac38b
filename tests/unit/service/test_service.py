"""The service: rooms composed, opened in order, closed in reverse."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate import Service
from bedplate.config import Section, option
from bedplate.errors import InvalidConfig, NoSuchTarget, SectionAbsent, TransportClosed
from bedplate.messaging import notify, rpc

_MEMORY = (
    "--no-health.enabled",
    "--service.instance=one",
    "--transport.rpc.url=memory://service-test/",
)


class Greeting(Section):
    """What the test's service says."""

    word: str = option(default="hello", mutable=True, help="How to greet.")


class Greeter(rpc.Interface, topic="greeter", version="1.0"):
    """A contract with one method."""

    def __init__(self, word: str) -> None:
        self.word = word

    async def greet(self, name: str) -> str:
        """Greet somebody."""
        return f"{self.word} {name}"


def _service(
    setup: Callable[[Service], None] | None = None, argv: tuple[str, ...] = _MEMORY
) -> Service:
    return Service("greeter", [Greeting], setup, argv=argv, environ={}, files=())


def _serve_greeter(service: Service) -> None:
    service.serve(Greeter(service.config[Greeting].word))


async def test_registered_handlers_answer_calls_while_the_service_lives() -> None:
    """Inside the block calls are answered; after it the same target is gone."""
    async with _service(_serve_greeter) as service, _service() as client:
        stub = rpc.client(client.rpc, Greeter)
        assert await stub.greet("you") == "hello you"
        assert await stub.with_(server="one").greet("one") == "hello one"
        assert service.board.report("ready").state == "pass"
    async with _service() as client:
        with pytest.raises(NoSuchTarget):
            await rpc.client(client.rpc, Greeter).greet("you")


async def test_nothing_is_served_before_setup_has_returned() -> None:
    """While setup works, the service is not ready and takes no requests."""
    held = asyncio.Event()
    seen: list[object] = []

    async def setup(service: Service) -> None:
        _serve_greeter(service)
        seen.append(service.board.report("ready").state)
        try:
            await rpc.client(service.rpc, Greeter).greet("early")
        except NoSuchTarget as error:
            seen.append(type(error))
        held.set()

    async with Service("greeter", [Greeting], setup, argv=_MEMORY, environ={}, files=()):
        assert held.is_set()
    assert seen == ["fail", NoSuchTarget]


async def test_all_problems_of_the_configuration_come_at_once() -> None:
    """Two mistakes are reported by one error, and nothing was opened."""
    argv = (*_MEMORY, "--greeting.wrod=hi", "--service.stop-timeout=soon")
    service = _service(argv=argv)
    with pytest.raises(InvalidConfig) as caught:
        await service.__aenter__()
    assert {finding.code for finding in caught.value.findings} == {"unknown-option", "wrong-type"}
    with pytest.raises(TransportClosed):
        _ = service.rpc


async def test_sections_that_setup_asks_for_are_known_when_unknown_ones_are_judged(
    tmp_path: Path,
) -> None:
    """A late section of a library is no unknown section; one nobody asked for is an error."""
    file = tmp_path / "greeter.conf"
    file.write_text("[library]\nshelf = 3\n", encoding="utf-8")

    class Library(Section):
        """A library's own section."""

        shelf: int = option(default=1, help="Which shelf.")

    shelves: list[int] = []

    def setup(service: Service) -> None:
        shelves.append(service.config[Library].shelf)

    async with Service("greeter", [], setup, argv=_MEMORY, environ={}, files=[str(file)]):
        assert shelves == [3]
    with pytest.raises(InvalidConfig, match="library"):
        await Service("greeter", [], argv=_MEMORY, environ={}, files=[str(file)]).__aenter__()


class Common(Section, name="DEFAULT"):
    shelves: list[str] = option(default=[], mutable=True)


class Shelf(Section, each="shelves"):
    size: int = option(default=1)


async def test_warnings_of_the_seal_are_logged_and_none_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What only the seal can judge, a section that nobody names for one, is told like the rest."""
    file = tmp_path / "greeter.conf"
    file.write_text("[DEFAULT]\nshelves = a\n[b]\nsize = 2\n", encoding="utf-8")
    async with Service(
        "greeter", (Common, Shelf), argv=_MEMORY, environ={}, files=[str(file)]
    ) as service:
        assert service.config.each(Shelf) == {"a": Shelf()}
        said = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert sorted("Nothing uses the section [b]" in each for each in said) == [False, True]
    assert sorted("There is no section [a]" in each for each in said) == [False, True]


async def test_an_error_in_setup_closes_what_was_open_and_passes() -> None:
    """The error of setup comes through, and the transport that was open is closed."""
    kept: list[Service] = []

    def setup(service: Service) -> None:
        kept.append(service)
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await _service(setup).__aenter__()
    with pytest.raises(TransportClosed):
        await rpc.client(kept[0].rpc, Greeter).greet("you")


async def test_notifications_take_the_way_of_calls_unless_they_have_their_own() -> None:
    """Without [transport.notify] both are one transport; with it they are two brokers."""
    async with _service() as service:
        assert service.notify is service.rpc
    argv = (*_MEMORY, "--transport.notify.url=memory://service-test-events/")
    heard: list[notify.Notification] = []

    def setup(service: Service) -> None:
        service.listen(heard.append)

    async with _service(setup, argv) as service:
        assert service.notify is not service.rpc
        await service.notifier().info("greeter.said", {"word": "hello"})
        await asyncio.sleep(1)
    assert [(each.publisher_id, each.event_type, each.payload) for each in heard] == [
        ("greeter.one", "greeter.said", {"word": "hello"})
    ]


async def test_a_service_without_transports_says_so_when_one_is_used() -> None:
    """Transports are optional; asking for one that is not configured names the section."""
    async with _service(argv=("--no-health.enabled",)) as service:
        with pytest.raises(SectionAbsent, match=r"transport\.rpc"):
            _ = service.rpc


async def test_readiness_turns_false_before_serving_ends() -> None:
    """For drain_delay seconds the service says it is not ready and still answers."""
    service = _service(_serve_greeter, (*_MEMORY, "--service.drain-delay=5"))
    async with _service() as client:
        await service.__aenter__()
        stopping = asyncio.create_task(service.__aexit__(None, None, None))
        await asyncio.sleep(1)
        assert service.board.report("ready").state == "fail"
        assert service.board.report("live").state == "pass"
        assert await rpc.client(client.rpc, Greeter).greet("late") == "hello late"
        began = asyncio.get_running_loop().time()
        await stopping
        assert asyncio.get_running_loop().time() - began == pytest.approx(4, abs=0.1)


async def test_a_service_lives_once() -> None:
    """A second life of the same object is refused with a sentence."""
    service = _service()
    async with service:
        pass
    with pytest.raises(RuntimeError, match="make another"):
        await service.__aenter__()


def test_plain_code_may_use_a_service_too() -> None:
    """In a plain with block the service lives in a thread, and call() reaches into its loop."""
    with _service(_serve_greeter) as service:
        answer = service.call(lambda: rpc.client(service.rpc, Greeter).greet("thread"))
    assert answer == "hello thread"
    with pytest.raises(RuntimeError, match="with service"):
        service.call(lambda: asyncio.sleep(0))


# --- checking without starting ------------------------------------------------------------------


def _checking(tmp_path: Path, text: str, *argv: str, setup: object = None) -> Service:
    file = tmp_path / "greeter.conf"
    file.write_text(text, encoding="utf-8")
    return Service(
        "greeter",
        [_Greeting],
        setup,  # type: ignore[arg-type]  # never called
        argv=argv,
        environ={"GREETER_SERVICE__INSTANCE": "a", "GREETER_PORT": "x"},
        files=[str(file)],
    )


class _Greeting(Section, name="greeting"):
    word: str = option(default="hello", help="How to greet.")


def test_a_service_checks_its_configuration_with_all_its_sections(tmp_path: Path) -> None:
    """Those of the service, of its health, and of the drivers that its URLs name, are known."""
    text = (
        "[greeting]\nwrod = x\n[health]\nport = many\n[service]\nstop_timeout = 5\n"
        "[transport.rpc]\nurl = rabbit://u:hunter2@h/\nprefetch_all = 1\nlink_heartbeat = soon\n"
        "[transport.notify]\nurl = rabit://u:hunter2@h/\n[zzz]\n"
    )
    audit = _checking(tmp_path, text).check()
    assert [(each.line, each.code) for each in audit.findings] == [
        (2, "unknown-option"),
        (4, "wrong-type"),
        (9, "unknown-option"),
        (10, "wrong-type"),
        (12, "not-a-choice"),
        (13, "unknown-section"),
    ]
    assert "rabbit" in audit.findings[4].message
    assert "hunter2" not in repr(audit.findings)


def test_what_setup_may_declare_is_only_mentioned(tmp_path: Path) -> None:
    """A section that resembles none is right if setup asks for it; a misspelt one is wrong."""
    text = "[library]\nshelf = 1\n[greting]\nword = x\n"
    found = _checking(tmp_path, text, setup=lambda _: None).check().findings
    assert [(each.line, each.severity) for each in found] == [(1, "warning"), (3, "error")]


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("[greeting]\nword = x\n", 0, "greeter: good\n"),
        ("[greeting]\nword = hello\n", 0, "greeter: good, with 1 warning\n"),
        ("[greeting]\nwrod = x\n", 1, "    wrod = ****\ngreeter: 1 error\n"),
    ],
)
def test_a_program_checks_and_ends(
    tmp_path: Path, text: str, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check-config prints the findings and the verdict, and never calls setup."""
    service = _checking(tmp_path, text, "--check-config", setup=lambda _: 1 / 0)
    assert service.run() == status
    assert capsys.readouterr().out.endswith(words)
    with pytest.raises(SystemExit) as caught:
        service.load()
    assert caught.value.code == status


def test_a_file_that_cannot_be_read_is_no_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status is 2 then, with a sentence on standard error."""
    service = _checking(tmp_path, "", "--check-config", f"--config-file={tmp_path}/none.conf")
    assert service.run() == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "there is no such file" in told.err
