"""How the nodes of a run are launched: the runners, the order, the processes."""
