"""What AppLauncher does for a script: the wait for the simulator, and its handlers of signals."""

import os
import signal
import sys
import time


def launch(args):
    print("[INFO][AppLauncher]: Using device:", args.device, flush=True)
    time.sleep(float(os.environ.get("STANDIN_LAUNCH_SECONDS", "0")))  # the real one needs 10 s and more here
    for number in (signal.SIGTERM, signal.SIGABRT, signal.SIGSEGV):
        signal.signal(number, _close)


def _close(number, frame):
    """Close the app. The real one's exit code was never seen; a test says which one it means."""
    print("[INFO][AppLauncher]: the application is closed by a signal", flush=True)
    sys.stderr.flush()
    os._exit(int(os.environ.get("STANDIN_SIGNAL_EXIT", "0")))
