"""No text that a person typed is read by a shell, a template engine or a parser on its way."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import pytest
from robotrain_runtime.document import JobDocument
from robotrain_runtime.parameter import Parameter

from robotrain import limits
from robotrain.job import Job
from robotrain.testing import strangers
from robotrain.testing.bench import Bench
from robotrain.testing.command_line import Answer
from robotrain.testing.hostile_texts import CORPUS, SETTINGS
from robotrain.testing.on_a_bench import OnABench
from robotrain.testing.verdict import nothing_in


class Typed(NamedTuple):
    """A text, and the option that it is typed with; empty for an argument of the trainer."""

    option: str
    text: str


class Injection(OnABench):
    """Texts that mean something to somebody on the way."""

    @pytest.mark.parametrize("theme", CORPUS)
    def test_a_text_arrives_exactly_or_is_refused(self, bench: Bench, theme: str) -> None:
        """As a parameter, as a source and as an argument of the trainer: unchanged, or refused (exit code 2 or 3)."""
        bench.needs_own_workload()
        for typed in _lines(bench, CORPUS[theme]):
            answer = bench.render(*_words(typed))
            if _refused(answer):
                typed = [*_taken(bench, typed)]
                answer = bench.render(*_words(typed))
            nothing_in(_changed(bench.arrived(answer), typed))

    @pytest.mark.parametrize("text", SETTINGS.values(), ids=SETTINGS)
    def test_a_text_in_a_setting_changes_nothing_else(self, bench: Bench, text: str) -> None:
        """In every setting that takes text: the document is the same but for where the job runs, or it is refused."""
        settings = bench.text_settings()
        while settings:
            answer = bench.render(*bench.first_source(), *(f"{one.flag}={text}" for one in settings))
            if not _refused(answer):
                assert _said(bench.arrived(answer)) == _wanted(bench.plans[-1].job)
                return
            named = [one for one in settings if _is_named(one, answer)]
            assert named, f"refused without the setting that it is for:\n{answer.told}"
            settings = [one for one in settings if one not in named]


def _lines(bench: Bench, texts: Sequence[str]) -> Iterator[list[Typed]]:
    """Every way to type each of them: one job, and more where it would name more datasets than the platform takes."""
    parameters = [Typed(f"--kit-text-{number}", text) for number, text in enumerate(texts, 1)]
    arguments = [Typed("", one) for text in texts for one in (text, f"--name={text}")]
    first, *more = _datasets(bench, texts) or [[]]
    yield [*parameters, *first, *arguments]
    yield from more


def _datasets(bench: Bench, texts: Sequence[str]) -> list[list[Typed]]:
    """Each as a dataset, as many together as one job may name."""
    kind, can = bench.kinds[strangers.KIND], bench.platform.capabilities
    if not can.source("dataset", kind):
        return []
    most = limits.sources(can) if can.combination(kind.name, kind.name) else 1
    names = [text for text in texts if not any(ord(letter) < 0x20 for letter in text)]
    typed = [Typed(kind.roles["dataset"].flag, text) for text in names]
    return [typed[at : at + most] for at in range(0, len(typed), most)]


def _taken(bench: Bench, typed: list[Typed]) -> Iterator[Typed]:
    """Those that are not refused; a text that is refused in one place may be taken in another."""
    for text in dict.fromkeys(one.text for one in typed):
        group = [one for one in typed if one.text == text]
        if not _refused(bench.render(*_words(group))):
            yield from group
        elif len(group) > 1:
            yield from (one for one in group if not _refused(bench.render(*_words([one]))))


def _words(typed: Iterable[Typed]) -> list[str]:
    arguments = [one.text for one in typed if not one.option]
    return [*(f"{one.option}={one.text}" for one in typed if one.option), "--", *arguments]


def _changed(document: JobDocument, typed: Iterable[Typed]) -> Iterator[str]:
    """What did not arrive as it was typed."""
    by_option = [one for one in typed if one.option.startswith("--kit-text")]
    for option, text in by_option:
        if document.parameters[option.strip("-").replace("-", "_")] != text:
            yield f"the parameter {text!r} is {document.parameters[option.strip('-').replace('-', '_')]!r}"
    sources = [text for option, text in typed if option and (option, text) not in by_option]
    if sources != [one.uri for one in document.sources]:
        yield f"the sources {sources} are {[one.uri for one in document.sources]}"
    arguments = tuple(text for option, text in typed if not option)
    if arguments != document.trainer_args:
        yield f"the arguments {arguments} are {document.trainer_args}"


def _refused(answer: Answer) -> bool:
    assert answer.exit_code in (0, 2, 3), answer.told
    return answer.exit_code != 0


def _is_named(setting: Parameter, answer: Answer) -> bool:
    """Whether a refusal is about a setting."""
    told = [f"{one['where']} {one['title']} {one['why']} {one['given']}" for one in answer.problems]
    return any(setting.flag in one for one in told)


def _said(document: JobDocument) -> object:
    """What the document says of the job."""
    return document.run, document.job, document.workload, document.parameters, document.sources, document.trainer_args


def _wanted(job: Job) -> object:
    return job.run_name(1), job.digest, job.workload, dict(job.parameters), job.sources, job.trainer_args
