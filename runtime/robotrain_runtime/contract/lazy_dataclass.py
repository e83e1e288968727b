"""Frozen dataclasses that are cheap to declare: making the methods of all takes a quarter of the start of a command."""

import dataclasses
import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["lazy_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as lazy_dataclass
else:

    def lazy_dataclass(*, frozen: bool, kw_only: bool = False) -> Callable[[type], type]:
        """Declare a frozen dataclass without bases. Its `__init__` is made when the first instance is."""

        def declare(cls: type) -> type:
            dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(cls)
            cls.__dataclass_params__.frozen = frozen  # so that a frozen dataclass may inherit from it
            cls.__init__ = _PendingInit(cls)
            for name, method in _METHODS.items():
                if vars(cls).get(name) is None:
                    setattr(cls, name, method)
            return cls

        return declare


class _PendingInit:
    """The `__init__` of a class until something asks for it."""

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        self.cls.__init__ = _make_init(self.cls)  # type: ignore[misc] # two threads make the same
        return self.cls.__init__ if instance is None else self.cls.__init__.__get__(instance)  # type: ignore[misc]


def _make_init(cls: Any) -> Any:
    """Return the `__init__` that `dataclasses` would make."""
    scope: dict[str, Any] = {"set_": object.__setattr__, "UNSET": dataclasses.MISSING}
    positional, keywords, lines = ["self"], list[str](), list[str]()
    for index, field in enumerate(dataclasses.fields(cls)):
        parameter = value = field.name
        if field.default is not dataclasses.MISSING:
            scope[f"default_{index}"] = field.default
            parameter += f"=default_{index}"
        elif field.default_factory is not dataclasses.MISSING:
            scope[f"make_{index}"] = field.default_factory
            parameter += "=UNSET"
            value = f"make_{index}() if {field.name} is UNSET else {field.name}"
        (keywords if field.kw_only else positional).append(parameter)
        lines.append(f" set_(self, {field.name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    parameters = ", ".join([*positional, "*", *keywords] if keywords else positional)
    exec("\n".join([f"def __init__({parameters}):", *lines, " return None"]), scope)
    scope["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"  # what a TypeError names
    return scope["__init__"]


@functools.cache
def _make_key(cls: Any) -> Callable[[Any], Any]:
    """Return what makes the key that instances are compared by."""
    return operator.attrgetter("__class__", *(field.name for field in dataclasses.fields(cls) if field.compare))


def _equals(self: Any, other: object) -> bool:
    key = _make_key(self.__class__)
    return bool(key(self) == key(other)) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_make_key(self.__class__)(self))


def _represent(self: Any) -> str:
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_set(self: Any, name: str, value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


_METHODS = {
    "__eq__": _equals,
    "__hash__": _hash,
    "__repr__": _represent,
    "__setattr__": _refuse_set,
    "__delattr__": _refuse_delete,
}
