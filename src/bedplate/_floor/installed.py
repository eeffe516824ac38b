"""What installed packages offer, read from the files they leave beside themselves.

The standard library's reader of these files brings e-mail, archives and compression with it: two
megabytes and forty milliseconds for every process that names a driver. Plain folders are read here;
wherever a package may lie elsewhere (in an archive, or with an importer of its own) the standard
library is asked after all. Follows PyPA's "Entry points specification" and "Recording installed
projects". Imports nothing of what it finds.
"""

import os
import sys
from collections.abc import Iterator

__all__ = ["offers"]

_ENDINGS = (".dist-info", ".egg-info")


def offers(group: str) -> tuple[tuple[str, str], ...]:
    """Return the name and the object reference of each entry point in a group.

    Of a package that is installed several times the first on the search path counts.
    """
    if all(map(_is_folder, sys.path)) and not any(map(_finds_packages, sys.meta_path)):
        return tuple(_read(group))
    from importlib.metadata import entry_points

    return tuple((point.name, point.value) for point in entry_points(group=group))


def _is_folder(entry: str) -> bool:
    return not entry.endswith(".egg") and not os.path.isfile(entry)  # noqa: PTH113 - pathlib weighs


def _finds_packages(finder: object) -> bool:
    own = getattr(finder, "__module__", "").startswith(("_frozen_importlib", "importlib."))
    return not own and hasattr(finder, "find_distributions")


def _read(group: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for folder in dict.fromkeys(sys.path):
        try:
            names = sorted(os.listdir(folder or "."))  # noqa: PTH208 - pathlib weighs
        except OSError:
            continue
        for name in names:
            if not name.endswith(_ENDINGS):
                continue
            package = name.partition("-")[0].removesuffix(".egg").lower().replace(".", "_")
            if package not in seen:
                seen.add(package)
                yield from _in_file(f"{folder or '.'}/{name}/entry_points.txt", group)


def _in_file(path: str, group: str) -> Iterator[tuple[str, str]]:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib weighs
            lines = file.read().splitlines()
    except OSError:
        return
    here = False
    for line in map(str.strip, lines):
        if line.startswith("["):
            here = line == f"[{group}]"
        elif here and line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield name.strip(), value.strip()
