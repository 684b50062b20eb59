"""The exit codes of `taxiway`, as its help lists them."""

from __future__ import annotations

from taxiway.components.errors import TaxiwayError, TrainingStoppedError, UsageError

EXIT_LIVE = 0
"""Done: the model is live, or the command did what was asked."""
EXIT_FAILED = TaxiwayError.exit_code
EXIT_USAGE = UsageError.exit_code
EXIT_BLOCKED = 3
"""A gate blocked the push; the live model stays. Of `monitor`: the served version is not right any more."""
EXIT_LOST = 4
"""A run on Kubeflow was followed, and its server does not answer any more; the run goes on."""
EXIT_UNJUDGED = 5
"""Too few rows were logged to judge a served version."""
EXIT_AGAIN = TrainingStoppedError.exit_code
"""Training was asked to end, or lost a member of its cluster: started again, it goes on from the checkpoint."""
EXIT_INTERRUPTED = 130
"""SIGINT, as shells count it: 128 and the signal's number."""
EXIT_TERMINATED = 143
"""SIGTERM."""
