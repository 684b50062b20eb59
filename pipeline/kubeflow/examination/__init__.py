"""`taxiway doctor --target kfp --host URL`: what can be asked of a server, its storage and the image's registry."""
