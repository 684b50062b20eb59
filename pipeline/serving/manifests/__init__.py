"""`taxiway serve --manifest`: Kubernetes objects that serve the versions where the pipeline pushes them."""
