"""The fuzzers of the test suite at length. Run: python tests/benchmarks/fuzz.py [INPUTS]

Prints how many configurations and run folders, each changed at random, ended in a result or in a
named error; anything else is shown with the change that leads to it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))

from test_fuzz import check_config, check_run

if __name__ == "__main__":
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    for check in (check_config, check_run):
        long = settings(
            max_examples=inputs,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        begun = time.perf_counter()
        long(given(st.data())(check))()
        print(f"{check.__name__}: {inputs} inputs, {time.perf_counter() - begun:.0f} s")
