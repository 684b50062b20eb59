"""A cluster of pods that the training step makes: what it asks Kubernetes for, and what it does until the end."""
