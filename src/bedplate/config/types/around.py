"""Types around another: one that may be absent, one that is never shown.

Knows nothing of options, sections or where a value came from.
"""

from collections.abc import Callable
from typing import cast

from bedplate._floor.secret import MASK, Secret
from bedplate.config.types.contract import Refused, Type, valued

__all__ = ["OptionalType", "SecretType", "inside"]


@valued
class OptionalType:
    """``X | None``: what X is, or empty text for None. An optional text is never empty.

    With ``blank=False`` empty text is left to X, and only a default is None.
    """

    __slots__ = ("blank", "inner")

    def __init__(self, inner: Type, *, blank: bool = True) -> None:
        self.inner, self.blank = inner, blank

    @property
    def secret(self) -> bool:
        """Whether X is secret."""
        return self.inner.secret

    def parse(self, text: str) -> object:
        """Read an X, or None from empty text."""
        return self.inner.parse(text) if text.strip() or not self.blank else None

    def accept(self, native: object) -> object:
        """Take an X or None."""
        empty = native is None or (self.blank and native == "")
        return None if empty else self.inner.accept(native)

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write an X, or nothing for None."""
        return "" if value is None else self.inner.show(value, reveal=reveal)

    def describe(self) -> str:
        """Say what X is, and that it may be absent."""
        return f"{self.inner.describe()}{', or empty for none' if self.blank else ''}"

    def json_schema(self) -> dict[str, object]:
        """Any of X and ``null``."""
        return {"anyOf": [self.inner.json_schema(), {"type": "null"}]}


@valued
class SecretType:
    """``Secret[X]``: read as X, never shown, in no message either."""

    __slots__ = ("inner",)
    secret = True

    def __init__(self, inner: Type) -> None:
        self.inner = inner

    def parse(self, text: str) -> object:
        """Read an X and hide it."""
        return self._hide(self.inner.parse, text)

    def accept(self, native: object) -> object:
        """Take an X, hidden or not."""
        open_value = native.reveal() if isinstance(native, Secret) else native
        return self._hide(self.inner.accept, open_value)

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the mask, or the X itself with ``reveal``."""
        if not reveal:
            return MASK
        return self.inner.show(cast("Secret[object]", value).reveal(), reveal=True)

    def describe(self) -> str:
        """Say what X is."""
        return self.inner.describe()

    def json_schema(self) -> dict[str, object]:
        """Return X's, marked as written and never read."""
        return {**self.inner.json_schema(), "writeOnly": True}

    def _hide(self, convert: Callable[..., object], value: object) -> Secret[object]:
        refused: Refused | None = None
        hidden: Secret[object] | None = None
        try:
            hidden = Secret(convert(value))
        except Refused as each:
            refused = each
        if hidden is None:
            code = refused.code if refused else "wrong-type"
            expected = refused.expected if refused else self.describe()
            # A new one, outside the handler: no context that might hold the value.
            raise Refused(code, expected, item=refused.item if refused else None)
        return hidden


def inside(type_: Type) -> Type:
    """Return a type without what is around it: absence, secrecy."""
    while isinstance(type_, (OptionalType, SecretType)):
        type_ = type_.inner
    return type_
