"""The document is read by two readers, pydantic's and the runtime's own: what one takes, the other takes."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import DocumentError, JobDocument, JobSource, Placement

TEXT = st.text(max_size=8)
SCALAR = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)

documents = st.builds(
    JobDocument,
    schema=st.just(document.SCHEMA),
    run=TEXT,
    job=TEXT,
    workload=TEXT,
    platform=TEXT,
    container_plugins=st.dictionaries(TEXT, TEXT, max_size=3),
    parameters=st.dictionaries(TEXT, SCALAR, max_size=4),
    placement=st.builds(Placement, work=TEXT, cache=TEXT, tracking_uri=TEXT, environment=st.none() | TEXT),
    sources=st.lists(
        st.builds(
            JobSource,
            role=st.sampled_from(["dataset", "policy", "reference", "init_policy", "checkpoint", "backbone"]),
            kind=TEXT,
            uri=TEXT,
            tags=st.lists(TEXT, max_size=2).map(tuple),
            implied=st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    trainer_args=st.lists(TEXT, max_size=3).map(tuple),
)

WITH_PYDANTIC = TypeAdapter(JobDocument)


def with_pydantic(text: str) -> JobDocument | None:
    try:
        return WITH_PYDANTIC.validate_json(text, strict=True, extra="forbid")
    except ValidationError:
        return None


def with_the_runtime(text: str) -> JobDocument | None:
    try:
        return document.parse_document(text)
    except DocumentError:
        return None


@given(documents)
def test_a_document_survives_the_journey(made):
    assert document.parse_document(document.format_document(made)) == made
    assert with_pydantic(document.format_document(made)) == made


def places(data: Any, at: tuple = ()) -> list[tuple]:
    """Every place in nested data, but for the schema's number: only the runtime checks that."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [at, *(place for name, part in inside if name != "schema" for place in places(part, (*at, name)))]


@given(documents, st.data())
def test_both_readers_refuse_the_same(made, data):
    changed = json.loads(document.format_document(made))
    place = data.draw(st.sampled_from([place for place in places(changed) if place]))
    around = changed
    for name in place[:-1]:
        around = around[name]
    match data.draw(st.sampled_from(["replace", "drop", "add"])):
        case "replace":
            around[place[-1]] = data.draw(JSON)
        case "drop":
            del around[place[-1]]
        case "add" if isinstance(around, dict):
            around[data.draw(TEXT)] = data.draw(JSON)
    if changed.get("schema") != document.SCHEMA:
        return
    text = json.dumps(changed)
    assert with_the_runtime(text) == with_pydantic(text)


def test_every_wrong_place_is_named_and_no_value_repeated():
    data = json.loads(document.format_document(next_document()))
    data["run"] = 3
    data["placement"]["work"] = ["sig=secret"]
    data["sources"] = [{"role": "passenger", "kind": "folder"}]
    data["extra"] = "sig=secret"
    with pytest.raises(DocumentError) as refused:
        document.parse_document(json.dumps(data))
    text = str(refused.value)
    for place in ("run:", "placement.work:", "sources[0].uri: missing", "sources[0].role:", "extra: unknown"):
        assert place in text
    assert "secret" not in text


def test_a_source_that_is_given_and_has_no_tags_is_written_as_before_there_were_any():
    source = JobSource(role="checkpoint", kind="k", uri="u")
    assert document.collect_fields(source) == {"role": "checkpoint", "kind": "k", "uri": "u", "pin": ""}
    tagged = document.collect_fields(dataclasses.replace(source, tags=("task=a",)))
    assert tagged["tags"] == ("task=a",)
    implied = document.collect_fields(dataclasses.replace(source, implied=True))
    assert (implied["implied"], "implied" in document.collect_fields(source)) == (True, False)


def test_a_newer_schema_says_which_one_is_read():
    with pytest.raises(DocumentError, match="this runtime reads 1, the document is 2"):
        document.parse_document('{"schema": 2}')


def next_document() -> JobDocument:
    placement = Placement(work="/w", cache="/c")
    return JobDocument(
        schema=1, run="r", job="j", workload="w", platform="p", container_plugins={}, parameters={}, placement=placement
    )
