"""What stands for a package that planning does not import."""

import types
from collections.abc import Iterator
from typing import Any


class StandIn:
    """Takes the place of what planning does not import: it can be named, called and inherited from."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> "StandIn":
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self._name}.{name}")

    def __call__(self, *arguments: Any, **_options: Any) -> Any:
        """What is decorated comes back as it is."""
        if len(arguments) == 1 and isinstance(arguments[0], type | types.FunctionType):
            return arguments[0]
        return StandIn(f"{self._name}()")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()

    def __getitem__(self, key: Any) -> "StandIn":
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def _again(self, *_others: Any) -> "StandIn":
        return self

    __or__ = __ror__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _again
    __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __pow__ = __neg__ = _again

    def __repr__(self) -> str:
        return f"<{self._name}, which planning does not import>"
