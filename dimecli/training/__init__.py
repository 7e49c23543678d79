"""Training: experiments, the loop, checkpoints."""
