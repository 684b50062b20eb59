"""For all tests, however the suite was started."""

import signal

# What a script starts in the background inherits an ignored SIGINT, and so does what the tests start: no interruption
# would ever arrive there. A handler of Python's is the default action in children.
signal.signal(signal.SIGINT, signal.default_int_handler)
