"""What is recorded: facts, turns, and the instruments that hold them."""
