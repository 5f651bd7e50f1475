"""Run as a process of its own: imports a connector, makes it, asks what it offers, and ends at the first call outside.

Reads from standard input where the connector is and its settings; exits 3 with one line when something was sent or
started. It imports nothing of the project by itself, so that what is loaded is the connector's doing.
"""

import importlib
import importlib.util
import json
import os
import sys
import threading

# Audit events (PEP 578) that stand for leaving the process; a module may make a socket to find out what is possible.
_OUTSIDE = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
)


def main() -> None:
    told = json.load(sys.stdin)
    sys.path[:] = told["path"]
    doing = "its module was imported"

    def watch(event: str, _: object) -> None:
        if event in _OUTSIDE:
            _end(f"{event} while {doing}")

    sys.addaudithook(watch)
    module = _module(told["module"], told["file"])
    connector = module
    for part in told["name"].split("."):
        connector = getattr(connector, part)
    doing = "the settings were made"
    made = connector.model_validate(told["settings"])  # type: ignore[attr-defined]  # it was found by name
    doing = "endpoint() was called"
    made.endpoint()
    doing = "streams() was called"
    made.streams()
    doing = "actions() was called"
    made.actions()
    extra = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if extra:
        _end(f"a thread was started: {', '.join(extra)}")


def _module(name: str, file: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        # A test file may be no module that can be imported by name.
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module


def _end(told: str) -> None:
    sys.stderr.write(f"{told}\n")
    sys.stderr.flush()
    # Nothing may catch this.
    os._exit(3)


if __name__ == "__main__":
    main()
