"""Dataclasses that are cheap to declare: making the methods of all takes a quarter of the start of a command."""

import dataclasses
import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["lazy_dataclass"]

MAX_CALLS = 12
"""After so many instances of a class, its `__init__` is compiled."""

if TYPE_CHECKING:
    from dataclasses import dataclass as lazy_dataclass
else:

    def lazy_dataclass(*, frozen: bool, kw_only: bool = False) -> Callable[[type], type]:
        """Declare a dataclass without bases. Its fields are made when something asks for them, and its `__init__` is
        compiled for classes with several instances.
        """

        def declare(cls: type) -> type:
            cls.__init__ = _PendingInit(cls, "__init__", _make_init)
            cls.__match_args__ = _Pending(cls, "__match_args__", _make_match_args)
            make_fields = functools.partial(_make_fields, frozen=frozen, kw_only=kw_only)
            if any(isinstance(value, dataclasses.Field) for value in vars(cls).values()):
                make_fields(cls)  # now: until then, these would be attributes of the class
            else:
                cls.__dataclass_fields__ = _Pending(cls, "__dataclass_fields__", make_fields)
            for name, method in (_METHODS | (_REFUSALS if frozen else {"__hash__": None})).items():
                if vars(cls).get(name) is None:
                    setattr(cls, name, method)
            return cls

        return declare


class _Pending:
    """An attribute of a class until something asks for it. Two threads make the same."""

    def __init__(self, cls: type, name: str, make: Callable[[type], Any]) -> None:
        self.cls, self.name, self.make = cls, name, make

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        made = self.make(self.cls)
        setattr(self.cls, self.name, made)
        return made.__get__(instance) if instance is not None and callable(made) else made


class _PendingInit(_Pending):
    """The `__init__` of a class: to compile it takes as long as a dozen of these calls."""

    calls = 0

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        self.calls += 1
        if instance is None or self.calls > MAX_CALLS:
            return super().__get__(instance, owner)
        return functools.partial(self._init, instance)

    def _init(self, instance: Any, /, *args: Any, **named: Any) -> None:
        values = named | dict(zip(self.cls.__match_args__, args, strict=False))  # type: ignore[attr-defined]
        valid, found = len(values) == len(args) + len(named), dict[str, Any]()
        for field in dataclasses.fields(self.cls):
            if field.name in values:
                found[field.name] = values[field.name]
            elif field.default is not dataclasses.MISSING:
                found[field.name] = field.default
            elif field.default_factory is not dataclasses.MISSING:
                found[field.name] = field.default_factory()
            else:
                valid = False
        if not valid or values.keys() - found.keys():
            self.cls.__init__(instance, *args, **named)  # type: ignore[misc] # raises what is wrong
        instance.__dict__.update(found)
        if post_init := getattr(instance, "__post_init__", None):
            post_init()


def _make_fields(cls: Any, frozen: bool, kw_only: bool) -> Any:
    dataclasses.dataclass(init=False, repr=False, eq=False, match_args=False, kw_only=kw_only)(cls)
    cls.__dataclass_params__.frozen = frozen  # so that a frozen dataclass may inherit from it
    return vars(cls)["__dataclass_fields__"]


def _make_match_args(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls) if not field.kw_only)


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


_METHODS = {"__eq__": _equals, "__hash__": _hash, "__repr__": _represent}
_REFUSALS = {"__setattr__": _refuse_set, "__delattr__": _refuse_delete}
