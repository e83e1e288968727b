"""What a platform finds a run again by, and the keys of it that others read."""

from collections.abc import Mapping

Reference = Mapping[str, str]
"""What `PlatformEngine.submit` returned: the platform finds the run again by it."""
STEP_KEY = "step"
"""The key of the reference of a pipeline that is about one of its steps."""
LOGIN_KEY = "login"
"""Of a reference: the machine that holds the run's files, as ssh calls it; missing for this one, or without any."""
ADOPTED_KEY = "adopted"
"""In what a shell is asked of: another machine submitted the run, so no program or variable of its folder is used."""
