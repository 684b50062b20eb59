"""Beam works in this process, and brings no program of its own."""

import pytest

from taxiway.components.beam import options


class StartedError(Exception):
    """Prism would have been downloaded and started."""


@pytest.fixture()
def run(monkeypatch, tmp_path):
    """Runs a pipeline with options; what it wrote, or `StartedError`."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability import prism_runner

    def start():
        raise StartedError

    monkeypatch.setattr(prism_runner, "PrismRunner", start)

    def run_pipeline(*options):
        target = tmp_path / "numbers"
        with beam.Pipeline(options=PipelineOptions([*options], save_main_session=False)) as pipeline:
            doubled = pipeline | beam.Create([1, 2, 3]) | beam.Map(lambda number: str(2 * number))
            _ = doubled | beam.io.WriteToText(str(target), num_shards=1)
        return sorted(next(tmp_path.iterdir()).read_text().split())

    return run_pipeline


def test_without_the_option_beam_would_start_a_program(run):
    """Where it does not any more, the option can go."""
    with pytest.raises(StartedError):
        run(*(option for option in options.BEAM_OPTIONS if option != options.IN_THIS_PROCESS))


@pytest.mark.parametrize("more", [(), ("--runner=DirectRunner",)])
def test_with_the_option_it_does_not(run, more):
    assert run(*options.BEAM_OPTIONS, *more) == ["2", "4", "6"]
