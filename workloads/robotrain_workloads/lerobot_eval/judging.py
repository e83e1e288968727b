"""Whether a policy reached what was demanded of it. Standard library only."""

from robotrain_workloads.lerobot_eval.results.found import Found


def below(found: Found) -> str:
    """A sentence when its success rate is lower than demanded; else empty."""
    if found.passed is not False or found.rolled is None:
        return ""
    rolled, demanded = found.rolled, found.threshold or 0.0
    of = f"{rolled.successes} of {len(rolled.episodes)}"
    return f"the success rate {_lower(rolled.rate, demanded)} ({of}) is below --success-threshold {demanded:.15g}"


def _lower(rate: float, demanded: float) -> str:
    """With two digits, or as many more as it takes to be seen to be lower."""
    told = (f"{rate:.{digits}f}" for digits in range(2, 17))
    return next((text for text in told if float(text) < demanded), repr(rate))
