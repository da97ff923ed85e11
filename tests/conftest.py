import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

# Machines are shared and slow at times: no test may depend on how long an example takes.
settings.register_profile(
    "schedplan", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)
settings.load_profile("schedplan")

# Every epoch is made sure to be on the disk, and tests train many thousands of no computation: they
# do it in memory, where there is enough.
_MEMORY = Path("/dev/shm")
if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 4 << 30:
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)
