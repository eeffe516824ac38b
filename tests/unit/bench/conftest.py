"""What the tests of the contest of configuration share: a small service's options and file."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.bench.options import Trial, trial


def entry(name: str, kind: str, **facts: object) -> dict[str, object]:
    """Describe an option as oslo-config-generator does."""
    plain: dict[str, object] = {
        "default": None,
        "choices": [],
        "min": None,
        "max": None,
        "help": f"The {name}.",
    }
    return {"name": name, "dest": name.replace("-", "_"), "type": kind, **plain, **facts}


SCHEMA = {
    "deprecated_options": {},
    "options": {
        "DEFAULT": {
            "opts": [
                entry("debug", "boolean value", default=False),
                entry("log-rotation", "string value", default="days", choices=[["Days", None]]),
                entry("host", "host address value", sample_default="<this host>"),
                entry("state-path", "string value", default="/var/lib/shop"),
                entry("lock-path", "string value", default="$state_path/lock"),
            ]
        },
        "api": {
            "opts": [
                entry("workers", "integer value", default=4, min=1, max=64),
                entry("listen-port", "port value", default=80),
                entry("patience", "floating point value", default=3),
                entry("tags", "list value", default=["a", "b"]),
                entry("limits", "dict value", default={"a": "1"}),
                entry("filters", "multi valued", default=["all"]),
                entry("password", "string value", secret=True),
                entry("public-url", "uri value"),
                entry("mode", "string value", choices=[["fast", "Quick."], ["safe", None]]),
            ]
        },
    },
}
FILE = """\
[DEFAULT]
debug = true
host = <this host>
lock_path = $state_path/lock
log_rotation = days

[api]
workers = 8
listen_port = 8080
patience = 1.5
tags = c, d
limits = a:2,b:3
filters = one
filters = two
password = pa55
public_url = http://shop.example.org/
mode = safe
"""


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    """Write the options."""
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(SCHEMA))
    return file


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """Write the file."""
    file = tmp_path / "shop.conf"
    file.write_text(FILE)
    return file


@pytest.fixture
def shop(schema: Path, conf: Path) -> Iterator[Trial]:
    """Prepare both for contestants."""
    with trial(schema, conf) as prepared:
        yield prepared


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache out of it; byte code is made once for all tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
