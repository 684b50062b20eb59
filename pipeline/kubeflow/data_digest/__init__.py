"""The step before ExampleGen: what the data holds now, for the backend's cache."""
