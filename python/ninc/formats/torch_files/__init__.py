"""Reads the files of torch.save, and safetensors of any origin, without torch and without running
anything that is in them."""
