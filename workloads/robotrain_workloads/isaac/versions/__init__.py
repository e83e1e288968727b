"""What differs between versions of Isaac Lab: a module each, with the same names."""

from types import ModuleType

from robotrain_workloads.isaac.versions import lab_2_3, lab_3_0

LABS: dict[str, ModuleType] = {"2.3": lab_2_3, "3.0": lab_3_0}
"""By the value of `--isaac-version`."""
