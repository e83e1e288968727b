"""This machine's copy of the events of a run on a login node."""

import pytest
from robotrain.run_folder.answer import CHUNK_BYTES
from robotrain.run_folder.events_copy import EventsCopy
from robotrain.run_folder.transport import FileState, Transport


class HereAsThere(Transport):
    """This machine, as another one."""

    host = "cluster"


@pytest.fixture
def copy(tmp_path):
    made = EventsCopy(HereAsThere(), str(tmp_path))
    yield made
    made.remove()  # tests share the cache


def test_grows_by_what_is_new(copy, tmp_path):
    assert not copy.update()
    for content in (b"a" * 300, b"a" * 300 + b"b", b"a" * 300 + b"b"):
        (tmp_path / "events.jsonl").write_bytes(content)
        assert copy.update()
        assert copy.path.read_bytes() == content
    assert copy.path.stat().st_mode & 0o077 == 0


def test_large_file_comes_in_parts(copy, tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "events.jsonl").write_bytes(content)
    assert copy.update()
    assert copy.path.read_bytes() == content


def test_bytes_that_another_command_has_added_are_not_added_again(copy):
    copy.add(0, b"abc")
    copy.add(3, b"def")
    copy.add(3, b"def")
    assert copy.path.read_bytes() == b"abcdef"


def test_file_that_began_anew_replaces_it(copy, tmp_path):
    for content in (b"abc", b"x"):
        (tmp_path / "events.jsonl").write_bytes(content)
        assert copy.update()
        assert copy.path.read_bytes() == content


def test_each_run_of_each_login_node_has_its_own(copy, tmp_path):
    there = HereAsThere()
    there.host = "other"
    others = [EventsCopy(there, str(tmp_path)), EventsCopy(HereAsThere(), str(tmp_path / "steps/train"))]
    assert len({copy.path, *(other.path for other in others)}) == 3


class SayingTransport(Transport):
    """Another machine, with the file that it has at each reading."""

    host = "cluster"

    def __init__(self, *states: FileState) -> None:
        self.states = [*states]

    def read(self, paths):
        return dict.fromkeys(paths, self.states.pop(0))


@pytest.mark.parametrize(
    "states",
    [
        [FileState(b"x" * CHUNK_BYTES, 1 << 60, 1.0)],
        [FileState(bytes([number]) * CHUNK_BYTES, 1 << 29, 1.0) for number in range(5)],
    ],
)
def test_events_that_never_end_are_given_up(tmp_path, states):
    copy = EventsCopy(SayingTransport(*states), str(tmp_path))
    try:
        with pytest.raises(ValueError, match="the events"):
            copy.update()
    finally:
        copy.remove()


def test_events_that_grow_while_they_are_read_are_read_to_what_they_were(tmp_path):
    size = 2 * CHUNK_BYTES
    first = FileState(b"x" * CHUNK_BYTES, size, 1.0)
    later = FileState(b"x" * CHUNK_BYTES, 9 * size, 1.0)
    copy = EventsCopy(SayingTransport(first, later, later), str(tmp_path))
    assert copy.update()
    assert size <= copy.path.stat().st_size <= size + CHUNK_BYTES
    copy.remove()
