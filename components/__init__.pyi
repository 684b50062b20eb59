# What `__init__.py` exports when it is asked for: mypy and editors read this file, and so does `export_lazily`.
from taxiway.components.baseline.component import Baseline
from taxiway.components.errors import (
    ConfigError,
    DataError,
    OptimizationError,
    ServingError,
    StoreError,
    TaxiwayError,
    TrainingError,
    UsageError,
)
from taxiway.components.evaluation.component import Evaluator
from taxiway.components.evaluation.config import EvaluationConfig, MetricSpec
from taxiway.components.example_gen.component import TabularExampleGen
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.explanation.component import ModelExplainer
from taxiway.components.explanation.config import ExplanationConfig
from taxiway.components.gates.component import DataGate
from taxiway.components.gates.config import GatesConfig
from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext
from taxiway.components.optimizer.component import ModelOptimizer
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.techniques import TechniqueSpec
from taxiway.components.refusal import Refusal
from taxiway.components.schema.component import CuratedSchema
from taxiway.components.serving.component import Pusher, ServingValidator
from taxiway.components.serving.config import ServingConfig
from taxiway.components.statistics.component import StatisticsGen
from taxiway.components.trainer.component import Trainer
from taxiway.components.training.config import ModelConfig, TrainingConfig
from taxiway.components.transform.component import Transform
from taxiway.components.transform.config import FeaturesConfig, PreprocessingConfig
from taxiway.components.tuner.component import Tuner
from taxiway.components.tuner.config import TuningConfig

__all__ = [
    "Baseline",
    "CandidateModel",
    "Check",
    "ConfigError",
    "CuratedSchema",
    "DataConfig",
    "DataError",
    "DataGate",
    "EvaluationConfig",
    "Evaluator",
    "ExplanationConfig",
    "FeaturesConfig",
    "GatesConfig",
    "LabelConfig",
    "MetricSpec",
    "ModelConfig",
    "ModelExplainer",
    "ModelOptimizer",
    "OptimizationConfig",
    "OptimizationError",
    "PreprocessingConfig",
    "Pusher",
    "Refusal",
    "ServingConfig",
    "ServingError",
    "ServingValidator",
    "StatisticsGen",
    "StoreError",
    "TabularExampleGen",
    "TaxiwayError",
    "Technique",
    "TechniqueContext",
    "TechniqueSpec",
    "Trainer",
    "TrainingConfig",
    "TrainingError",
    "Transform",
    "Tuner",
    "TuningConfig",
    "UsageError",
]
