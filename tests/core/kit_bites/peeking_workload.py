"""A workload like the good one, in a module that uses what nobody promises to keep."""

import robotrain as r
from hello_workload import wrong

KEPT = r.store
peeking = wrong("peeking")
