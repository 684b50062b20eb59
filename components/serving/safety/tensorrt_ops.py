"""Ops of TF-TRT models. They run engines, and an engine is native code of whoever built it.

It lies in a file (`InitializeTRTResource` reads it) or in an attribute of `TRTEngineOp`, and nothing can tell what it
does: NVIDIA's security guide calls loading a stranger's engine the same as running untrusted code. So these ops are not
on the list, for the optimizer's own models either: a servable cannot prove who built it. Who knows it allows them by
name.
"""

from __future__ import annotations

from taxiway.components.stack_seam import find_tensorrt_obstacle

ENGINE_FILE = "InitializeTRTResource"
"""Reads an engine; where it is allowed, its file has to be an asset of the model all the same."""
OPS = ("CreateTRTResourceHandle", ENGINE_FILE, "TRTEngineOp")


def find_problem(named: bool) -> str:
    """Why one of the ops may not run; empty where it may.

    Args:
        named: Whether the configuration allows it.
    """
    obstacle = find_tensorrt_obstacle()
    if obstacle:
        return f"cannot run here: {obstacle}"
    if named:
        return ""
    remedy = f"if you built it, serving.allowed_ops (--allow-op) takes {', '.join(OPS)}"
    return f"belongs to a TensorRT engine, which is native code: {remedy}"
