"""The executor of the curated schema: the file that a person has curated, or the inferred one, to the artifact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from taxiway.components import schema_file, tfx_artifacts
from taxiway.components.long_properties import read_text
from taxiway.components.processes import progress
from taxiway.components.schema import curated


class SchemaExecutor(base_executor.BaseExecutor):
    """Hands on the curated schema; where there is none, infers it and leaves it beside the configuration."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        path = Path(exec_properties["path"]) if exec_properties["path"] else None
        text = exec_properties["edited"] or (path.read_text(encoding="utf-8") if path and path.exists() else "")
        if text:
            curated.parse_schema(text, str(path or "the curated schema"))
        else:
            label, examples = exec_properties["label"], artifact_utils.get_single_instance(input_dict["examples"])
            kinds = json.loads(read_text(examples, "kinds") or "{}")
            inferred = curated.infer_schema(
                tfx_artifacts.read_statistics(input_dict), label, tfx_artifacts.read_classes(input_dict), kinds
            )
            fingerprint = examples.get_string_custom_property("input_fingerprint")
            text = curated.format_schema(inferred, exec_properties["configuration"], fingerprint, label)
            _write_beside_configuration(path, text)
        uri = artifact_utils.get_single_uri(output_dict["schema"])
        Path(uri).mkdir(parents=True, exist_ok=True)
        Path(uri, schema_file.SCHEMA_FILE).write_text(text, encoding="utf-8")


def _write_beside_configuration(path: Path | None, text: str) -> None:
    try:
        if path and curated.write_if_absent(path, text):
            progress.report_progress("SchemaGen", f"inferred {path}: curate it and commit it")
    except OSError as error:  # a read-only configuration folder costs the file, not the run
        progress.report_progress(
            "SchemaGen", f"inferred, but {path} cannot be written ({error.strerror}); the artifact has it"
        )
