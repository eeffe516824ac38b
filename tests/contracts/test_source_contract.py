"""Every source that ships keeps the contract that is published for sources of others."""

from pathlib import Path

import pytest

from bedplate.config.sources import (
    Arguments,
    Directory,
    Environment,
    File,
    Flag,
    Memory,
    Policy,
    Source,
    policed,
)
from bedplate.errors import Finding
from bedplate.testing import FakeClock
from bedplate.testing.contracts.source import Content, FakeSource, SourceContract

CANARY = SourceContract.canary
MISTAKE = Finding("error", "no-equals", "This is no option.", "store:3")


class OnDisk(SourceContract):
    """Sources that need a folder of their own."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


class TestIniFile(OnDisk):
    def source(self) -> Source:
        text = f"[DEFAULT]\ndebug = yes\n[api]\nkey: '{CANARY}'\nhosts = a,\n  b\nkey = 2\n"
        return File(self.write("inventory.conf", text))

    def expected(self) -> Content:
        return {"DEFAULT": {"debug": ["yes"]}, "api": {"key": [CANARY, "2"], "hosts": ["a,\nb"]}}

    def failing(self) -> Source:
        return File(self.folder / "missing.conf")

    def mistaken(self) -> Source:
        return File(self.write("broken.conf", f"[api\nkey = {CANARY}\n{CANARY}\n"))


class TestTomlFile(OnDisk):
    def source(self) -> Source:
        text = f'debug = true\n[api]\nhosts = ["a", "b"]\nlogin.key = "{CANARY}"\n'
        return File(self.write("inventory.toml", text))

    def expected(self) -> Content:
        return {
            "DEFAULT": {"debug": [True]},
            "api": {"hosts": [["a", "b"]]},
            "api.login": {"key": [CANARY]},
        }

    def failing(self) -> Source:
        return File(self.folder / "missing.toml")

    def mistaken(self) -> Source:
        return File(self.write("broken.toml", f'[api]\nkey = "{CANARY}" {CANARY}\n'))


class TestFileOfADirectory(OnDisk):
    def source(self) -> Source:
        self.write("10-first.conf", f"[api]\nkey = {CANARY}\n")
        return Directory(self.folder).files()[0]

    def expected(self) -> Content:
        return {"api": {"key": [CANARY]}}

    def failing(self) -> Source:
        self.write("20-gone.conf", "")
        file = Directory(self.folder).files()[-1]
        (self.folder / "20-gone.conf").unlink()
        return file


class TestEnvironment(SourceContract):
    def source(self) -> Source:
        environ = {"INVENTORY_API__KEY": CANARY, "INVENTORY_PORT": "tcp://10.0.0.1:80", "HOME": "/"}
        return Environment(environ, "INVENTORY")

    def expected(self) -> Content:
        return {"API": {"KEY": [CANARY]}}

    def failing(self) -> None:
        return None

    def mistaken(self) -> Source:
        return Environment({"INVENTORY_API__KEY": f"{CANARY}\udcff"}, "INVENTORY")


class TestArguments(SourceContract):
    flags = {  # noqa: RUF012 - read only
        "--debug": Flag("DEFAULT", "debug", is_bool=True),
        "--api.key": Flag("api", "key", is_bool=False),
    }

    def source(self) -> Source:
        return Arguments(["--no-debug", f"--api.key={CANARY}", "--api.key", "2"], self.flags)

    def expected(self) -> Content:
        return {"DEFAULT": {"debug": [False]}, "api": {"key": [CANARY, "2"]}}

    def failing(self) -> None:
        return None

    def mistaken(self) -> Source:
        wrong = ["--api.kye", CANARY, f"--no-debug={CANARY}", f"-p{CANARY}", CANARY, "--", CANARY]
        return Arguments(wrong, self.flags)


class TestMemory(SourceContract):
    def source(self) -> Source:
        return Memory({"DEFAULT": {"debug": True}, "api": {"key": CANARY}})

    def expected(self) -> Content:
        return {"DEFAULT": {"debug": [True]}, "api": {"key": [CANARY]}}

    def failing(self) -> None:
        return None


class TestFakeSource(SourceContract):
    def source(self) -> Source:
        return fake()

    def expected(self) -> Content:
        return {"api": {"key": [CANARY]}}

    def failing(self) -> Source | None:
        return fake(failing=True)

    def mistaken(self) -> Source:
        return fake(MISTAKE)


class TestRequiredSource(TestFakeSource):
    policy = Policy("required")

    def source(self) -> Source:
        return policed(fake(), self.policy, FakeClock())

    def failing(self) -> Source | None:
        return policed(fake(failing=True), self.policy, FakeClock())

    def mistaken(self) -> Source:
        return policed(fake(MISTAKE), self.policy, FakeClock())


class TestLastKnownGoodSource(TestRequiredSource):
    policy = Policy("last-known-good", max_age=60)


class TestOptionalSource(TestRequiredSource):
    policy = Policy("optional")

    def failing(self) -> None:
        return None


class TestStaleSource(TestFakeSource):
    """A source that lives from its last values is a source like any other."""

    def source(self) -> Source:
        inner = fake()
        source = policed(inner, Policy("last-known-good", max_age=60), FakeClock())
        source.load()
        inner.fail()
        return source


def fake(*mistakes: Finding, failing: bool = False) -> FakeSource:
    source = FakeSource({"api": {"key": CANARY}}, clock=FakeClock(), lease=30, delay=2)
    source.spoil(*mistakes)
    if failing:
        source.fail()
    return source
