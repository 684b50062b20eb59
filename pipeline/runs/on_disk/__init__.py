"""What a run has on the disk: its locked root, its folder, its temporary files, and a disk that is full."""
