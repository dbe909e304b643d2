"""What a run leaves behind: its history and its folder, and checkpoints to go on from."""
