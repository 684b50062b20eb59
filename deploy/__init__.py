"""What is needed to run Taxiway elsewhere: the container image."""
