"""What a run looked like: on the terminal. Nothing here prints and nothing imports torch."""
