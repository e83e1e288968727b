"""A lazy dataclass is that of the standard library, but for the moment its fields and its `__init__` are made."""

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest
from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass


def declare(decorator, **options) -> Any:
    @decorator(frozen=True, **options)
    class Example:
        """A dataclass with every kind of field."""

        name: str
        count: int = 3
        tags: list[str] = dataclasses.field(default_factory=list)
        shown: str = dataclasses.field(default="", compare=False)
        hidden: str = dataclasses.field(default="", repr=False, kw_only=True)

        def __post_init__(self) -> None:
            if self.count < 0:
                raise ValueError("too few")

    return Example


@lazy_dataclass(frozen=True)
class Pair:
    """Two values."""

    one: object
    two: object = None


def outcome(call, cls) -> Any:
    try:
        return repr(call(cls))
    except Exception as error:
        return type(error), str(error) * (type(error) is not TypeError)  # only the names matter


CALLS = {
    "positional": lambda cls: cls("a", 2, ["t"], "s", hidden="h"),
    "by name": lambda cls: cls(name="a", tags=[]),
    "defaults": lambda cls: cls("a"),
    "one is missing": lambda cls: cls(),
    "one too many": lambda cls: cls(1, 2, 3, 4, 5),
    "an unknown name": lambda cls: cls("a", other=1),
    "twice": lambda cls: cls("a", name="b"),
    "refused by the class": lambda cls: cls("a", -1),
    "replaced": lambda cls: dataclasses.replace(cls("a"), count=5),
    "replaced and refused": lambda cls: dataclasses.replace(cls("a"), count=-5),
    "as a mapping": lambda cls: dataclasses.asdict(cls("a")),
    "set": lambda cls: setattr(cls("a"), "name", "b"),
    "another attribute set": lambda cls: setattr(cls("a"), "new", "b"),
    "deleted": lambda cls: delattr(cls("a"), "name"),
    "equal": lambda cls: (cls("a") == cls("a"), cls("a") == cls("a", shown="s"), cls("a") == cls("b")),
    "another class": lambda cls: cls("a") == ("a", 3, []),
    "hashed": lambda cls: hash(cls("a", 1, (), "s")) == hash(cls("a", 1, ())),
    "unhashable": lambda cls: hash(cls("a")),
    "matched": lambda cls: cls.__match_args__,
    "fields": lambda cls: [field.name for field in dataclasses.fields(cls)],
    "defaults of the class": lambda cls: (cls.count, hasattr(cls, "tags")),
    "copied": lambda cls: copy.copy(cls("a")),
    "signature": lambda cls: str(inspect.signature(cls)).replace("<factory>", "[]"),
    "two instances": lambda cls: cls("a").tags is cls("a").tags,
}


@pytest.mark.parametrize("options", [{}, {"kw_only": True}], ids=["", "kw_only"])
def test_a_lazy_dataclass_behaves_as_a_standard_one(options):
    for name, call in CALLS.items():
        ours, theirs = (outcome(call, declare(kind, **options)) for kind in (lazy_dataclass, dataclasses.dataclass))
        assert ours == theirs, name


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: Pair(two=2), r"^Pair\(\): missing a required argument: 'one'"),
        (lambda: Pair(1, three=3), "unexpected keyword argument 'three'"),
        (lambda: Pair(1, one=1), "multiple values for argument 'one'"),
        (lambda: Pair(1, 2, 3), "too many positional arguments"),
    ],
)
def test_wrong_argument_is_named(call, problem):
    with pytest.raises(TypeError, match=problem):
        call()


def test_fields_are_made_when_something_asks_for_them():
    @lazy_dataclass(frozen=True)
    class Point:
        """A point."""

        x: int
        y: int = 0

    assert not isinstance(vars(Point)["__dataclass_fields__"], dict)
    assert dataclasses.is_dataclass(Point)
    assert dataclasses.asdict(Point(1)) == {"x": 1, "y": 0}


def test_frozen_dataclasses_may_inherit_from_it():
    @dataclasses.dataclass(frozen=True)
    class Triple(Pair):
        three: int = 0

    assert (Triple(1, 2, 3).two, Triple(1).three) == (2, 0)
    assert Triple(1) == Triple(1) != Pair(1)


def test_methods_of_the_class_are_kept():
    @lazy_dataclass(frozen=True)
    class Address:
        """An address that prints itself."""

        text: str

        def __repr__(self) -> str:
            return "<address>"

    assert repr(Address("a")) == "<address>"


def test_instances_can_be_pickled():
    assert pickle.loads(pickle.dumps(Pair(1, 2))) == Pair(1, 2)
