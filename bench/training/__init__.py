"""How an objective is minimised: the loop, procedures, optimiser, resumable state."""
