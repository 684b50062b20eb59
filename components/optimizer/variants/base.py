"""What a technique is: pre-check, transform, post-check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from components.contract import Task, serving_model_dir, training_dir
from components.optimizer.config import OptimizationConfig
from components.optimizer.job import OptimizerJob
from components.optimizer.report import Check


@dataclass(frozen=True)
class Workshop:
    """What every technique may read.

    Attributes:
        config: The whole configuration of the optimizer.
        task: `binary`, `multiclass` or `regression`.
        label: The label's column.
        trained: URI of the trainer's `Model` artifact.
        transform_graph: URI of Transform's graph.
        transformed_examples: URI of the transformed examples; techniques read the split `train` only.
        examples: URI of the raw examples.
        folder: Working folder of this run; `rows.tfrecord` there are the evaluation rows.
    """

    config: OptimizationConfig
    task: Task
    label: str
    trained: str
    transform_graph: str
    transformed_examples: str
    examples: str
    folder: str

    @classmethod
    def of(cls, job: OptimizerJob, folder: str) -> Workshop:
        """A job's workshop in a working folder."""
        return cls(
            config=job.config,
            task=job.task,
            label=job.label,
            trained=job.model,
            transform_graph=job.transform_graph,
            transformed_examples=job.transformed_examples,
            examples=job.examples,
            folder=folder,
        )


@dataclass(frozen=True)
class Piece:
    """A model on its way through the techniques, laid out like the trainer's `Model` artifact.

    Attributes:
        uri: Folder with `Format-Serving/`; `core/`, the model without parsing and transform, where it is known; as
            long as it can be trained on, `training/`; and `model.*` of a runtime other than TensorFlow.
    """

    uri: str

    @property
    def core(self) -> str:
        return str(Path(self.uri) / "core")

    @property
    def has_core(self) -> bool:
        return Path(self.core).is_dir()

    @property
    def has_servable(self) -> bool:
        return Path(self.servable).is_dir()

    @property
    def is_whole(self) -> bool:
        """Whether it answers serialized examples; else it is a core in a runtime of its own."""
        return self.has_servable and not self.foreign

    @property
    def foreign(self) -> str:
        """The file of a runtime other than TensorFlow: `model.tflite`, `model.onnx`; empty where there is none."""
        found = [p for p in Path(self.uri).glob("model.*") if p.suffix in (".tflite", ".onnx", ".plan")]
        return str(found[0]) if found else ""

    @property
    def servable(self) -> str:
        return serving_model_dir(self.uri)

    @property
    def trainable(self) -> bool:
        return Path(training_dir(self.uri)).is_dir()


def for_both(piece: Piece, made: Piece, rewrite: Callable[[str, str], None]) -> None:
    """Applies a rewriting of SavedModels, from folder to folder, to the whole path and to the core, if it is known."""
    rewrite(piece.servable, made.servable)
    if piece.has_core:
        rewrite(piece.core, made.core)


@dataclass(frozen=True)
class Technique:
    """One way to change a model.

    Attributes:
        name: Key in the registry and in the configuration.
        pre_check: Why it cannot be applied to this piece; empty where it can. Costs next to nothing.
        transform: Makes the new piece in the empty folder it is given.
        post_check: Looks at what was made and proves that the change is there. A failed check fails the variant.
        after: Techniques that change no answer, applied first; one that cannot be applied is left out.
    """

    name: str
    pre_check: Callable[[Workshop, Piece], str]
    transform: Callable[[Workshop, Piece, Piece], None]
    post_check: Callable[[Workshop, Piece, Piece], list[Check]]
    after: tuple[str, ...] = ()
