"""Files around the versions, parsed back with the protos that the server parses them with; which server is started."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from taxiway.components.errors import ServingError
from taxiway.components.saved_models import model_versions
from taxiway.components.serving.config import BatchingConfig, ServingConfig
from taxiway.components.serving.server import launch
from taxiway.components.serving.versions import operations, push, server_files
from taxiway.components.serving.versions.directory import ServingDirectory
from tests.components.serving import protos
from tests.components.serving.conftest import fake_model


def models_config(base: Path) -> model_server_config_pb2.ModelConfig:
    text = (base / "server" / "models.config").read_text()
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (found,) = parsed.model_config_list.config
    return found


def test_a_push_a_promotion_and_a_rollback_keep_the_files_consistent(tmp_path: Path) -> None:
    base, config = tmp_path / "taxi", ServingConfig(versions_kept=2, versions_served=2)
    numbers = []
    for number in range(3):
        pushed = push.push_model(fake_model(tmp_path / str(number), b"%d" % number), base, 'the "taxi"', {}, config)
        numbers.append(pushed.version)
    found = models_config(base)
    assert (found.name, found.base_path, found.model_platform) == ('the "taxi"', '/models/the "taxi"', "tensorflow")
    assert found.model_version_policy.latest.num_versions == 2
    directory = ServingDirectory(base)
    operations.promote_version(directory, "taxi", numbers[1], "stable")
    found = models_config(base)
    assert list(found.model_version_policy.specific.versions) == numbers[1:]
    assert dict(found.version_labels) == {"stable": numbers[1]}
    made = operations.rollback_version(directory, "taxi", lambda: None)
    assert list(models_config(base).model_version_policy.specific.versions) == [*numbers[1:], made.result.version]
    operations.demote_label(directory, "taxi", "stable")
    assert models_config(base).model_version_policy.latest.num_versions == 2
    assert made.not_recorded == "there is no metadata store"
    assert model_versions.parse_version("server") is None


def test_the_other_files_parse(tmp_path: Path, model: Path) -> None:
    batching = BatchingConfig(enabled=True, max_batch_size=32, timeout_micros=2000, threads=4)
    push.push_model(model, tmp_path / "taxi", "taxi", {}, ServingConfig(batching=batching))
    folder = tmp_path / "taxi" / "server"
    monitoring = text_format.Parse((folder / "monitoring.config").read_text(), protos.MonitoringConfig())
    assert monitoring.prometheus_config.enable and monitoring.prometheus_config.path.startswith("/monitoring/")
    found = text_format.Parse((folder / "batching_parameters.txt").read_text(), protos.BatchingParameters())
    values = found.max_batch_size.value, found.batch_timeout_micros.value, found.num_batch_threads.value
    assert values == (32, 2000, 4)
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    service = compose["services"]["taxi"]
    assert service["volumes"][0] == {
        "type": "bind",
        "source": str(tmp_path / "taxi"),
        "target": "/models/taxi",
        "read_only": True,
    }
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert "--batching_parameters_file=/models/taxi/server/batching_parameters.txt" in service["command"]
    documents = list(yaml.safe_load_all((folder / "kubernetes.yaml").read_text()))
    assert [document["kind"] for document in documents] == ["PersistentVolumeClaim", "Deployment", "Service"]
    template = documents[1]["spec"]["template"]
    assert (
        template["metadata"]["labels"]
        == documents[1]["spec"]["selector"]["matchLabels"]
        == documents[2]["spec"]["selector"]
    )
    mounted = template["spec"]["containers"][0]["volumeMounts"][0]["mountPath"]
    assert mounted == models_config(tmp_path / "taxi").base_path
    assert template["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == documents[0]["metadata"]["name"]


def test_unchanged_files_are_left_alone(tmp_path: Path, model: Path) -> None:
    push.push_model(model, tmp_path / "taxi", "taxi", {}, ServingConfig())
    path = tmp_path / "taxi" / "server" / "monitoring.config"
    before = path.stat().st_ino
    operations.promote_version(
        ServingDirectory(tmp_path / "taxi"), "taxi", ServingDirectory(tmp_path / "taxi").find_live().number, "a"
    )
    assert path.stat().st_ino == before


def test_the_first_server_at_hand_is_started(tmp_path: Path) -> None:
    binary = launch.build_command(
        "taxi", tmp_path, find=lambda name: f"/bin/{name}" if "model_server" in name else None
    )
    assert binary.kind == "binary" and f"--model_base_path={tmp_path}" in binary.argv
    assert "every address" in binary.description
    embedded = launch.build_command("taxi", tmp_path, rest_port=1, grpc_port=2, find=lambda _: None)
    assert embedded.kind == "embedded" and "--max-request-mb 64.0 --max-memory-mb 2048.0" in " ".join(embedded.argv)
    assert "TF_USE_LEGACY_KERAS" in embedded.environment
    with pytest.raises(ServingError, match="no podman or docker"):
        launch.build_command("taxi", tmp_path, kind="container", find=lambda _: None)
    with pytest.raises(ServingError, match="no tensorflow_model_server"):
        launch.build_command("taxi", tmp_path, kind="binary", find=lambda _: None)


BATCHING = ServingConfig(batching=BatchingConfig(enabled=True))


def test_the_binary_gets_the_flags_that_go_with_the_files(tmp_path: Path) -> None:
    """Batching too, and a list of versions that names the directory where the binary sees it."""
    base = tmp_path / "taxi"
    push.push_model(fake_model(tmp_path / "m"), base, "taxi", {}, BATCHING)
    argv = launch.build_command("taxi", base, kind="binary", find=lambda name: f"/bin/{name}").argv
    flags = dict(flag.removeprefix("--").partition("=")[::2] for flag in argv[1:])
    assert flags["port"] == "8500" and flags["rest_api_port"] == "8501"
    assert "enable_batching" in flags and Path(flags["batching_parameters_file"]).is_file()
    assert Path(flags["monitoring_config_file"]).is_file()
    text = Path(flags["model_config_file"]).read_text()
    (found,) = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    assert found.base_path == str(base)


def test_a_directory_that_was_moved_is_served_where_it_lies(tmp_path: Path) -> None:
    push.push_model(fake_model(tmp_path / "m"), tmp_path / "taxi", "taxi", {}, BATCHING)
    base = (tmp_path / "taxi").rename(tmp_path / "moved")
    argv = launch.build_command("moved", base, kind="binary", find=lambda name: f"/bin/{name}").argv
    assert {f"--model_base_path={base}", "--model_name=moved", "--enable_batching"} <= set(argv)
    assert not any(flag.startswith("--model_config_file") for flag in argv)


def test_a_container_engine_is_used_only_with_the_image(tmp_path: Path) -> None:
    """A stand-in for the engine: it has the image, or it has not."""
    engine = tmp_path / "podman"
    engine.write_text(f'#!/bin/sh\n[ "$3" = {server_files.IMAGE} ] && exit 0\nexit 1\n')
    engine.chmod(0o755)
    push.push_model(fake_model(tmp_path / "m"), tmp_path / "taxi", "taxi", {}, BATCHING)
    found = launch.build_command("taxi", tmp_path / "taxi", find=lambda name: str(engine) if name == "podman" else None)
    assert found.kind == "container" and "127.0.0.1:8501:8501" in found.argv
    shutil.copy(engine, tmp_path / "docker")
    both = launch.build_command("taxi", tmp_path / "taxi", kind="container", find=lambda name: str(tmp_path / name))
    assert both.argv == found.argv, "one order wherever an engine is looked for"
    image = found.argv.index(server_files.IMAGE)
    service = yaml.safe_load((tmp_path / "taxi" / "server" / "compose.yaml").read_text())["services"]["taxi"]
    assert service["image"] == found.argv[image] and service["command"] == list(found.argv[image + 1 :])
    assert "--enable_batching" in service["command"]
    engine.write_text("#!/bin/sh\nexit 1\n")
    assert (
        launch.build_command("taxi", tmp_path, find=lambda n: str(engine) if n == "podman" else None).kind == "embedded"
    )
