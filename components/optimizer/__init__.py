"""Makes variants of a trained model, measures their speed, size and quality, and chooses one by configured limits."""

from taxiway.components.optimizer.reproduction import Reproduction, reproduce

__all__ = ["Reproduction", "reproduce"]
