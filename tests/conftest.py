import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

# Machines are shared and slow at times: no test may depend on how long an example takes. Nor on
# what is drawn: a change is to blame for what fails, not chance (benchmarks/fuzz.py draws anew).
settings.register_profile(
    "schedplan",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=50,
)
settings.load_profile("schedplan")

# Tests run side by side, and each has the processors that are left.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Dask's profiler can freeze a process for good in Python 3.11 (python/cpython#106883).
os.environ["DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED"] = "False"

# Every epoch is made sure to be on the disk, and tests train many thousands of no computation: they
# do it in memory, where there is enough.
_MEMORY = Path("/dev/shm")
if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 4 << 30:
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)
