"""What `resources.beam` takes, and the options of Beam that it becomes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from taxiway.components.beam.options import BEAM_OPTIONS, NOTHING_TO_STAGE, find_option, uses_engine
from taxiway.pipeline.config import DEFAULT_CONFIG, load_config
from taxiway.pipeline.resources import BeamConfig
from taxiway.pipeline.resources.beam_args import make_beam_args

FLINK = {"runner": "flink", "job_endpoint": "flink-jobserver:8099"}


def _find_all(options: list[str]) -> dict[str, str]:
    return {name: find_option(options, name) for name in (o.partition("=")[0].removeprefix("--") for o in options)}


def test_nothing_said_is_this_process() -> None:
    assert make_beam_args(BeamConfig()) == [*BEAM_OPTIONS, NOTHING_TO_STAGE]
    assert not uses_engine(make_beam_args(BeamConfig()))


def test_flink_with_a_pool_beside_its_machines() -> None:
    options = make_beam_args(BeamConfig(**FLINK, parallelism=4))
    assert uses_engine(options)
    assert _find_all(options).items() >= {
        "runner": "PortableRunner", "job_endpoint": "flink-jobserver:8099", "environment_type": "EXTERNAL",
        "environment_config": "localhost:50000", "parallelism": "4", "sdk_container_image": "none",
    }.items()  # fmt: skip


def test_a_master_needs_the_job_servers_jar() -> None:
    beam = BeamConfig(
        runner="spark", master="spark-master:7077", job_server_jar="/opt/job-server.jar", environment="loopback"
    )
    found = _find_all(make_beam_args(beam))
    assert found["runner"] == "SparkRunner" and found["spark_master_url"] == "spark-master:7077"
    assert found["spark_job_server_jar"] == "/opt/job-server.jar" and found["environment_type"] == "LOOPBACK"


def test_workers_in_containers_run_the_image() -> None:
    for options in (
        make_beam_args(BeamConfig(**FLINK, environment="docker", image="registry/taxiway:1")),
        make_beam_args(BeamConfig(runner="dataflow", image="registry/taxiway:1", parallelism=3)),
    ):
        assert find_option(options, "sdk_container_image") == "registry/taxiway:1"
    assert find_option(options, "num_workers") == "3"


def test_raw_options_win_and_say_where_the_code_is() -> None:
    options = make_beam_args(BeamConfig(**FLINK), ["--parallelism=7", "--setup_file=/opt/setup.py"])
    assert find_option(options, "parallelism") == "7"
    assert NOTHING_TO_STAGE not in options


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"runner": "flink"}, "needs job_endpoint or master"),
        ({**FLINK, "master": "flink:8081"}, "needs job_endpoint or master, one of them"),
        ({"runner": "flink", "master": "flink:8081"}, "master and job_server_jar go together"),
        ({**FLINK, "job_server_jar": "/x.jar"}, "master and job_server_jar go together"),
        ({"parallelism": 2}, "parallelism means nothing with runner local"),
        ({"runner": "dataflow"}, "image is missing"),
        ({"runner": "dataflow", "image": "x", "master": "a:1"}, "master means nothing with runner dataflow"),
        ({**FLINK, "environment": "docker"}, "image is missing"),
        ({**FLINK, "image": "x"}, "image means nothing with environment external"),
        (
            {"runner": "flink", "master": "a:1", "job_server_jar": "j", "artifact_endpoint": "a:2"},
            "its job_endpoint too",
        ),
        ({"runner": "spark", "job_endpoint": "a:1", "parallelism": 2}, "spark.default.parallelism"),
        ({**FLINK, "job_endpoint": "flink"}, "is no address"),
        ({"runner": "ray"}, "local"),
    ],
)
def test_what_cannot_work_is_refused(settings: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        BeamConfig(**settings)


@given(st.sampled_from(["flink", "spark"]), st.sampled_from(["external", "loopback"]), st.integers(1, 99))
def test_tfx_never_packs_itself(runner: str, environment: str, parallelism: int) -> None:
    """Whatever is chosen, the options say where workers find the code, so TFX stages nothing."""
    more = {"parallelism": parallelism} if runner == "flink" else {}
    beam = BeamConfig(runner=runner, job_endpoint="host:1", environment=environment, **more)
    assert find_option(make_beam_args(beam), "sdk_container_image") == "none"
    assert BeamConfig.model_validate_json(beam.model_dump_json()) == beam


def test_the_section_is_part_of_the_configuration() -> None:
    config = load_config(DEFAULT_CONFIG, ["resources.beam={runner: flink, job_endpoint: 'flink:8099'}"])
    assert config.resources.beam.is_remote
    for section in (config.resources.beam, BeamConfig(), BeamConfig(runner="dataflow", image="x")):
        assert BeamConfig.model_validate_json(section.model_dump_json()) == section
