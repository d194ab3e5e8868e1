"""Side by side in one run: a training step beside torch.nn's, and what it costs to grade a class."""
