"""What differs between the two stacks, each with the version that can drop it. No other module asks for a version.

| | `tf216` | `current` |
|---|---|---|
| TFX, TensorFlow | 1.16, 2.16 | 1.21, 2.21 |
| protobuf | 4.25 | 6.33 |
| pyarrow | 10 | 26; 18 where pip has chosen it |

What goes with `tf216`, to which the lower versions belong, says so. What users are told of the stacks is in
`pipeline/stacks.py`. Nothing heavy is imported here before it is asked for.
"""

from __future__ import annotations

import contextlib
import functools
from importlib import metadata
from typing import Any, Literal

from packaging.version import Version

Stack = Literal["tf216", "current"]


def name_stack() -> Stack:
    """The stack that is installed, by its TensorFlow."""
    return "current" if _is_at_least("tensorflow", "2.18") else "tf216"


def name_lock() -> str:
    """The file of the checkout that pins the installed stack, for messages. One lock is left when `tf216` goes."""
    return f"requirements-{name_stack()}.lock"


def make_json_options() -> dict[str, bool]:
    """Options of `json_format` with which fields that hold nothing are written too.

    protobuf 5.26 gave the option its new name. One name is enough when protobuf 4 (`tf216`) goes.
    """
    renamed = _is_at_least("protobuf", "5.26")
    return {"always_print_fields_with_no_presence" if renamed else "including_default_value_fields": True}


def is_repeated(field: Any) -> bool:
    """Whether a field of a message, by its descriptor, holds several values.

    protobuf 6.31 has a property for it, and warns of `label`, which later ones drop. The property is enough when
    protobuf 4 (`tf216`) goes.
    """
    return bool(field.is_repeated if _has_is_repeated() else field.label == field.LABEL_REPEATED)


@functools.cache  # asked for every field of a schema
def _has_is_repeated() -> bool:
    return _is_at_least("protobuf", "6.31")


def get_slice_queries(options: Any) -> Any:
    """Slices by SQL of a `tfdv.StatsOptions`; None where there are none.

    TFDV 1.21 is built without ZetaSQL and has no such option any more. The function goes with TFDV 1.16 (`tf216`).
    """
    return getattr(options, "experimental_slice_sqls", None)


def forbid_pickled_types() -> None:
    """Makes Arrow refuse a schema with a pickled Python type, by a `RuntimeError` that names the type's extension.

    pyarrow before 14.0.1 runs the pickle (CVE-2023-47248), and `pyarrow_hotfix` hinders it; later ones read such a
    column as an unknown type, with a warning, and before 21 a process can switch the old behaviour on. From 21 on no
    pyarrow knows such types: the file is still refused, since other programs would run it. The hotfix can go with
    pyarrow 10 (`tf216`).
    """
    if _is_at_least("pyarrow", "14.0.1"):
        _register_forbidden_type()
        return
    import pyarrow_hotfix

    pyarrow_hotfix.install()  # another package may have taken it out again


@functools.cache
def _register_forbidden_type() -> None:
    import pyarrow as pa

    class ForbiddenType(pa.ExtensionType):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(pa.null(), PICKLED_TYPE)

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage_type: Any, serialized: bytes) -> Any:
            raise RuntimeError(f"{PICKLED_TYPE} is refused")

    with contextlib.suppress(KeyError):  # there is none to take out from pyarrow 21 on
        pa.unregister_extension_type(PICKLED_TYPE)
    pa.register_extension_type(ForbiddenType())


PICKLED_TYPE = "arrow.py_extension_type"
"""Name of the extension types that hold a pickle."""


def find_serving_image() -> str:
    """TensorFlow's own image of its model server, which can load what the installed TensorFlow writes.

    2.16.1 belongs to TensorFlow 2.16 (`tf216`). 2.19.1 is the newest release, with no newer operation in what this
    project exports (`current`).
    """
    return f"tensorflow/serving:{metadata.version('tensorflow-serving-api')}"


def find_tensorrt_obstacle() -> str:
    """Why TensorFlow can neither make nor run TF-TRT models; empty where it can.

    TensorFlow 2.18 has dropped TF-TRT (tensorflow#87911): `tf.experimental.tensorrt` is still there, and fails. With
    TensorFlow 2.16 (`tf216`) go this function and the techniques that ask it.
    """
    if name_stack() == "tf216":
        return ""
    return (
        f"TensorFlow {metadata.version('tensorflow')} is built without TF-TRT (2.17 was the last with it): use the "
        "stack tf216 (TAXIWAY_STACK=tf216 make setup), or tensorrt_engine_*, which need no TensorFlow"
    )


def _is_at_least(package: str, version: str) -> bool:
    return Version(metadata.version(package)) >= Version(version)
