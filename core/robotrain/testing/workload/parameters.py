"""The parameters: declared once, and by that told, bounded and read alike everywhere."""

import dataclasses
import re

from robotrain_runtime.parameter import Parameter, parameters_of

from robotrain.coerce import coerce
from robotrain.plugins import Plugins
from robotrain.testing import command_line, probe
from robotrain.testing.workload import values
from robotrain.testing.workload.base import OfWorkload, refused
from robotrain.workload import Workload

SECRETS = r"(?:^|_)(?:key|token|secret|password|passphrase|signature|credential|sas)s?$"
FLAG = r"--[a-z0-9]+(?:-[a-z0-9]+)*"


class Parameters(OfWorkload):
    """Of the dataclass that declares them."""

    def test_parameters_are_declared_for_people(self, declared: Workload) -> None:
        """Flags, help, schema and docs are made from it: a frozen dataclass, with a `Param` and its help for each."""
        kept = declared.parameters
        assert dataclasses.is_dataclass(kept), "its parameters are no dataclass"
        assert vars(kept)["__dataclass_params__"].frozen, "its parameters are not frozen: a job never changes"
        bare = {field.name for field in dataclasses.fields(kept)} - {one.name for one in _all(declared)}
        assert not bare, f"without a Param: {', '.join(sorted(bare))}"
        for one in _all(declared):
            assert one.param.help.strip(), f"{one.name} has no help"
            assert re.fullmatch(FLAG, one.flag), f"{one.name}: {one.flag!r} is no long option"

    def test_no_parameter_is_a_secret(self, declared: Workload) -> None:
        """Plans and records keep every value in the clear: a secret is named by where it lies, never given."""
        named = [one.name for one in _all(declared) if re.search(SECRETS, one.name)]
        assert not named, "a job would carry these in the clear"

    def test_defaults_are_values_of_their_own_type(self, declared: Workload) -> None:
        """What is left out has a value that could have been typed."""
        from pydantic import TypeAdapter

        assert coerce(declared.parameters, {})[1] == [] or any(one.required for one in _all(declared))
        for one in _all(declared):
            if not one.required:
                assert TypeAdapter(one.type).validate_python(one.default, strict=True) == one.default, one.name

    def test_help_schema_and_explain_list_each(self, declared: Workload, probed: None) -> None:
        """Whoever asks what can be said is told all of it."""
        shown = command_line.run("render", self.workload, "--platform", probe.NAME, "--help").stdout
        schema = command_line.run("schema", self.workload).stdout
        explained = command_line.run("explain", "--platform", probe.NAME, "--json", *_words(self))
        assert explained.exit_code == 0, str(explained)
        told = {row["name"] for row in explained.json["values"]}
        for one in _all(declared):
            assert re.search(rf"{one.flag}\b", shown), f"--help does not list {one.flag}"
            assert f'"{one.name}"' in schema, f"the schema does not know {one.name}"
            assert one.name in told, f"`explain` does not tell {one.name}"

    def test_what_is_out_of_bounds_is_refused(self, declared: Workload, probed: None) -> None:
        """A value that cannot be meant stops the job where it is typed, exit code 2, all of them at once."""
        rounds = {one.flag: list(values.outside(one)) for one in _all(declared)}
        for number in range(max(map(len, rounds.values()), default=0)):
            wrong = {flag: bad[number] for flag, bad in rounds.items() if number < len(bad)}
            words = [f"{flag}={text}" for flag, text in wrong.items()]
            answer, problems = refused(*_words(self, *words))
            assert answer.exit_code == 2, f"{' '.join(words)}: {answer}"
            named = {problem["where"] for problem in problems if problem["code"] == "value-invalid"}
            assert not {*wrong} - named, f"taken, though out of bounds: {' '.join(words)}"

    def test_its_flags_are_its_own_on_every_platform(self, declared: Workload, probed: None) -> None:
        """An option means one thing, whatever platform the job goes to."""
        for platform in Plugins().platforms():
            answer = command_line.run("explain", "--platform", platform, "--json", *_words(self))
            clashes = [one for one in answer.json.get("problems", ()) if one["code"].endswith("-clash")]
            assert not [one["title"] for one in clashes if f"workload {declared.name}" in one["title"]]


def _all(workload: Workload) -> list[Parameter]:
    return list(parameters_of(workload.parameters))


def _words(kit: OfWorkload, *more: str) -> list[str]:
    """The job of a kit with further options, before what goes to the trainer."""
    at = kit.job.index("--") if "--" in kit.job else len(kit.job)
    return [kit.workload, *kit.job[:at], *more, *kit.job[at:]]
