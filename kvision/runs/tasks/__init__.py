"""What a run of each task tells: its scores, its card, its figures, its viewer."""
