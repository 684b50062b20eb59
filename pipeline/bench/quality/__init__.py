"""`taxiway bench quality`: the built-in model against gradient-boosted trees and a linear model, on public tables."""

from taxiway.pipeline.bench.quality.benchmark import main

__all__ = ["main"]
