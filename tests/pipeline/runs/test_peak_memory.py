"""The sampled peak."""

import subprocess
import sys
import time

from taxiway.pipeline.runs.peak_memory import SAMPLES_PER_LISTING, PeakMemory


def test_the_peak_includes_children_and_starts_anew():
    with PeakMemory(sample_seconds=0.02) as memory:
        memory.reset_peak()
        alone = memory.peak_mb()
        code = "block = bytearray(150_000_000); print('ready', flush=True); input()"
        child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"ready\n"
        seen = memory.samples
        while memory.samples < seen + 2 + SAMPLES_PER_LISTING:  # the second listing began after the child was ready
            time.sleep(0.01)
        child.communicate(b"\n", timeout=60)
        with_child = memory.peak_mb()
        memory.reset_peak()
        after = memory.peak_mb()
    assert with_child - alone > 140
    assert with_child - after > 100
