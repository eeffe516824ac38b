"""Types of several values: lists, options that are written several times, dictionaries.

Knows nothing of options, sections or where a value came from.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Final, NoReturn, TypeVar, cast

from bedplate._floor.secret import MASK
from bedplate.config.types.contract import Refused, Type, valued

__all__ = ["REPEATED", "Dict", "FrozenDict", "FrozenList", "List", "Multi", "Repeated"]

T = TypeVar("T")

_PAIR = re.compile(
    r'\s*(?:"((?:[^"]|"")*)"|([^,:"]*))\s*:'
    r'\s*(?:"((?:[^"]|"")*)"\s*(?=,|\Z)|([^,]*))\s*(?:,|\Z)',
    re.DOTALL,
)
_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*(?=,|\Z)|([^,]*))', re.DOTALL)


class FrozenList(list[object]):
    """A list that belongs to the configuration: it reads like any list and cannot be changed.

    ``copy()``, slices and sums are ordinary lists.
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a list of the configuration cannot be changed; copy() it")

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # lists change, this one does not
        return hash(tuple(self))

    def __reduce__(self) -> "tuple[type[FrozenList], tuple[list[object]]]":
        return FrozenList, (list(self),)

    def __copy__(self) -> "FrozenList":
        return self

    def __deepcopy__(self, memo: object) -> "FrozenList":
        return self


@valued
class List:
    """``list[X]`` or ``tuple[X, ...]``: items between commas, spaces around them dropped.

    An item that holds a comma or an odd quote stands in double quotes (a quote inside is doubled).
    Empty text is an empty list, one comma at the end is dropped. In text a list is one value: the
    last one written wins, as for every type. Without ``quotes`` a quote is a sign like any other,
    as in oslo.config, and no item can hold a comma.
    """

    __slots__ = ("item", "make", "quotes")

    def __init__(
        self,
        item: Type,
        make: Callable[[Iterable[object]], Sequence[object]],
        *,
        quotes: bool = True,
    ) -> None:
        self.item, self.make, self.quotes = item, make, quotes

    @property
    def secret(self) -> bool:
        """Whether its items are secret."""
        return self.item.secret

    def parse(self, text: str) -> object:
        """Read items between commas."""
        if not self.quotes:
            bare = text.strip().rstrip(",")
            return self._each([each.strip() for each in bare.split(",") if bare], self.item.parse)
        items: list[str] = []
        for item in _split_items(text):
            if item is None:
                # Most likely a file took the outer pair of '"a,b", "c"' for quotes of the whole.
                expected = (
                    "closed where a double quote opens; a value that begins and ends with quotes "
                    "loses them in a file, so put the whole in quotes once more"
                )
                raise Refused("wrong-type", expected, item=len(items) + 1)
            items.append(item)
        return self._each(items, self.item.parse)

    def accept(self, native: object) -> object:
        """Take a list or tuple; items that are text are read as text."""
        if not isinstance(native, list | tuple):
            got = "" if self.secret else type(native).__name__
            raise Refused("wrong-type", self.describe(), got)
        return self._each(native, self.item.parse)

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write items between commas; wholly masked when they are secret."""
        if self.secret and not reveal:
            return MASK
        items = [self.item.show(each, reveal=reveal) for each in cast("Sequence[object]", value)]
        return ", ".join(map(_quote_item, items) if self.quotes else items)

    def describe(self) -> str:
        """Say what the items are."""
        return f"a list, with commas between, of which each is {self.item.describe()}"

    def json_schema(self) -> dict[str, object]:
        """Return ``array`` of its items."""
        return {"type": "array", "items": self.item.json_schema()}

    def _each(self, items: Iterable[object], convert: Callable[[str], object]) -> object:
        return self.make(_converted(items, convert, self.item))


@valued
class Multi:
    """A list of which each item is written on its own: the key is repeated, and every value counts.

    From a source that gives several values ``gather`` makes one of all of them; one text, as of
    an environment variable, holds an item a line. An item itself has no line break.
    """

    __slots__ = ("item",)

    def __init__(self, item: Type) -> None:
        self.item = item

    @property
    def secret(self) -> bool:
        """Whether its items are secret."""
        return self.item.secret

    def gather(self, values: Sequence[object]) -> object:
        """Make one value of all that were written, in their order. Raises `Refused`."""
        return FrozenList(_converted(values, self.item.parse, self.item))

    def parse(self, text: str) -> object:
        """Read an item a line; blank lines are none."""
        return self.gather([line for line in text.split("\n") if line.strip()])

    def accept(self, native: object) -> object:
        """Take a list or tuple; items that are text are read as text."""
        if not isinstance(native, list | tuple):
            got = "" if self.secret else type(native).__name__
            raise Refused("wrong-type", self.describe(), got)
        return self.gather(native)

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write an item a line; wholly masked when they are secret."""
        if self.secret and not reveal:
            return MASK
        items = cast("Sequence[object]", value)
        return "\n".join(self.item.show(each, reveal=reveal) for each in items)

    def describe(self) -> str:
        """Say what each is, and that it may be repeated."""
        return f"{self.item.describe()}, and may be written several times"

    def json_schema(self) -> dict[str, object]:
        """Return ``array`` of its items."""
        return {"type": "array", "items": self.item.json_schema()}


class FrozenDict(dict[str, object]):
    """A dictionary that belongs to the configuration: it reads like any and cannot be changed.

    ``copy()`` and unions are ordinary dictionaries.
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a dictionary of the configuration cannot be changed; copy() it")

    update = setdefault = pop = popitem = clear = _refuse
    __setitem__ = __delitem__ = __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # dictionaries change, this one does not
        return hash(tuple(self.items()))

    def __reduce__(self) -> "tuple[type[FrozenDict], tuple[dict[str, object]]]":
        return FrozenDict, (dict(self),)

    def __copy__(self) -> "FrozenDict":
        return self

    def __deepcopy__(self, memo: object) -> "FrozenDict":
        return self


@valued
class Dict:
    """``dict[str, X]``: ``name:value`` with commas between, spaces around each dropped.

    A name or value that holds a comma or an odd quote, and a name that holds a colon, stand in
    double quotes (a quote inside is doubled). Each name stands once. Without ``quotes`` a quote is
    a sign like any other, as in oslo.config: there a part without a colon belongs to the next.
    """

    __slots__ = ("item", "quotes")

    def __init__(self, item: Type, *, quotes: bool = True) -> None:
        self.item, self.quotes = item, quotes

    @property
    def secret(self) -> bool:
        """Whether its values are secret."""
        return self.item.secret

    def parse(self, text: str) -> object:
        """Read names and values."""
        names: list[str] = []
        values: list[str] = []
        pairs = _split_pairs(text) if self.quotes else _split_bare_pairs(text)
        for number, pair in enumerate(pairs, 1):
            if pair is None or not pair[0] or pair[0] in names:
                expected = "a name of its own, a colon and a value: 'name:value, other:value'"
                raise Refused(
                    "no-value" if not text.strip() else "wrong-type", expected, item=number
                )
            names.append(pair[0])
            values.append(pair[1])
        return FrozenDict(zip(names, _converted(values, self.item.parse, self.item), strict=True))

    def accept(self, native: object) -> object:
        """Take a mapping of text; values that are text are read as text."""
        named = isinstance(native, Mapping) and all(
            isinstance(name, str) and name for name in native
        )
        if not isinstance(native, Mapping) or not named:
            got = "" if self.secret else type(native).__name__
            raise Refused("wrong-type", self.describe(), got)
        values = _converted(native.values(), self.item.parse, self.item)
        return FrozenDict(zip(native, values, strict=True))

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write names and values; wholly masked when values are secret."""
        if self.secret and not reveal:
            return MASK
        quote_name = _quote_name if self.quotes else str
        quote_value = _quote_item if self.quotes else str
        return ", ".join(
            f"{quote_name(name)}:{quote_value(self.item.show(each, reveal=reveal))}"
            for name, each in cast("Mapping[str, object]", value).items()
        )

    def describe(self) -> str:
        """Say what the values are."""
        return f"name:value with commas between, of which each value is {self.item.describe()}"

    def json_schema(self) -> dict[str, object]:
        """Return ``object`` of its values."""
        return {"type": "object", "additionalProperties": self.item.json_schema()}


REPEATED: Final = "written several times"
"""Marks the annotation of a list that `Multi` reads."""

Repeated = Annotated[list[T], REPEATED]
"""``Repeated[X]``: a list, each item in a line ``name = …`` of its own; mypy sees a list."""


def _converted(
    items: Iterable[object], convert: Callable[[str], object], type_: Type
) -> list[object]:
    made: list[object] = []
    refused: Refused | None = None
    for item in items:
        try:
            made.append(convert(item) if type(item) is str else type_.accept(item))
        except Refused as each:
            refused = each
            break
    if refused is not None:
        # A new one, outside the handler: no context that might hold what must not be seen.
        raise Refused(
            "wrong-type" if refused.code == "no-value" else refused.code,
            refused.expected,
            refused.got or ("" if type_.secret else "empty" * (refused.code == "no-value")),
            item=len(made) + 1,
            among=refused.among,
        )
    return made


def _split_items(text: str) -> list[str | None]:
    """Split at commas outside of double quotes; None stands for an item with an odd quote."""
    items: list[str | None] = []
    text, position = text.strip(), 0
    while position < len(text):
        match = _ITEM.match(text, position)
        if match is None:  # pragma: no cover - its second half matches anything
            break
        if match[1] is not None:
            items.append(match[1].replace('""', '"'))
        else:
            items.append(None if match[2].count('"') % 2 else match[2].strip())
        position = match.end() + 1
    return items


def _quote_item(item: str) -> str:
    plain = item and "," not in item and item[0] != '"' and item == item.strip()
    plain = plain and item.count('"') % 2 == 0
    return item if plain else '"' + item.replace('"', '""') + '"'


def _split_pairs(text: str) -> Iterator[tuple[str, str] | None]:
    """Take names and values apart; None stands for the first that is none."""
    text, position = text.strip(), 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None or (match[4] or "").count('"') % 2:
            yield None
            return
        name = match[2].strip() if match[1] is None else match[1].replace('""', '"')
        value = match[4].strip() if match[3] is None else match[3].replace('""', '"')
        yield name, value
        position = match.end()


def _split_bare_pairs(text: str) -> Iterator[tuple[str, str] | None]:
    held = ""
    for part in text.split(",") if text.strip() else ():
        held = f"{held},{part}" if held else part
        name, colon, value = held.partition(":")
        if colon:
            yield name.strip(), value.strip()
            held = ""
    if held:
        yield None


def _quote_name(name: str) -> str:
    plain = name == name.strip() and not any(sign in name for sign in ',:"')
    return name if plain else '"' + name.replace('"', '""') + '"'
