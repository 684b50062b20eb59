"""`taxiway ui`: pages about one root or several, served on this machine."""
