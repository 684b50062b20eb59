"""What requests leave: the access log and the request log, written behind the requests."""
