"""The tracking process: `python -m robotrain_runtime.tracking`. MLflow is imported once the first line arrives."""

import gc
import importlib
import select
import sys

if __name__ == "__main__":
    select.select([sys.stdin], [], [])
    gc.disable()  # the import takes 2 s of CPU time as it is
    process = importlib.import_module("robotrain_runtime.tracking.tracking_process")
    gc.freeze()
    gc.enable()
    process.main(sys.argv[1:])
