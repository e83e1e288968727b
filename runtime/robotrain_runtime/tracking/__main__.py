"""The tracking process: `python -m robotrain_runtime.tracking`. MLflow is imported once the first line arrives."""

import importlib
import select
import sys

if __name__ == "__main__":
    select.select([sys.stdin], [], [])
    process = importlib.import_module("robotrain_runtime.tracking.tracking_process")
    process.main(sys.argv[1:])
