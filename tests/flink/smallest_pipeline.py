"""A pipeline of one element in Beam's own words, which a cluster that works runs in seconds."""

from __future__ import annotations

import sys

import apache_beam as beam


def run_pipeline(options: list[str]) -> None:
    """Runs it on the job server that the options name; raises where its job fails."""
    argv = ["--runner=PortableRunner", "--environment_type=EXTERNAL", *options]
    with beam.Pipeline(argv=argv) as pipeline:
        _ = pipeline | beam.Create([1]) | beam.Map(str)


if __name__ == "__main__":
    run_pipeline(sys.argv[1:])
