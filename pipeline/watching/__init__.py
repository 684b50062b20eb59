"""`taxiway watch`: a new span, a schedule or a bad verdict starts a run, once each, one after the other."""
