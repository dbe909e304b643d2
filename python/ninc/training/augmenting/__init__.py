"""What augmentations are made of; `ninc.augment` has them all for users."""
