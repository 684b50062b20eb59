"""The sampled peak."""

import subprocess
import sys
import time

from pipeline.memory import PeakMemory


def test_the_peak_includes_children_and_starts_anew():
    with PeakMemory(sample_seconds=0.02) as memory:
        memory.restart()
        alone = memory.peak_mb()
        code = "import time; block = bytearray(150_000_000); time.sleep(1)"
        child = subprocess.Popen([sys.executable, "-c", code])
        time.sleep(0.8)
        child.wait(timeout=30)
        with_child = memory.peak_mb()
        memory.restart()
        after = memory.peak_mb()
    assert with_child - alone > 140
    assert with_child - after > 100
