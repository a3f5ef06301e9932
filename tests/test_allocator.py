"""What becomes of memory that is freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from bitbrush import allocator
for name in sys.argv[1:]:
    getattr(allocator, name)()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.full((2**24,), 1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

# It takes a few until what is kept has room for what comes.
for _ in range(20):
    faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another one")
def test_memory_is_kept_or_given_back() -> None:
    found = {}
    kept, returned = "keep_freed_memory", "return_freed_memory"
    for names in ([kept], [returned], [kept, returned]):
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT, *names], capture_output=True, text=True, check=True
        )
        found[" ".join(names)] = int(ran.stdout)
    # 64 MiB are 16,384 pages of 4 KiB, or 32 large ones.
    assert found.pop(kept) < 8
    assert len(found) == 2 and all(count >= 32 for count in found.values())
