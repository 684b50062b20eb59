"""Small pipelines whose containers are Python one-liners: what the emulator does, without TFX."""

from __future__ import annotations

import copy
from typing import Any

import yaml

WRITE = """
import json, os, sys
invocation = json.loads(sys.argv[1])
outputs = {}
for key, found in invocation["outputs"]["artifacts"].items():
    if key == "executor-logs":
        continue
    artifact = found["artifacts"][0]
    path = artifact.get("customPath") or artifact["uri"].replace("minio://", "/minio/")
    os.makedirs(path, exist_ok=True)
    open(os.path.join(path, "data"), "w").write(sys.argv[2])
    outputs[key] = {"artifacts": [{"uri": artifact["uri"], "metadata": {"passed": float(sys.argv[3])}}]}
json.dump({"artifacts": outputs}, open(invocation["outputs"]["outputFile"], "w"))
"""
COPY = """
import json, os, sys
invocation = json.loads(sys.argv[1])
[source] = invocation["inputs"]["artifacts"]["model"]["artifacts"]
[target] = invocation["outputs"]["artifacts"]["copy"]["artifacts"]
assert source["type"] == {"instanceSchema": ""} or "artifactId" in source, source
path = {"source": source, "target": target}
path = {k: a.get("customPath") or a["uri"].replace("minio://", "/minio/") for k, a in path.items()}
os.makedirs(path["target"])
text = open(os.path.join(path["source"], "data")).read()
open(os.path.join(path["target"], "data"), "w").write(text + " copied")
"""
TYPE = {"artifactType": {"instanceSchema": "title: tfx.Model\ntype: object\n"}}


def component(name: str, inputs: dict[str, Any] | None = None, outputs: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "executorLabel": f"{name}_executor",
        "inputDefinitions": inputs or {},
        "outputDefinitions": {"artifacts": dict.fromkeys(outputs, TYPE)},
    }


def container(*arguments: str) -> dict[str, Any]:
    return {"container": {"image": "image:1", "command": ["python", "-c"], "args": list(arguments)}}


def two_tasks() -> dict[str, Any]:
    """`make` writes a model; `use` copies it, where the model passed."""
    text = {"parameterType": "STRING"}
    return {
        "pipelineInfo": {"name": "sample"},
        "schemaVersion": "2.1.0",
        "components": {
            "make": component("make", {"parameters": {"text": text, "run": text}}, ("model",)),
            "use": component("use", {"artifacts": {"model": TYPE}}, ("copy",)),
        },
        "deploymentSpec": {
            "executors": {
                "make_executor": container(WRITE, "{{$}}", "{{$.inputs.parameters['text']}}", "1"),
                "use_executor": container(COPY, "{{$}}"),
            }
        },
        "root": {
            "inputDefinitions": {"parameters": {"words": {**text, "defaultValue": "hello"}}},
            "dag": {
                "tasks": {
                    "make": {
                        "taskInfo": {"name": "make"},
                        "componentRef": {"name": "make"},
                        "cachingOptions": {"enableCache": True},
                        "inputs": {
                            "parameters": {
                                "text": {"componentInputParameter": "words"},
                                "run": {"runtimeValue": {"constant": "fixed"}},
                            }
                        },
                    },
                    "use": {
                        "taskInfo": {"name": "use"},
                        "componentRef": {"name": "use"},
                        "cachingOptions": {"enableCache": True},
                        "dependentTasks": ["make"],
                        "triggerPolicy": {
                            "condition": "inputs.artifacts['model'].artifacts[0].metadata['passed'] == 1.0"
                        },
                        "inputs": {
                            "artifacts": {
                                "model": {"taskOutputArtifact": {"producerTask": "make", "outputArtifactKey": "model"}}
                            }
                        },
                    },
                }
            },
        },
    }


def text(spec: dict[str, Any], **executors: dict[str, Any]) -> str:
    """As a file; `executors` are what the platform's document asks, by task."""
    documents: list[Any] = [copy.deepcopy(spec)]
    if executors:
        asked = {f"{name}_executor": config for name, config in executors.items()}
        documents.append({"platforms": {"kubernetes": {"deploymentSpec": {"executors": asked}}}})
    return yaml.safe_dump_all(documents)
