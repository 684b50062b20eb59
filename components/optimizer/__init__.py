"""Makes variants of a trained model, measures what each buys and what it costs, and chooses by the configuration."""

from components.optimizer.reproduction import Reproduction, reproduce

__all__ = ["Reproduction", "reproduce"]
