"""What a server's refusals become: errors that say what was asked, in the server's own words, and what to do."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator

import kfp_server_api
from urllib3.exceptions import HTTPError

from taxiway.components.errors import TaxiwayError
from taxiway.pipeline.kubeflow.client.credentials import SIGN_IN_REMEDY


class KubeflowServerError(TaxiwayError):
    """The API server cannot be reached, or refuses."""


class KubeflowUnavailableError(KubeflowServerError):
    """It does not answer now, or not usably; it may in a minute."""


class KubeflowSignInError(KubeflowUnavailableError):
    """It does not know who asks: there is no token and no cookie, or they have expired."""


_TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
_REMEDIES = {
    401: SIGN_IN_REMEDY,
    403: "Whoever signed in may not do this: check --namespace and --service-account.",
    404: "Check the name, and --namespace.",
}


@contextlib.contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Turns what the client raises into a message that says what to do.

    Args:
        what: What was asked of which server, the start of the message.

    Raises:
        KubeflowServerError: The client raised an error of the server or of the connection.
    """
    try:
        yield
    except kfp_server_api.ApiException as error:
        raise _make_server_error(what, error) from error
    except HTTPError as error:
        raise KubeflowUnavailableError(
            f"{what}: no answer ({type(error).__name__}).",
            "Check the URL; for a cluster: kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80",
        ) from error
    except TimeoutError as error:
        raise KubeflowUnavailableError(f"{what}: {error}") from error
    except ValueError as error:
        raise KubeflowServerError(f"{what}: {error}") from error


def _make_server_error(what: str, error: kfp_server_api.ApiException) -> KubeflowServerError:
    """The server's own words, without the headers that the client would print with them."""
    message = _read_message(error.body.decode() if isinstance(error.body, bytes) else error.body or "")
    told = f"{what}: {error.status} {error.reason}".rstrip() + (f": {message[:2000]}" if message else "")
    if error.status == 401:
        return KubeflowSignInError(told, SIGN_IN_REMEDY)
    kind = KubeflowUnavailableError if error.status in _TEMPORARY else KubeflowServerError
    return kind(told, _REMEDIES.get(error.status, ""))


def _read_message(body: str) -> str:
    try:
        words = json.loads(body)
        return str(words.get("message") or words.get("error_message") or words.get("error") or body)
    except (ValueError, AttributeError):
        return body


@contextlib.contextmanager
def silence_client() -> Iterator[None]:
    """The client prints links to standard output and warns of its own version."""
    level = logging.root.level
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.root.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logging.root.setLevel(level)
