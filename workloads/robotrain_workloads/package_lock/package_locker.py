"""The lock of the packages that a job adds to the environment of its workload, decided before it is sent.

They are resolved with every package of that environment as it is: only what it lacks is added.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.locked_program import LockedProgram
from robotrain.model.plan import make_job_document
from robotrain_runtime.contract.added_packages import FILES_PLACE, encode_file, list_packages
from robotrain_runtime.contract.container_plugin import PythonEnvironment, WorkloadContainerPlugin
from robotrain_runtime.contract.document import Placement
from robotrain_runtime.contract.plugin_loader import load_container_plugin

from robotrain_workloads.command_lock import lock_store, program_locker, uv_resolution
from robotrain_workloads.command_lock.lock_inputs import GivenRequirement, LockInput
from robotrain_workloads.command_lock.lock_target import Target
from robotrain_workloads.command_lock.uv_resolution import Say
from robotrain_workloads.package_lock import given_packages
from robotrain_workloads.package_lock.given_packages import GivenPackages, PackageFile
from robotrain_workloads.packages import BUILDS_FLAG, WITH_FLAG, list_given

make_problem = Messages(__file__)

PARAMETERS = ("packages", "allow_builds", "lerobot_version", "env")
"""The parameters that decide what is locked."""
FORMAT = 1
"""Changes with what is made of equal inputs."""
NAME = r"[A-Za-z0-9][\w.-]*"
DEPENDENCY = re.compile(rf"\b({NAME})(?:==([\w.+!]+))? depends? on ({NAME})((?:[<>=!~]=?[\w.*+!]+,?)*)")
MISSING = re.compile(
    rf"\b({NAME}) was not found in the (?:package registry|provided package locations)"
    rf"|there (?:is|are) no versions? of ({NAME})"
)
"""How uv explains what it cannot resolve."""


def lock_program(job: Job, say: Say) -> LockedProgram | None:
    """Return the packages that a job adds, locked; None if it adds none. Raise Rejected with all that cannot be."""
    if not list_given(dict(job.parameters)):
        return None
    question = _LockQuestion(job)
    raise_if_any(question.given.problems)
    raise_if_any([*question.find_conflicts()])
    stored = lock_store.read_stored(question.key)
    if stored is None:
        with program_locker.report_progress(say, WITH_FLAG):
            stored = question.make_lock()
        lock_store.store_lock(question.key, stored)
    return stored


def find_locked(job: Job) -> LockedProgram | None:
    """Return what was locked for equal packages before; None if there is nothing."""
    if not list_given(dict(job.parameters)):
        return None
    question = _LockQuestion(job)
    return None if question.given.problems else lock_store.read_stored(question.key)


def find_environment(job: Job) -> PythonEnvironment:
    """Return the environment that a job would have without further packages."""
    from robotrain.plugins.manager import get_plugins

    module = get_plugins().workload(job.workload).container_plugin
    placement = Placement(work="", cache="", environment="")
    document = make_job_document(job, run="", platform="", container_plugins={}, placement=placement)
    return load_container_plugin(module, WorkloadContainerPlugin).environment(document)


class _LockQuestion:
    """What is to be locked, and against what."""

    def __init__(self, job: Job) -> None:
        environment = find_environment(job)
        self.lock = environment.lock.read_text(encoding="utf-8")
        self.locked: dict[str, str] = {
            canonicalize_name(name): version for name, version in list_packages(self.lock).items()
        }
        self.owner = f"the environment of {job.workload}"
        self.allow_builds = bool(job["allow_builds"])
        self.target = Target(environment.python)
        texts = list_given(dict(job.parameters))
        self.given: GivenPackages = given_packages.read_packages(texts, self.target, allow_builds=self.allow_builds)

    @property
    def key(self) -> str:
        """What identifies the lock."""
        requirements = [str(one) for one in self.given.requirements.values()]
        files = [[name, one.name, one.digest] for name, one in self.given.files.items()]
        facts = [FORMAT, WITH_FLAG, requirements, files, self.target.python, self.allow_builds]
        return lock_store.make_key(self.lock.encode(), facts)

    def find_conflicts(self) -> Iterator[Problem]:
        """Yield each package that is given in another version than the environment has."""
        for name, requirement in self.given.requirements.items():
            if name in self.locked and not requirement.specifier.contains(self.locked[name], prereleases=True):
                yield self._make_conflict(f"{name}{requirement.specifier} is given", name)
        for name in self.given.files:
            if name in self.locked:
                yield self._make_conflict(f"{self.given.files[name].name} is given", name)

    def _make_conflict(self, needs: str, name: str) -> Problem:
        """Return the problem of a package of the environment that something needs in another version."""
        others = (Suggestion("--lerobot-version VERSION"),) if name == "lerobot" else ()
        ways = (Suggestion(f"{WITH_FLAG} PACKAGE==VERSION", "a version that fits"), *others)
        return make_problem(
            "packages-conflict.other-version",
            *ways,
            where=WITH_FLAG,
            needs=needs,
            owner=self.owner,
            name=name,
            locked=self.locked[name],
        )

    def make_lock(self) -> LockedProgram:
        """Return the lock. Raise Rejected."""
        given = self._make_input()
        packages, problems = self._resolve(given)
        entries, names, size = [], [], 0
        for package in sorted(packages, key=lambda one: one.name):
            if package.name in self.locked or package.name in self.given.files:
                continue
            found = program_locker.choose_files(package, given, self.target, allow_builds=False)
            entry: str | Problem = self._rephrase(package.name)
            if not isinstance(found, Problem):
                entry = program_locker.format_entry(package, found, program_locker.is_by_address(package, given))
                size += max(int(one.get("size", 0)) for one in found)
            if isinstance(entry, Problem):
                problems.append(entry)
            else:
                entries.append(entry)
                names.append(f"{package.name} {package.version}")
        if problems:
            raise Rejected(problems)
        for name, file in self.given.files.items():
            entries.append(_format_file(name, file))
            names.append(f"{name} {list_packages(entries[-1])[name]}".strip())
            size += len(file.content)
        return self._make_program(entries, size, names)

    def _make_program(self, entries: Sequence[str], size: int, names: Sequence[str]) -> LockedProgram:
        count = f"{len(entries)} package{'s' * (len(entries) != 1)}"
        builds = self.allow_builds
        head = [f"# {count} of {WITH_FLAG} for {self.target.description}: {size} bytes"]
        lock = "\n".join([*head, *([] if builds else [program_locker.WHEELS_ONLY]), *entries]) + "\n"
        given = [name for name in names if name.split()[0] in self.given.names]
        others = f" and {len(names) - len(given)} more" if len(names) > len(given) else ""
        files = tuple((one.name, encode_file(one.content)) for one in self.given.files.values())
        summary = f"{', '.join(given) or 'nothing that the environment lacks'}{others}, Python {self.target.python}"
        return LockedProgram(lock=lock, python=self.target.python, origin=WITH_FLAG, summary=summary, files=files)

    def _make_input(self) -> LockInput:
        """Return the requirements for uv: in place of a folder, those that it has."""
        requirements = [*self.given.requirements.values()]
        for name, file in self.given.files.items():
            is_wheel = file.path.suffix == ".whl"
            texts = [f"{name} @ {file.path.absolute().as_uri()}"] if is_wheel else file.needs
            requirements += map(Requirement, texts)
        pins = [Requirement(f"{name}=={version}") for name, version in self.locked.items() if version]
        return LockInput(
            origin=WITH_FLAG,
            requirements=[*map(GivenRequirement, requirements)],
            constraints=[*map(GivenRequirement, pins)],
        )

    def _resolve(self, given: LockInput) -> tuple[list[uv_resolution.ResolvedPackage], list[Problem]]:
        """Return the packages that are needed, those of the environment among them, and what is wrong."""
        if not given.requirements:
            return [], []
        try:
            packages, problems = uv_resolution.resolve_packages(given, self.target)
        except Rejected as rejected:
            packages, problems = [], list(rejected.problems)
        return packages, [self._explain(problem) for problem in problems]

    def _explain(self, problem: Problem) -> Problem:
        """Return a problem of uv as a sentence, if it is about a package that is missing or does not fit."""
        if problem.code == "not-lockable":
            return self._rephrase(problem.given)
        if problem.code != "lock-failed" or problem.transient:
            return problem
        for needing, version, name, specifier in DEPENDENCY.findall(problem.why):
            key = canonicalize_name(name)
            if key in self.locked and specifier and self.locked[key] not in SpecifierSet(specifier.rstrip(",")):
                return self._make_conflict(
                    f"{' '.join(filter(None, (needing, version)))} needs {name}{specifier.rstrip(',')}", key
                )
        if match := MISSING.search(problem.why):
            name = canonicalize_name(match[1] or match[2])
            title = f"the package index has no {name} that fits"
            ways = (Suggestion(f"{WITH_FLAG} NAME==VERSION"), Suggestion(f"{WITH_FLAG} FILE.whl", "a wheel of it"))
            return replace(problem, code="package-missing", title=title, where=WITH_FLAG, suggestions=ways)
        return replace(problem, suggestions=(Suggestion(f"{WITH_FLAG} NAME==VERSION"),))

    def _rephrase(self, name: str) -> Problem:
        """Return the problem of a package without a wheel."""
        return make_problem(
            "not-lockable.no-wheel",
            where=WITH_FLAG,
            given=name,
            name=name,
            description=self.target.description,
            builds_flag=BUILDS_FLAG,
        )


def _format_file(name: str, file: PackageFile) -> str:
    return f"{name} @ {FILES_PLACE}/{file.name} \\\n    --hash=sha256:{file.digest}"
