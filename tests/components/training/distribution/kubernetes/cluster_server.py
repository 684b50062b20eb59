"""A small Kubernetes in one process: an API server that speaks HTTP, and controllers and a kubelet behind it.

It knows JobSets and TFJobs, refuses objects that their definitions' own schemas do not allow, and runs pods as
processes, each on a host of its own (`hosts.py`) whose `/etc/hosts` knows the pods by the names that the controllers
give them. A claim is a folder, mounted where the pod wants it. `python -m ... SETTINGS.json` prints its port.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.components.training.hosts import Hosts, make_hosts

KINDS = {"jobsets": ("jobset.x-k8s.io", "v1alpha2"), "tfjobs": ("kubeflow.org", "v1")}
LABELS = {"jobsets": "jobset.sigs.k8s.io/jobset-name", "tfjobs": "training.kubeflow.org/job-name"}


@dataclass
class Pod:
    """A pod, and its process."""

    name: str
    owner: str
    plural: str
    kind: str
    index: int
    spec: dict[str, Any]
    host: int
    log: Path
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    process: subprocess.Popen[bytes] | None = None
    connections: int = 0
    lines: list[tuple[float, bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read_lines(self) -> list[tuple[float, bytes]]:
        """The lines of its log, and when each was seen first."""
        with self.lock:
            for line in self.log.read_bytes().splitlines(keepends=True)[len(self.lines) :]:
                if line.endswith(b"\n"):
                    self.lines.append((time.time(), line))
            return list(self.lines)

    @property
    def code(self) -> int | None:
        return self.process.poll() if self.process else None

    @property
    def phase(self) -> str:
        if self.process is None:
            return "Pending"
        return {None: "Running", 0: "Succeeded"}.get(self.code, "Failed")

    def describe(self) -> dict[str, Any]:
        labels = {LABELS[self.plural]: self.owner}
        metadata = {"name": self.name, "namespace": "team", "uid": self.uid, "labels": labels}
        metadata["annotations"] = {"process": str(self.process.pid if self.process else 0)}
        status: dict[str, Any] = {"phase": self.phase}
        if self.process is None:
            waiting = {"waiting": {"reason": "ImagePullBackOff", "message": f"Back-off pulling {self.name}"}}
            container = {"name": "training", "image": "", "imageID": "", "ready": False, "restartCount": 0}
            status["containerStatuses"] = [container | {"state": waiting}]
        return {"metadata": metadata, "spec": self.spec, "status": status}


class Cluster:
    """What the controllers and the kubelet know.

    Args:
        settings: `folder`; `claims`, a folder each; `installed` plurals; `forbidden` verbs such as `create jobsets`;
            `schemas`, the definitions of objects by plural; `hosts`, how many there are, 0: pods run on this one;
            `dead_image`, an image that cannot be pulled; `lines`, after so many, and so many more each time, the
            connection of a log breaks.
    """

    def __init__(self, settings: Mapping[str, Any], hosts: Hosts | None) -> None:
        self.settings, self.hosts, self.folder = settings, hosts, Path(settings["folder"])
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.pods: list[Pod] = []
        self.requests: list[str] = []
        self.lock = threading.RLock()

    def create(self, plural: str, manifest: dict[str, Any]) -> None:
        check_schema(manifest, self.settings.get("schemas", {}).get(plural))
        with self.lock:
            if (plural, manifest["metadata"]["name"]) in self.objects:
                raise FileExistsError(manifest["metadata"]["name"])
            (self.folder / f"{plural}.json").write_text(json.dumps(manifest, indent=1))
            self.objects[plural, manifest["metadata"]["name"]] = {**manifest, "status": {"restarts": 0}}
            self._make_pods(plural, manifest)

    def delete(self, plural: str, name: str) -> bool:
        with self.lock:
            found = self.objects.pop((plural, name), None)
            self._end_pods(name)
        return found is not None

    def tick(self) -> None:
        """What the controllers do all the time."""
        with self.lock:
            for (plural, name), item in list(self.objects.items()):
                if not item["status"].get("conditions"):
                    self._judge(plural, name, item)

    def _judge(self, plural: str, name: str, item: dict[str, Any]) -> None:
        pods = [pod for pod in self.pods if pod.owner == name]
        failed = [pod for pod in pods if pod.code]
        if any(pod.kind == "chief" and pod.code == 0 for pod in pods):
            self._end_pods(name)
            self._conclude(item, "Completed" if plural == "jobsets" else "Succeeded", "the chief is done")
        elif failed:
            self._restart(plural, name, item, failed)

    def _restart(self, plural: str, name: str, item: dict[str, Any], failed: list[Pod]) -> None:
        final = [pod for pod in failed if is_final(pod, item)]
        status, spec = item["status"], item["spec"]
        most = (spec.get("failurePolicy") or {}).get("maxRestarts", 0) if plural == "jobsets" else 10
        if final or status["restarts"] >= most:
            self._end_pods(name)
            lost = (final or failed)[0]
            self._conclude(item, "Failed", f"pod {lost.name} ended with exit code {lost.code}")
            return
        status["restarts"] += 1
        again = [pod for pod in self.pods if pod.owner == name] if plural == "jobsets" else failed
        for pod in again:
            self._end_pod(pod)
            self._start(pod)

    @staticmethod
    def _conclude(item: dict[str, Any], kind: str, message: str) -> None:
        item["status"]["conditions"] = [{"type": kind, "status": "True", "message": message}]

    def _make_pods(self, plural: str, manifest: dict[str, Any]) -> None:
        for kind, index, name, spec in (list_jobset_pods if plural == "jobsets" else list_tfjob_pods)(manifest):
            host = len(self.pods)
            owner = manifest["metadata"]["name"]
            self.pods.append(Pod(name, owner, plural, kind, index, spec, host, self.folder / f"{name}.log"))
        self._name_pods(manifest["metadata"]["name"])
        for pod in self.pods:
            if pod.process is None:
                self._start(pod)

    def _name_pods(self, owner: str) -> None:
        """The headless service."""
        for pod in self.pods if self.hosts else ():
            known = Path("/etc/netns", self.hosts.name_namespace(pod.host), "hosts")  # type: ignore[union-attr]
            names = (f"{self.hosts.address(p.host)} {p.name}.{owner} {p.name}" for p in self.pods)  # type: ignore[union-attr]
            known.write_text("127.0.0.1 localhost\n" + "\n".join(names) + "\n")

    def _start(self, pod: Pod) -> None:
        container = pod.spec["containers"][0]
        if container["image"] == self.settings.get("dead_image"):
            return
        variables = {item["name"]: item["value"] for item in container["env"] if "value" in item}
        variables |= {"JOB_COMPLETION_INDEX": str(pod.index)} if pod.plural == "jobsets" else {}
        environment = {**os.environ, **variables, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        command = [*container["command"], *container.get("args", ())]
        if self.hosts:
            mounts = [f"mkdir -p {at} && mount --bind {claim} {at}" for claim, at in self._list_mounts(pod.spec)]
            command = ["sh", "-c", " && ".join([*mounts, 'exec "$0" "$@"']), *command]
            command = ["ip", "netns", "exec", self.hosts.name_namespace(pod.host), *command]
        with pod.log.open("ab") as out:
            pod.process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment,
                start_new_session=True,
            )  # fmt: skip

    def _list_mounts(self, spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in spec.get("volumes", ())}
        for mount in spec["containers"][0].get("volumeMounts", ()):
            yield self.settings["claims"][claims[mount["name"]]], mount["mountPath"]

    def _end_pods(self, owner: str) -> None:
        mine = [pod for pod in self.pods if pod.owner == owner]
        for pod in mine:
            if pod.process and pod.code is None:
                pod.process.send_signal(signal.SIGTERM)
        threading.Thread(target=self._await_pods, args=(mine,), daemon=True).start()

    def _await_pods(self, pods: list[Pod]) -> None:
        deadline = time.monotonic() + max((p.spec.get("terminationGracePeriodSeconds", 30) for p in pods), default=0)
        while time.monotonic() < deadline and any(pod.process and pod.code is None for pod in pods):
            time.sleep(0.05)
        for pod in pods:
            self._end_pod(pod)
            with self.lock:
                if (pod.plural, pod.owner) not in self.objects and pod in self.pods:
                    self.pods.remove(pod)

    @staticmethod
    def _end_pod(pod: Pod) -> None:
        if pod.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pod.process.pid, signal.SIGKILL)
            pod.process.wait()


def is_final(pod: Pod, item: Mapping[str, Any]) -> bool:
    """Whether the object's own rules take the exit code for final."""
    if pod.plural == "tfjobs":  # restartPolicy ExitCode: 1 to 127 is final, what is above is not
        return pod.code is not None and 1 <= pod.code < 128
    jobs = {job["name"]: job["template"]["spec"] for job in item["spec"]["replicatedJobs"]}
    rules = jobs[pod.kind].get("podFailurePolicy", {}).get("rules", ())
    return any(pod.code in rule["onExitCodes"]["values"] for rule in rules)


def list_jobset_pods(manifest: Mapping[str, Any]) -> Iterator[tuple[str, int, str, dict[str, Any]]]:
    """Kind, index, name and spec of each pod, as JobSet's controller names them."""
    name = manifest["metadata"]["name"]
    for job in manifest["spec"]["replicatedJobs"]:
        spec = job["template"]["spec"]
        for index in range(spec["completions"]):
            yield job["name"], index, f"{name}-{job['name']}-0-{index}", spec["template"]["spec"]


def list_tfjob_pods(manifest: Mapping[str, Any]) -> Iterator[tuple[str, int, str, dict[str, Any]]]:
    """The same of the training operator, which writes TF_CONFIG into the container."""
    name, replicas = manifest["metadata"]["name"], manifest["spec"]["tfReplicaSpecs"]
    members = {k.lower(): [f"{name}-{k.lower()}-{i}:2222" for i in range(r["replicas"])] for k, r in replicas.items()}
    for kind, replica in replicas.items():
        for index in range(replica["replicas"]):
            spec = json.loads(json.dumps(replica["template"]["spec"]))
            task = {"cluster": members, "task": {"type": kind.lower(), "index": index}, "environment": "cloud"}
            spec["containers"][0]["env"].append({"name": "TF_CONFIG", "value": json.dumps(task)})
            yield kind.lower(), index, f"{name}-{kind.lower()}-{index}", spec


def check_schema(manifest: Mapping[str, Any], path: str | None) -> None:
    """What the API server checks of a custom object; unknown fields too, which it would drop without a word.

    Raises:
        ValueError: the object is not what its definition says.
    """
    if not path:
        return
    import jsonschema

    errors = list(jsonschema.Draft7Validator(json.loads(Path(path).read_text())).iter_errors(manifest))
    if errors:
        raise ValueError("; ".join(f"{'.'.join(map(str, e.path))}: {e.message[:200]}" for e in errors[:5]))


class Handler(BaseHTTPRequestHandler):
    """The API server."""

    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def log_message(self, *_: Any) -> None:
        """Requests are kept by the cluster."""

    def do_GET(self) -> None:
        self._route("GET")

    def do_POST(self) -> None:
        self._route("POST")

    def do_DELETE(self) -> None:
        self._route("DELETE")

    def _route(self, method: str) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        for pattern, answer in ROUTES:
            if found := re.fullmatch(pattern, f"{method} {url.path}"):
                self.cluster.requests.append(f"{method} {url.path}")
                try:
                    answer(self, body, parse_qs(url.query), *found.groups())
                except ValueError as error:
                    self.send(422, {"message": str(error)})
                except FileExistsError as error:
                    self.send(409, {"message": f"{error} already exists"})
                return
        self.send(404, {"message": f"no route for {method} {url.path}"})

    def send(self, code: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def list_resources(self, _body: Any, _query: Any, group: str, version: str) -> None:
        known = [plural for plural, place in KINDS.items() if place == (group, version)]
        installed = [plural for plural in known if plural in self.cluster.settings["installed"]]
        if not installed:
            self.send(404, {"message": "the server could not find the requested resource"})
            return
        resources = [{"name": p, "kind": p, "namespaced": True, "singularName": "", "verbs": []} for p in installed]
        self.send(200, {"kind": "APIResourceList", "groupVersion": f"{group}/{version}", "resources": resources})

    def review_access(self, body: Any, _query: Any) -> None:
        asked = body["spec"]["resourceAttributes"]
        words = f"{asked['verb']} {'/'.join(filter(None, (asked['resource'], asked.get('subresource'))))}"
        self.send(201, {**body, "status": {"allowed": words not in self.cluster.settings.get("forbidden", ())}})

    def create_object(self, body: Any, _query: Any, plural: str) -> None:
        self.cluster.create(plural, body)
        self.send(201, body)

    def read_object(self, _body: Any, _query: Any, plural: str, name: str) -> None:
        found = self.cluster.objects.get((plural, name))
        self.send(200 if found else 404, found or {"message": "not found"})

    def delete_object(self, _body: Any, _query: Any, plural: str, name: str) -> None:
        found = self.cluster.delete(plural, name)
        self.send(200 if found else 404, {"status": "Success"} if found else {"message": "not found"})

    def list_pods(self, _body: Any, query: Any) -> None:
        label, _, owner = query.get("labelSelector", [""])[0].partition("=")
        items = [pod.describe() for pod in self.cluster.pods if pod.owner == owner and LABELS[pod.plural] == label]
        self.send(200, {"kind": "PodList", "apiVersion": "v1", "items": items})

    def follow_log(self, _body: Any, query: Any, name: str) -> None:
        pod = next((pod for pod in self.cluster.pods if pod.name == name), None)
        if pod is None:
            self.send(404, {"message": f"pods {name} not found"})
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        since = time.time() - int(query["sinceSeconds"][0]) if "sinceSeconds" in query else 0.0
        pod.connections += 1
        sent, most = 0, self.cluster.settings.get("lines", 1_000_000) * pod.connections
        while True:
            ended = pod.code is not None
            lines = [(at, line) for at, line in pod.read_lines() if at >= since]
            for at, line in lines[sent:most]:
                self._send_chunk(f"{stamp_time(at)} ".encode() + line)
            sent = min(len(lines), most)
            if sent == most:
                self.connection.shutdown(socket.SHUT_RDWR)  # in the middle of the answer
                return
            if ended:
                break
            time.sleep(0.1)
        self._send_chunk(b"")

    def _send_chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()


def stamp_time(seconds: float) -> str:
    """As a kubelet does, which drops the zeros at the end."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}".rstrip("0").rstrip(".") + "Z"


_OBJECTS = r"/apis/[\w.-]+/\w+/namespaces/team/(jobsets|tfjobs)"
ROUTES = (
    (r"GET /apis/([\w.-]+)/(\w+)/?", Handler.list_resources),
    (r"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", Handler.review_access),
    (rf"POST {_OBJECTS}", Handler.create_object),
    (rf"GET {_OBJECTS}/([\w.-]+)", Handler.read_object),
    (rf"DELETE {_OBJECTS}/([\w.-]+)", Handler.delete_object),
    (r"GET /api/v1/namespaces/team/pods", Handler.list_pods),
    (r"GET /api/v1/namespaces/team/pods/([\w.-]+)/log", Handler.follow_log),
)


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.ExitStack() as stack:
        count = settings.get("hosts", 0)
        hosts = stack.enter_context(make_hosts(count, Path(settings["folder"]))) if count else None
        Handler.cluster = Cluster(settings, hosts)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_port, flush=True)
        try:
            while True:
                Handler.cluster.tick()
                time.sleep(0.1)
        finally:
            Path(settings["folder"], "requests.json").write_text(json.dumps(Handler.cluster.requests))
            for pod in list(Handler.cluster.pods):
                Cluster._end_pod(pod)


if __name__ == "__main__":
    main()
