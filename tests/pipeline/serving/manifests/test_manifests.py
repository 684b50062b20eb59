"""`taxiway serve --manifest`: what Kubernetes and KServe are given, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from taxiway.components.errors import UsageError
from taxiway.components.serving.config import BatchingConfig, ServingConfig
from taxiway.components.serving.versions import push, server_files
from taxiway.pipeline import cli
from taxiway.pipeline.serving.manifests.storage import parse_storage
from tests.components.serving.conftest import fake_model
from tests.pipeline.serving.manifests.kubernetes_types import check_object

VOLUME = ("--storage", "pvc://taxiway/serving/taxi")
BUCKET = ("--storage", "s3://bucket/serving/taxi")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    tmp_path = tmp_path_factory.mktemp("root")
    config = ServingConfig(batching=BatchingConfig(enabled=True))
    for number in range(2):
        push.push_model(
            fake_model(tmp_path / str(number), b"%d" % number), tmp_path / "serving" / "taxi", "taxi", {}, config
        )
    return tmp_path


@pytest.fixture()
def write(root, capsys):
    """The objects that a command printed, all of them accepted; the notes on standard error."""

    def call(*arguments):
        code = cli.run(["serve", "--root", str(root), "--manifest", *arguments])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        documents = list(yaml.safe_load_all(printed.out))
        assert [problem for document in documents for problem in check_object(document)] == []
        call.notes = " ".join(printed.err.split())
        return documents

    return call


def list_numbers(root: Path) -> list[int]:
    return sorted(int(each.name) for each in (root / "serving" / "taxi").iterdir() if each.name.isdigit())


def test_a_deployment_follows_what_a_push_writes(write, root):
    deployment, service = write("kubernetes", *VOLUME)
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = container["volumeMounts"]
    assert (mount["mountPath"], mount["subPath"], mount["readOnly"]) == ("/models/taxi", "serving/taxi", True)
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "taxiway"
    # The paths of the flags are those at which the mounted folder holds the files.
    settings = server_files.read_settings(push.ServingDirectory(root / "serving" / "taxi"))
    assert settings.batching.enabled and "--enable_batching" in container["args"]
    for flag in container["args"]:
        path = flag.partition("=")[2]
        if path.startswith("/"):
            assert (root / "serving" / "taxi" / Path(path).relative_to("/models/taxi")).is_file()
    config = (root / "serving" / "taxi" / "server" / "models.config").read_text()
    parsed = text_format.Parse(config, model_server_config_pb2.ModelServerConfig())
    assert parsed.model_config_list.config[0].base_path == mount["mountPath"]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_pods_pass_the_restricted_standard(write):
    pod = write("kubernetes", *VOLUME)[0]["spec"]["template"]["spec"]
    context = pod["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}


def test_a_pod_takes_requests_when_a_version_is_loaded_and_warm(write):
    container = write("kubernetes", *VOLUME)[0]["spec"]["template"]["spec"]["containers"][0]
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/v1/models/taxi/metadata", "port": "rest"}
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"grpc": 8500, "rest": 8501}


def test_a_deployment_on_a_bucket_follows_its_models_config(write):
    (container,) = write("kubernetes", "--storage", "gs://bucket/serving/taxi")[0]["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["args"][0] == "--model_config_file=gs://bucket/serving/taxi/server/models.config"
    assert "volumeMounts" not in container


def test_an_inference_service_on_a_volume_follows_the_pushes(write):
    (service,) = write("kserve", *VOLUME, "--namespace", "team", "--replicas", "2")
    predictor = service["spec"]["predictor"]
    assert predictor["model"]["storageUri"] == "pvc://taxiway/serving/taxi" and "args" not in predictor["model"]
    assert predictor["model"]["modelFormat"]["name"] == "tensorflow" and predictor["minReplicas"] == 2
    assert service["metadata"]["namespace"] == "team" and "annotations" not in service["metadata"]


def test_on_a_bucket_a_new_version_is_a_new_revision(write, root):
    (service,) = write("kserve", *BUCKET, "--service-account", "reader")
    assert service["metadata"]["annotations"] == {"taxiway/version": str(list_numbers(root)[-1])}
    assert service["spec"]["predictor"]["serviceAccountName"] == "reader" and "after each push" in write.notes


def test_a_canary_serves_one_version_and_leaves_the_other_revision_its_own(write, root):
    older, newer = list_numbers(root)
    maps = []
    for version in (older, newer):
        config_map, service = write("kserve", *VOLUME, "--version", str(version), "--canary", "10")
        text = config_map["data"]["models.config"]
        (config,) = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
        assert (config.name, config.base_path) == (service["metadata"]["name"], "/mnt/models")
        assert list(config.model_version_policy.specific.versions) == [version] and "push" not in text
        predictor = service["spec"]["predictor"]
        assert predictor["canaryTrafficPercent"] == 10
        assert predictor["volumes"][0]["configMap"]["name"] == config_map["metadata"]["name"]
        (mount,) = predictor["model"]["volumeMounts"]
        assert predictor["model"]["args"] == [f"--model_config_file={mount['mountPath']}/models.config"]
        maps.append(config_map["metadata"]["name"])
    assert len(set(maps)) == 2
    assert write("kserve", *VOLUME, "--canary", "0")[0]["metadata"]["name"] == maps[1]  # the live version


def test_names_that_kubernetes_takes(write):
    names = {"Taxi Fares (USD)": "taxi-fares--usd", "2024": "model-2024", "é": "model", "x" * 90: "x" * 50}
    for name, made in names.items():
        for kind in ("kserve", "kubernetes"):
            assert write(kind, *VOLUME, "--name", name)[-1]["metadata"]["name"] == made


def test_a_model_that_is_not_on_this_machine(tmp_path, capsys):
    given = ["serve", "--root", str(tmp_path), "--manifest", "kserve", *BUCKET]
    assert cli.run([*given, "--model", "fares", "-o", str(tmp_path / "x.yaml")]) == 0
    (service,) = yaml.safe_load_all((tmp_path / "x.yaml").read_text())
    assert service["metadata"]["name"] == "fares" and not check_object(service)
    assert "not replaced" in " ".join(capsys.readouterr().err.split())
    for options, said in (((), "--model"), (("--model", "fares", "--canary", "5"), "--version NUMBER")):
        assert cli.run([*given, *options]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("kserve",), "Give --storage pvc://"),
        (("kserve", "--storage", "/mnt/serving"), "is no address"),
        (("kserve", "--storage", "minio://bucket/x"), "is no address"),
        (("kserve", "--storage", "pvc://Claim/x"), "no name of a claim"),
        (("kserve", "--storage", "pvc://claim/../x"), "is no address"),
        (("kserve", *VOLUME, "--version", "7"), "There is no version 7"),
        (("kserve", *VOLUME, "--canary", "101"), "--canary"),
        (("kubernetes", *VOLUME, "--canary", "10"), "has no --version and no --canary"),
        (("kubernetes", *BUCKET), "does not read s3://"),
        (("kserve", *VOLUME, "--namespace", "My_Team"), "--namespace 'My_Team' is no name"),
        (("kubernetes", *VOLUME, "--service-account", "a/b"), "--service-account 'a/b' is no name"),
    ],
)
def test_what_cannot_work_is_refused(root, capsys, options, said):
    assert cli.run(["serve", "--root", str(root), "--manifest", *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_options_for_a_cluster_start_no_server_here(root, capsys):
    for options in (VOLUME, ("--version", "3"), ("-o", "x.yaml")):
        assert cli.run(["serve", "--root", str(root), *options]) == 2
        assert "Add --manifest" in " ".join(capsys.readouterr().err.split())


def test_parts_of_an_address():
    assert parse_storage("pvc://taxiway").uri == "pvc://taxiway"
    assert parse_storage("gs://b//serving/taxi/").uri == "gs://b/serving/taxi"
    with pytest.raises(UsageError):
        parse_storage("gs://")


def test_the_file_beside_the_versions_is_accepted_too(root):
    text = (root / "serving" / "taxi" / "server" / "kubernetes.yaml").read_text()
    assert [problem for document in yaml.safe_load_all(text) for problem in check_object(document)] == []


def test_the_check_finds_what_is_wrong(write):
    """A field that there is not, one of another type, one that is missing: at every depth, of both makers."""
    (service,) = write("kserve", *VOLUME)
    deployment = write("kubernetes", *VOLUME)[0]

    def change(document, path, value):
        changed = copy.deepcopy(document)
        inner = changed
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return check_object(changed)

    predictor = ("spec", "predictor")
    container = ("spec", "template", "spec", "containers", 0)
    assert change(service, (*predictor, "canaryTraficPercent"), 10)
    assert change(service, (*predictor, "canaryTrafficPercent"), "10")
    assert change(service, (*predictor, "model", "modelFormat"), {"version": "2"})
    assert change(service, (*predictor, "model", "storageURI"), "x")
    assert change(service, ("metadata", "name"), "2024")
    assert change(service, ("kind",), "InferenceServices")
    assert change(deployment, (*container, "readinessProbe", "httpGet"), {"path": "/"})
    assert change(deployment, (*container, "args"), "--x")
    assert change(deployment, (*container, "ports", 0, "containerPort"), "8500")
    assert change(deployment, ("spec", "selector"), None)
    assert change(deployment, ("spec", "replica"), 1)
