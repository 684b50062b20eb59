"""A technique (pre-check, transform, post-check), and the model and the settings that it is given."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from taxiway.components.contract import SERVING_DEFAULT, Task, serving_model_dir, training_dir
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.job import GivenModel, OptimizerJob
from taxiway.components.optimizer.report import Check
from taxiway.components.refusal import Refusal


@dataclass(frozen=True)
class TechniqueContext:
    """Settings, inputs and folders that every technique may read.

    Attributes:
        config: The whole configuration of the optimizer.
        task: `binary`, `multiclass` or `regression`.
        label: The label's column.
        trained: URI of the trainer's `Model` artifact.
        transform_graph: URI of Transform's graph.
        transformed_examples: URI of the transformed examples; techniques read the split `train` only.
        examples: URI of the raw examples.
        folder: Working folder of this run; `rows.tfrecord` there are the evaluation rows.
        given: What is known of a model that no pipeline of ours made; None where one did.
    """

    config: OptimizationConfig
    task: Task
    label: str
    trained: str
    transform_graph: str
    transformed_examples: str
    examples: str
    folder: str
    given: GivenModel | None = None

    @property
    def signature(self) -> str:
        """The signature that is optimized."""
        return self.given.signature if self.given else SERVING_DEFAULT

    @property
    def name(self) -> str:
        """What the model is called in repositories of other servers."""
        return self.given.name if self.given else self.label

    @classmethod
    def from_job(cls, job: OptimizerJob, folder: str) -> TechniqueContext:
        """The context of a job whose working folder is `folder`."""
        return cls(
            config=job.config,
            task=job.task,
            label=job.label,
            trained=job.model,
            transform_graph=job.transform_graph,
            transformed_examples=job.transformed_examples,
            examples=job.examples,
            folder=folder,
            given=job.given,
        )


@dataclass(frozen=True)
class CandidateModel:
    """A model to which techniques are applied, laid out like the trainer's `Model` artifact.

    Attributes:
        uri: Folder with `Format-Serving/`; `core/`, the model without parsing and transform, where that is known;
            `training/`, where the model can be trained on; and `model.*`, where its runtime is not TensorFlow.
    """

    uri: str

    @property
    def core(self) -> str:
        return str(Path(self.uri) / "core")

    @property
    def has_core(self) -> bool:
        return Path(self.core).is_dir()

    @property
    def is_all_core(self) -> bool:
        """Whether the whole SavedModel is its core: nothing is parsed, because a given model takes tensors."""
        return Path(self.core).is_symlink()

    @property
    def has_servable(self) -> bool:
        return Path(self.servable).is_dir()

    @property
    def is_whole(self) -> bool:
        """Whether it takes serialized examples. Otherwise it is a core alone, in a runtime other than TensorFlow."""
        return self.has_servable and not self.runtime_file

    @property
    def runtime_file(self) -> str | None:
        """The file of a runtime other than TensorFlow, where there is one: `model.tflite`, `.onnx` or `.plan`."""
        files = [path for path in Path(self.uri).glob("model.*") if path.suffix in (".tflite", ".onnx", ".plan")]
        return str(files[0]) if files else None

    @property
    def servable(self) -> str:
        return serving_model_dir(self.uri)

    @property
    def is_trainable(self) -> bool:
        return Path(training_dir(self.uri)).is_dir()


def rewrite_whole_and_core(
    candidate: CandidateModel, target: CandidateModel, rewrite: Callable[[str, str], Refusal | None]
) -> Refusal | None:
    """Rewrites the SavedModels of the whole path and, where it is known, of the core, from folder to folder.

    A core in which there is nothing to rewrite stays as it is: without one the core would not be measured, and no
    technique that converts it could follow.

    Returns:
        Why there is nothing to rewrite in the whole path; None where it was rewritten.
    """
    refusal = rewrite(candidate.servable, target.servable)
    if refusal:
        return refusal
    if candidate.is_all_core:
        link_core(target)
    elif candidate.has_core and rewrite(candidate.core, target.core):
        shutil.copytree(candidate.core, target.core)  # a link would say that the core is the whole SavedModel
    return None


def link_core(candidate: CandidateModel) -> None:
    """Says that the whole SavedModel of a candidate is its core."""
    Path(candidate.core).symlink_to(Path(candidate.servable).name)


@dataclass(frozen=True)
class Technique:
    """One way to change a model.

    Attributes:
        name: Key in the registry and in the configuration.
        pre_check: Check that refuses a candidate to which the technique cannot be applied. It looks at files only.
        transform: Function that writes the changed model into the folder of its third argument, which is empty. It
            gives a refusal where only the work itself shows that there is nothing to do.
        post_check: Function that reads what was written and verifies the change. A failed check fails the variant.
        after: Techniques to apply first, which change no answer or are what this one takes further; one that cannot be
            applied is left out.
    """

    name: str
    pre_check: Callable[[TechniqueContext, CandidateModel], Refusal | None]
    transform: Callable[[TechniqueContext, CandidateModel, CandidateModel], Refusal | None]
    post_check: Callable[[TechniqueContext, CandidateModel, CandidateModel], list[Check]]
    after: tuple[str, ...] = ()
