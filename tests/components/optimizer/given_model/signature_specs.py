"""Signatures without a model behind them."""

from taxiway.components.optimizer.given_model.signatures import SignatureSpec, TensorSpec


def make_signature(*inputs, name="serving_default", outputs=(("scores", "float32", (None, 3)),)):
    """A signature of inputs `(name, dtype, shape)`."""
    specs = ({spec[0]: TensorSpec(*spec) for spec in group} for group in (inputs, outputs))
    return SignatureSpec(name, *specs)
