"""The base of all kits."""

import functools
import inspect
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from robotrain_runtime.contract.document import RoleName
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.plugins.failures import PluginError
from robotrain.plugins.manager import Plugins
from robotrain.redaction import holds_secret
from robotrain.submission.packing import pack_modules
from robotrain.testing.declarations import validate_declaration
from robotrain.testing.harness import (
    CommandResult,
    fail_with_sentences,
    report,
    run_command,
)

OWN_PREFIXES = ("ROBOTRAIN_TEST_", "ROBOTRAIN_CACHE")
"""Variables with these prefixes stay set: the author's own, and the cache, whose environments take long to build."""
SAMPLE_SITE = Path(__file__).with_name("sample_site")
"""The folder of the path that the kit's sample plugin is installed in."""
PROBE_PLATFORM, SAMPLE_KIND, SAMPLE_WORKLOAD = "kit-probe", "kit_shelf", "kit-train"
ROLES: tuple[str, ...] = get_args(RoleName)


@functools.lru_cache(64)
def load_declared(family: str, name: str, *path: str) -> tuple[Plugins, Any]:
    """Return what is installed under a name, with the plugins that loaded it; the test fails if there is none.

    :param path: where plugins are searched.
    """
    plugins = Plugins()
    try:
        if family != "source":
            return plugins, _validate(f"{family} {name}", getattr(plugins, family)(name))
    except PluginError as error:
        pytest.fail(str(error), pytrace=False)
    if name not in plugins.source_kinds():
        plugins.platforms()  # one of them may provide it without a claim of its own
    if name not in (kinds := plugins.source_kinds()):
        failures = "".join(f"\n{failure}" for failure in plugins.failures.values())
        pytest.fail(f"no source kind {name!r} is installed; installed: {', '.join(sorted(kinds))}{failures}")
    return plugins, _validate(f"source kind {name}", kinds[name])


def _validate(what: str, declared: Any) -> Any:
    """Return a declaration; the test fails for one whose flags, parameters or limits are malformed."""
    try:
        validate_declaration(declared)
    except (TypeError, ValueError) as error:
        pytest.fail(f"{what}: {error}", pytrace=False)
    return declared


class KitBase:
    """The base of all kits. A test that is a generator of sentences fails with all of them."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, test in [*vars(cls).items()]:
            if name.startswith("test_") and inspect.isgeneratorfunction(test):
                setattr(cls, name, fail_with_sentences(test))

    @pytest.fixture(autouse=True)
    def kit_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Return the working folder, empty; isolate the state and variables of whoever runs it; install the sample."""
        for name in [name for name in os.environ if name.startswith("ROBOTRAIN_")]:
            if not name.startswith(OWN_PREFIXES):
                monkeypatch.delenv(name)
        working_folder = tmp_path / "kit" / "here"
        working_folder.mkdir(parents=True)
        monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "kit" / "state"))
        monkeypatch.chdir(working_folder)
        monkeypatch.syspath_prepend(SAMPLE_SITE)
        return working_folder


SECRET_NAME_PATTERN = (
    r"(?<![a-z])(token|secret|password|passwd|passphrase|signature|credential|sas)s?(?![a-z])|(?<![a-z])keys?$"
)
SECRET_REFERENCE_PATTERN = r"_(file|name|id|credential)$|^(credential|file|name)_"
"""Names of parameters that name where a secret is."""


def find_declaration_problems(declaration: type) -> Iterator[str]:
    """Yield what is wrong with a dataclass of parameters, beside what excludes the plugin when it is loaded."""
    parameters = get_parameters(declaration)  # completes a dataclass that is made when it is first used
    if not vars(declaration)["__dataclass_params__"].frozen:
        yield (
            f"{declaration.__name__} is not frozen, but a job never changes: write @dataclass(frozen=True, "
            "kw_only=True)"
        )
    for parameter in parameters:
        if not parameter.param.help.strip():
            yield f"{parameter.name} has no help text: write Param(help=…)"
        is_text = parameter.bare_type is str and parameter.param.form != "pairs"  # pairs name where secrets are
        is_secret = is_text and re.search(SECRET_NAME_PATTERN, parameter.name.lower())
        if is_secret and not re.search(SECRET_REFERENCE_PATTERN, parameter.name):
            yield f"{parameter.name} asks for a secret, which plans would store: ask for the name of what holds it"
        if holds_secret(str(parameter.default)):
            yield f"the default of {parameter.name} holds a secret, which plans would store: leave it out"


ISOLATED_PROGRAM = """
import sys
import zipfile
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
for name in sys.argv[2:]:
    __import__(name)
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
known = {name for name, file in files.items() if file.startswith(sys.argv[1])} | {"__main__"}
print(*sorted(name for name in {*files} - known if name.partition(".")[0] not in sys.stdlib_module_names))
"""


def find_outside_imports(folder: Path, *modules: str, data: Sequence[str] = ()) -> Iterator[str]:
    """Import modules, packed with packages of data as for a job, in a bare Python; yield what they lack."""
    payload = folder / "payload"
    zipfile.ZipFile(io.BytesIO(pack_modules((*modules, *data)).archive)).extractall(payload)
    command = [sys.executable, "-I", "-S", "-c", ISOLATED_PROGRAM, str(payload), *modules]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        yield (
            f"what is packed cannot be imported without other packages; import them in the functions:\n{process.stderr}"
        )
    yield from report("beside what is packed it imports these; import them in the functions", process.stdout.split())


def run_on_probe(command: str, *words: str) -> CommandResult:
    """Run a command with `--json` on the kit's platform that accepts every source."""
    return run_command(command, "--json", "--platform", PROBE_PLATFORM, *words)


def find_clashes(name: str, workloads: Iterable[str]) -> Iterator[str]:
    """Yield the clashes of options in which a plugin of that name has part, of these workloads on every platform."""
    for platform in Plugins().platforms():
        for workload in workloads:
            explain_errors = run_command("explain", workload, "--platform", platform, "--json").errors
            titles = [problem["title"] for problem in explain_errors if problem["code"] == "names-clash"]
            yield from (title for title in titles if re.search(rf"(?<![\w-]){name}(?![\w-])", title))
