"""How our steps use Apache Beam: its options, files spread over an engine's workers, a first look at the workers."""
