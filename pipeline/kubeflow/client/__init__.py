"""Parts of the client of a Kubeflow Pipelines API server: sign-in, errors, uploads, logs."""
