"""A workload like the good one, in a module that uses what nobody promises to keep."""

from hello_workload import wrong
from robotrain.store import records

KEPT = records
private_import = wrong("private_import")
