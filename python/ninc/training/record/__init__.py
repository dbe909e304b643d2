"""What a run writes down: its history, its folder, and checkpoints to go on from."""
