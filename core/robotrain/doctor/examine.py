"""All checks at once, each with its time, and mending what may be mended."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from robotrain import limited
from robotrain.health import Finding, Fix, HealthCheck, State, fail, warn
from robotrain.problem import Rejected
from robotrain.redaction import redact


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A check and what it saw. by: the plugin that brings it; empty for robotrain's own. named: its platform was."""

    check: HealthCheck
    by: str
    named: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def state(self) -> State:
        """The worst of its findings."""
        states = {finding.state for finding in self.findings}
        return "fail" if "fail" in states else "warn" if "warn" in states else "ok"

    @property
    def fixes(self) -> list[Fix]:
        """What could be mended."""
        return [finding.fix for finding in self.findings if finding.fix]


def look(checks: Sequence[Looked], limit: float) -> list[Looked]:
    """Every check done, side by side."""
    asked = limited.together([_looking(one.check) for one in checks], limit)
    return [
        replace(one, findings=(_failed(one, answer.error),) if answer.error else _weighed(one, answer.value or ()))
        for one, answer in zip(checks, asked, strict=True)
    ]


def _weighed(one: Looked, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What the platform that was named needs, and lacks, stops a submit."""
    return tuple(replace(found, state="fail") if found.needed and one.named else found for found in findings)


def mend(looked: Sequence[Looked], limit: float, say: Callable[[str], None]) -> tuple[list[Looked], list[str]]:
    """Do every fix, telling of each before and after; then what was mended is looked at again. What was done."""
    done = [word for one in looked for word in _mended(one.fixes, say)]
    again = iter(look([one for one in looked if one.fixes], limit))
    return [next(again) if one.fixes else one for one in looked], done


def _mended(fixes: Iterable[Fix], say: Callable[[str], None]) -> Iterator[str]:
    for fix in fixes:
        say(f"{fix.says} …")
        try:
            told = fix.act()
        except (OSError, Rejected) as error:
            say(f"  that did not work: {redact(str(error))}")
            continue
        say(f"  {told}")
        yield told


def _looking(check: HealthCheck) -> Callable[[], list[Finding]]:
    def call() -> list[Finding]:
        found = list(check.look())
        if not all(isinstance(finding, Finding) for finding in found):
            raise TypeError("a check answers with robotrain.health.Finding objects")
        return found

    return call


def _failed(one: Looked, error: Exception) -> Finding:
    """A plugin's check may be wrong itself; where robotrain's own cannot look, a submit could not either."""
    overdue = isinstance(error, limited.Overdue)
    says = str(error) if overdue else f"the check itself failed: {type(error).__name__}: {redact(str(error))}"
    return warn(says) if one.by else fail(says)
