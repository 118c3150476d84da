"""Masking: values that only Act may see, and the texts that stand in their place everywhere else."""
