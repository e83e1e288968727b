"""Frozen dataclasses that are cheap to declare, for the classes that help, TAB or `render` load.

Plain dataclasses compile their methods when they are declared: for these classes, 50 ms of every command. Any other
class is a plain dataclass.
"""

import dataclasses
import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

__all__ = ["lazy_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as lazy_dataclass
else:

    def lazy_dataclass(*, frozen: bool, kw_only: bool = False) -> Callable[[type], type]:
        """Declare a frozen dataclass without bases. Its fields are made when something asks for them."""
        if not frozen:
            raise TypeError("a lazy dataclass is frozen")

        def declare(cls: type) -> type:
            cls.__match_args__ = _Pending(cls, "__match_args__", _make_match_args)
            cls.__signature__ = _Signature()
            make_fields = functools.partial(_make_fields, kw_only=kw_only)
            if any(isinstance(value, dataclasses.Field) for value in vars(cls).values()):
                make_fields(cls)  # now: until then, these would be attributes of the class
            else:
                cls.__dataclass_fields__ = _Pending(cls, "__dataclass_fields__", make_fields)
            for name, method in _METHODS.items():
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


class _Signature:
    """The arguments of a class, for `help()` and documentation."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        import inspect

        parameters = []
        for field in dataclasses.fields(owner):
            kind = inspect.Parameter.KEYWORD_ONLY if field.kw_only else inspect.Parameter.POSITIONAL_OR_KEYWORD
            is_required = field.default is dataclasses.MISSING
            default = inspect.Parameter.empty if is_required else field.default
            if callable(field.default_factory):
                default = field.default_factory()
            parameters.append(inspect.Parameter(field.name, kind, default=default, annotation=field.type))
        return inspect.Signature(sorted(parameters, key=lambda one: one.kind), return_annotation=None)


def _make_fields(cls: Any, kw_only: bool) -> Any:
    dataclasses.dataclass(init=False, repr=False, eq=False, match_args=False, kw_only=kw_only)(cls)
    cls.__dataclass_params__.frozen = True  # so that a frozen dataclass may inherit from it
    return vars(cls)["__dataclass_fields__"]


def _make_match_args(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls) if not field.kw_only)


class _Layout(NamedTuple):
    """The fields of a class, as its instances are made of them."""

    names: frozenset[str]
    defaults: dict[str, Any]
    factories: dict[str, Callable[[], Any]]
    has_post_init: bool


@functools.cache
def _get_layout(cls: Any) -> _Layout:
    fields = dataclasses.fields(cls)
    defaults = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
    factories = {field.name: field.default_factory for field in fields if callable(field.default_factory)}
    return _Layout(frozenset(field.name for field in fields), defaults, factories, hasattr(cls, "__post_init__"))


def _initialize(self: Any, /, *args: Any, **named: Any) -> None:
    layout = _get_layout(self.__class__)
    positional = dict(zip(self.__match_args__, args, strict=False))
    values = {**layout.defaults, **positional, **named}
    for name, make in layout.factories.items():
        if name not in values:
            values[name] = make()
    if values.keys() != layout.names or len(positional) < len(args) or not positional.keys().isdisjoint(named):
        try:
            self.__class__.__signature__.bind(*args, **named)
        except TypeError as error:
            raise TypeError(f"{self.__class__.__qualname__}(): {error}") from None
    self.__dict__.update(values)
    if layout.has_post_init:
        self.__post_init__()


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
    "__init__": _initialize,
    "__eq__": _equals,
    "__hash__": _hash,
    "__repr__": _represent,
    "__setattr__": _refuse_set,
    "__delattr__": _refuse_delete,
}
