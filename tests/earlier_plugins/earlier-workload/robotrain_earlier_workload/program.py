"""The work: `python -m robotrain_earlier_workload.program TIMES`, in the environment of lock.txt."""

import sys

from robotrain_runtime.plugin import Metrics, emit_event

TIMES = int(sys.argv[1])

for step in range(1, TIMES + 1):
    # `watch`, `status` and `report` show these values while it runs, and tracking records them.
    emit_event(Metrics(step=step, total=TIMES, values={"count": float(step)}))
print("counted to", TIMES, *sys.argv[2:])
