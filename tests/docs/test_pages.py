"""What the pages show works: their code runs, their commands print what is shown."""

import os
import re
import sys
from pathlib import Path

import pytest
from tests.docs.pages import blocks, matches, run_page
from tests.house.source import ROOT

LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
DESIGN = ROOT / "docs" / "design"
PAGES = sorted(
    {ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")}
    - set(DESIGN.rglob("*.md"))  # shapes and reasons, not code to run
)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder with no arguments and a bare environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["page"])
    for name in set(os.environ) - {"PATH"}:
        monkeypatch.delenv(name)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page: Path, elsewhere: Path) -> None:
    """Read from top to bottom and typed in, a page works."""
    run_page(page, elsewhere)


def test_the_readme_is_short() -> None:
    """At most 120 lines, and no example longer than 15."""
    readme = ROOT / "README.md"
    assert len(readme.read_text(encoding="utf-8").splitlines()) <= 120
    examples = [block for block in blocks(readme) if block.language == "python"]
    assert len(examples) == 3
    assert all(len(block.text.splitlines()) <= 15 for block in examples)


def test_links_between_pages_lead_somewhere() -> None:
    """Every relative link of every page names a file of the repository."""
    links = [
        (page, target)
        for page in [*PAGES, *DESIGN.rglob("*.md"), *(ROOT / "changes").glob("*.md")]
        for target in LINK.findall(page.read_text(encoding="utf-8"))
    ]
    assert links
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page, target in links
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_design_page_is_in_the_index() -> None:
    """Whoever opens the design finds all of it from its first page."""
    listed = LINK.findall((DESIGN / "README.md").read_text(encoding="utf-8"))
    pages = {page.name for page in DESIGN.glob("*.md")} - {"README.md"}
    assert pages - set(listed) == set()


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a\n", "a\n", True),
        ("a\n", "a  \n\n", True),
        ("a\n", "b\n", False),
        ("a\n", "a\nb\n", False),
        ("took … s\n", "took 1.5 s\n", True),
        ("a\n…\nz\n", "a\nb\nc\nz\n", True),
        ("a\n…\nz\n", "a\nz\n", True),
        ("a\n…\nz\n", "a\nb\n", False),
        ("a.c\n", "abc\n", False),
    ],
)
def test_printed_lines_are_compared(expected: str, printed: str, *, same: bool) -> None:
    """What is shown is what must be printed; an ellipsis stands for what may vary."""
    assert matches(expected, printed) is same


def test_a_page_that_is_wrong_fails(elsewhere: Path) -> None:
    """Failing code, a wrong output, a wrong exit status and an unknown kind of block are seen."""
    page = elsewhere / "page.md"
    for text in (
        "```python\nassert 1 == 2\n```\n",
        "```python sketch\nnot python at all\n```\n",
        "```console\n$ python -c 'print(1)'\n2\n```\n",
        "```console\n$ python -c 'raise SystemExit(3)'\n```\n",
        "```pyhton\nprint()\n```\n",
    ):
        page.write_text(text)
        with pytest.raises((AssertionError, SyntaxError, ValueError)):
            run_page(page, elsewhere)


def test_blocks_share_a_module_and_files_are_written(elsewhere: Path) -> None:
    """A later block sees what an earlier one defined and the files it showed."""
    page = elsewhere / "page.md"
    page.write_text(
        "```ini file=a.conf\n[a]\n```\n"
        "```python\nfrom pathlib import Path\nx = Path('a.conf').read_text()\n```\n"
        "text\n```python\nassert x == '[a]\\n'\n```\n"
        "```console\n$ cat a.conf\n[a]\n$ python -c 'raise SystemExit(1)'  # exit status 1\n```\n"
    )
    run_page(page, elsewhere)
