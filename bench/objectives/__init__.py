"""What is minimised: divergences, matching losses, schedules."""
