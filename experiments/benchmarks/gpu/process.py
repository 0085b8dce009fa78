"""One part in a process of its own: its rows go to standard output, a line each, as they come."""

import importlib
import json
import sys

PREFIX = "row "

if __name__ == "__main__":  # the suite's workers import it again
    module, kind, *pretend = sys.argv[1:]
    part = getattr(importlib.import_module(module), kind)(pretend=bool(pretend))
    for row in part.rows():
        print(PREFIX + json.dumps(row), flush=True)
