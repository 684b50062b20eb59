"""The report of a run: one self-contained HTML page, for runs that pushed, were blocked or failed alike."""
