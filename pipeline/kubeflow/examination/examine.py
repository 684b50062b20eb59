"""Everything that `taxiway doctor --target kfp --host URL` asks of a server."""

from __future__ import annotations

from taxiway.pipeline.images import resolve_images
from taxiway.pipeline.kubeflow.api_client import KubeflowServer
from taxiway.pipeline.kubeflow.client.server_errors import KubeflowServerError
from taxiway.pipeline.kubeflow.examination import server as servers
from taxiway.pipeline.kubeflow.examination.finding import ServerFinding
from taxiway.pipeline.kubeflow.examination.image import check_image
from taxiway.pipeline.kubeflow.examination.storage import check_pipeline_root
from taxiway.pipeline.resources import KubeflowConfig


def examine_server(host: str, namespace: str, config: KubeflowConfig) -> list[ServerFinding]:
    """What a run there would find.

    Args:
        host: URL of the server.
        namespace: Namespace, in installations with several users.
        config: Section `resources.kubeflow` of the configuration.

    Raises:
        ConfigError: An image is of another stack.
        UsageError: The host is no URL.
    """
    config = resolve_images(config)
    findings = _examine_api(host, namespace)
    images = sorted(
        {config.default.image or config.image, *(each.image for each in config.components.values() if each.image)}
    )
    images = images if len(images) == 1 else [image for image in images if image]
    findings += [check_image(image, config.default.image_pull_secrets) for image in images]
    return [*findings, check_pipeline_root(config.pipeline_root, namespace)]


def _examine_api(host: str, namespace: str) -> list[ServerFinding]:
    try:
        server = KubeflowServer(host, namespace)
        health = server.fetch_json("its state", servers.HEALTH_PATH)
    except KubeflowServerError as error:
        return [ServerFinding(name="API server", state="failed", detail=error.problem, remedy=error.remedy)]
    findings = list(servers.check_health(health))
    if any(finding.state == "failed" for finding in findings):
        return findings
    named = list(servers.check_namespace(health, namespace))
    if any(finding.state == "failed" for finding in named):
        return [*findings, *named]
    return [*findings, *named, *servers.check_api(server)]
