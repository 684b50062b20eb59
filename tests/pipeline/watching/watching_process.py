"""`taxiway watch` with the stand-in for its runs: `watching_process.py watch CONFIG ...`."""

import sys

if __name__ == "__main__":
    from taxiway.pipeline import cli
    from taxiway.pipeline.watching import run_process

    run_process.RUN_MODULE = "tests.pipeline.watching.stand_in_run"
    sys.exit(cli.run(sys.argv[1:]))
