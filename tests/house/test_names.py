"""What a module offers is what it defines, and all of it is documented."""

import ast
from collections.abc import Iterator

import pytest
from tests.house.source import ROOT, modules, parsed

NOT_API = frozenset({"ParamSpec", "TypeVar", "TypeVarTuple"})
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def is_public(name: str) -> bool:
    """Whether a name is for everybody."""
    return not name.startswith("_")


def assigned(node: ast.stmt) -> list[str]:
    """Return the names that a statement assigns, type variables left out."""
    if isinstance(node, ast.Assign):
        value, targets = node.value, node.targets
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        value, targets = node.value, [node.target]
    else:
        return []
    if isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] in NOT_API:
        return []
    single = [each for target in targets for each in getattr(target, "elts", [target])]
    return [target.id for target in single if isinstance(target, ast.Name)]


def defined(module: str) -> set[str]:
    """Return the public names that a module defines."""
    names: set[str] = set()
    for node in parsed(module).body:
        if isinstance(node, Documented):
            names.add(node.name)
        names.update(assigned(node))
    return set(filter(is_public, names)) - {"TYPE_CHECKING"}


def handed_on(module: str) -> set[str]:
    """Return the names that a module re-exports: ``import X as X``, or X listed by a package."""
    is_package = modules()[module].name == "__init__.py"
    listed_too = set((is_package and listed(module)) or ())
    return {
        alias.name
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name or (alias.asname is None and alias.name in listed_too)
    }


def listed(module: str) -> list[str] | None:
    """Return the module's ``__all__``, or None."""
    for node in parsed(module).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "__all__":
            assert isinstance(node, ast.Assign | ast.AnnAssign)
            assert node.value is not None
            names = ast.literal_eval(node.value)
            assert isinstance(names, list)
            return names
    return None


@pytest.mark.parametrize("module", modules())
def test_all_is_what_a_module_defines_or_hands_on(module: str) -> None:
    """``__all__`` names each public definition and re-export once, and nothing else."""
    names = listed(module)
    if names is None and not defined(module) | handed_on(module):
        return  # a package's empty door
    assert names is not None, f"{module} has no __all__"
    assert len(names) == len(set(names))
    assert {name for name in names if is_public(name)} == defined(module) | handed_on(module)


def commented(node: ast.stmt, lines: list[str]) -> bool:
    """Whether a comment stands above a statement or behind its first line."""
    above, own = lines[node.lineno - 2].strip(), lines[node.lineno - 1]
    return (node.lineno > 1 and above.startswith("#")) or "  # " in own


def documented(body: list[ast.stmt], lines: list[str], within: str) -> Iterator[tuple[str, bool]]:
    """Yield each public definition, and whether it is explained."""
    for node, following in zip(body, [*body[1:], None], strict=False):
        if isinstance(node, Documented) and is_public(node.name):
            name = f"{within}{node.name}"
            said = {ast.unparse(each).split("(")[0] for each in node.decorator_list}
            if not said & {"overload", "typing.overload", "override"} and not any(
                each.endswith((".setter", ".deleter")) for each in said
            ):
                yield name, ast.get_docstring(node) is not None
            if isinstance(node, ast.ClassDef):
                yield from documented(node.body, lines, f"{name}.")
        elif not within:
            explained = isinstance(following, ast.Expr) and isinstance(
                following.value, ast.Constant
            )
            for name in assigned(node):
                if is_public(name) and name != "TYPE_CHECKING":
                    yield name, explained


@pytest.mark.parametrize("module", [name for name in modules() if "._" not in name])
def test_what_is_public_is_documented(module: str) -> None:
    """Modules, classes, functions, methods and constants say what they are for."""
    tree = parsed(module)
    lines = modules()[module].read_text(encoding="utf-8").splitlines()
    missing = [name for name, has in documented(tree.body, lines, "") if not has]
    if ast.get_docstring(tree) is None:
        missing.append("(the module itself)")
    assert missing == []


def every_test() -> Iterator[tuple[str, str]]:
    """Yield where each test is and its docstring, the shipped contract suites included."""
    folders = (ROOT / "tests", ROOT / "src" / "bedplate" / "testing" / "contracts")
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        if "data" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
                "test_"
            ):
                where = f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
                yield where, ast.get_docstring(node) or ""


def is_sentence(text: str) -> bool:
    """Whether the first paragraph of a docstring reads as a sentence about behaviour."""
    words = text.split("\n\n", maxsplit=1)[0].split()
    # Code may begin one: connect() is spelled as it is.
    begins = bool(words) and not (words[0].isalpha() and words[0].islower())
    return begins and len(words) > 2 and words[-1][-1] in ".!?"


def test_every_test_says_what_it_shows() -> None:
    """A test's docstring is a sentence, so a failure can be read without the code."""
    assert [where for where, text in every_test() if not is_sentence(text)] == []


@pytest.mark.parametrize("text", ["", "Works.", "checks the thing here.", "The thing is checked"])
def test_what_is_not_a_sentence_is_seen(text: str) -> None:
    """Empty words, fragments and a missing full stop do not pass for sentences."""
    assert not is_sentence(text)
